package manage_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lidopool/lido/manage"
)

const guide = "../docs/guide-sql.md"

func TestTheGuideShowsCompiledCode(t *testing.T) {
	var examples []string
	for _, pattern := range []string{"example*_test.go", "../backends/*/example*_test.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			examples = append(examples, unindented(read(t, name)))
		}
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, guide), -1)
	if len(blocks) == 0 {
		t.Fatalf("%s: no block of Go was found", guide)
	}
	for _, b := range blocks {
		code := unindented(b[1])
		if !slices.ContainsFunc(examples, func(e string) bool { return strings.Contains(e, code) }) {
			t.Errorf("%s shows code that stands in no example file as it is:\n%s", guide, b[1])
		}
	}
}

func TestTheGuideNamesSettingsThatExist(t *testing.T) {
	known := manage.SettingKeys()
	known = append(known, "pool_mode", "pool_recycle", "pool_pre_ping", "pool_use_lifo", "pool_reset_on_return") // others'
	for _, name := range regexp.MustCompile(`\bpool_\w+`).FindAllString(read(t, guide), -1) {
		if !slices.Contains(known, name) {
			t.Errorf("%s names %s, which is no setting", guide, name)
		}
	}
}

// unindented is a text of which the lines begin at the margin, each between two line feeds.
func unindented(text string) string {
	var b strings.Builder
	b.WriteByte('\n')
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
