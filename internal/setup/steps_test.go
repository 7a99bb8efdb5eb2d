//go:build unix

package setup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goWith lets `go test` write a profile, and lays out the three packages.
func goWithProfile(m *machine, lines ...string) {
	for _, dir := range []string{"pool", "strategies", "manage"} {
		m.write(dir+"/x.go", "")
	}
	m.write("profile", "mode: set\n"+strings.Join(lines, "\n")+"\n")
	m.command("go", `cat profile >"`+m.dir+`/cover.out"`)
}

func block(file, place, rest string) string {
	return "github.com/lidopool/lido/" + file + ":" + place + " " + rest
}

func TestCoverFailsWhenOnePackageIsBelowTheLeast(t *testing.T) {
	m := newMachine(t)
	goWithProfile(m,
		block("pool/a.go", "1.1,2.2", "89 1"), block("pool/a.go", "3.1,4.2", "11 0"),
		block("strategies/a.go", "1.1,2.2", "5 1"), block("manage/a.go", "1.1,2.2", "5 1"))
	r := m.run("cover.sh", "90", "cover.out")
	r.wants(t, 1)
	if !strings.Contains(r.out, "89.0% of  100 statements  BELOW 90%") {
		t.Errorf("does not say which package is below:\n%s", r.out)
	}
	m.run("cover.sh", "89", "cover.out").wants(t, 0)
}

func TestCoverCountsABlockOnceHoweverManyTestsKnowIt(t *testing.T) {
	m := newMachine(t)
	goWithProfile(m,
		block("pool/a.go", "1.1,2.2", "10 0"), block("pool/a.go", "1.1,2.2", "10 3"), block("pool/a.go", "1.1,2.2", "10 0"),
		block("strategies/a.go", "1.1,2.2", "5 1"), block("manage/a.go", "1.1,2.2", "5 1"))
	r := m.run("cover.sh", "100", "cover.out")
	r.wants(t, 0)
	if !strings.Contains(r.out, "100.0% of   10 statements") {
		t.Errorf("want 10 statements of pool, all run:\n%s", r.out)
	}
}

func TestCoverKeepsTheTestKitOutOfThePackage(t *testing.T) {
	m := newMachine(t)
	goWithProfile(m,
		block("pool/a.go", "1.1,2.2", "10 1"), block("pool/pooltest/a.go", "1.1,2.2", "90 0"),
		block("strategies/a.go", "1.1,2.2", "5 1"), block("manage/a.go", "1.1,2.2", "5 1"))
	m.run("cover.sh", "100", "cover.out").wants(t, 0)
}

func TestCoverFailsWhenAPackageHasNoTestedStatement(t *testing.T) {
	m := newMachine(t)
	goWithProfile(m, block("pool/a.go", "1.1,2.2", "10 1"), block("strategies/a.go", "1.1,2.2", "5 1"))
	m.run("cover.sh", "90", "cover.out").wants(t, 1)
}

func TestCoverFailsWhenATestFails(t *testing.T) {
	m := newMachine(t)
	goWithProfile(m,
		block("pool/a.go", "1.1,2.2", "1 1"), block("strategies/a.go", "1.1,2.2", "1 1"), block("manage/a.go", "1.1,2.2", "1 1"))
	m.command("go", `cat profile >"`+m.dir+`/cover.out"; exit 1`)
	m.run("cover.sh", "90", "cover.out").wants(t, 1)
}

const fuzzList = `if [ "$2" = -list ]; then
	printf 'FuzzA\nFuzzB\nok  \texample.com/p\t0.1s\n?   \texample.com/q\t[no test files]\nok  \texample.com/r\t0.1s\nFuzzC\nok  \texample.com/s\t0.1s\n'
	exit 0
fi
echo "$*" >>"$LOG"
`

func TestFuzzRunsEveryTargetOfEveryPackageForTheDuration(t *testing.T) {
	m := newMachine(t)
	m.command("go", fuzzList)
	m.run("fuzz.sh", "3s").wants(t, 0)
	want := "test -run ^$ -fuzz ^FuzzA$ -fuzztime 3s -fuzzminimizetime 1x example.com/p\n" +
		"test -run ^$ -fuzz ^FuzzB$ -fuzztime 3s -fuzzminimizetime 1x example.com/p\n" +
		"test -run ^$ -fuzz ^FuzzC$ -fuzztime 3s -fuzzminimizetime 1x example.com/s\n"
	if got := m.log(); got != want {
		t.Errorf("go was called with\n%swant\n%s", got, want)
	}
}

func TestFuzzStopsAtAFinding(t *testing.T) {
	m := newMachine(t)
	m.command("go", fuzzList+"exit 1")
	m.run("fuzz.sh", "3s").wants(t, 1)
	if n := strings.Count(m.log(), "\n"); n != 1 {
		t.Errorf("ran %d targets, want it to stop at the first that failed", n)
	}
}

func TestFuzzFailsWhenAPackageDoesNotBuild(t *testing.T) {
	m := newMachine(t)
	m.command("go", "echo 'FAIL example.com/p [build failed]'; exit 1")
	m.run("fuzz.sh", "3s").wants(t, 1)
}

// newTree is a repository of three modules, one of them without Go files.
func newTree(t *testing.T) (m *machine, each string) {
	m = newMachine(t)
	text, err := os.ReadFile("each.sh")
	if err != nil {
		t.Fatal(err)
	}
	each = filepath.Join(m.dir, "internal/setup/each.sh")
	m.write(each, string(text))
	for _, file := range []string{
		"go.mod", "a.go", "bench/versus/go.mod", "bench/versus/a.go", "internal/tools/go.mod",
		"bench/testdata/go.mod", "bench/testdata/a.go", ".hidden/go.mod", ".hidden/a.go",
	} {
		m.write(file, "")
	}
	return m, each
}

func TestEachRunsInEveryModuleWithGoFilesTheRootFirst(t *testing.T) {
	m, each := newTree(t)
	m.command("here", `pwd >>"$LOG"; [ "$1" = 'two words' ]`)
	m.runFile(each, "here", "two words").wants(t, 0)
	dir, err := filepath.EvalSymlinks(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.log(), dir+"\n"+dir+"/bench/versus\n"; got != want {
		t.Errorf("ran in\n%swant\n%s", got, want)
	}
}

func TestEachStopsAtTheFirstFailure(t *testing.T) {
	m, each := newTree(t)
	m.command("here", `echo ran >>"$LOG"; exit 3`)
	m.runFile(each, "here").wants(t, 3)
	if m.log() != "ran\n" {
		t.Errorf("went on after a failure:\n%s", m.log())
	}
}

func TestEachSaysInWhichModuleItFailed(t *testing.T) {
	m, each := newTree(t)
	m.command("here", `[ -d bench ]`)
	m.runFile(each, "here").wants(t, 1, "in module bench/versus")
}
