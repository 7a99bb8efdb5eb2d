package load_test

import (
	"context"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// These run in real time, as what a cycle and a waiting goroutine cost is nothing in a bubble. They
// ask only for what also a busy machine gives.

func measure(t testing.TB, f load.Target, text string, in load.Window) load.Finding {
	t.Helper()
	found, err := load.Measure(context.Background(), f, workload(t, text), in)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryWorkloadFindsSomethingInRealTime(t *testing.T) {
	for _, p := range load.Names() {
		t.Run(p.Name, func(t *testing.T) {
			f := newFake(3)
			found := measure(t, f, p.Name, load.Window{Goroutines: 8, Size: 3, Warm: 5 * time.Millisecond, Length: 100 * time.Millisecond})
			t.Logf("%+v", found.Sample)
			if found.Ops == 0 || found.NsPerOp <= 0 || found.Waits.Count() == 0 || found.WaitMax <= 0 || found.Seconds < 0.07 {
				t.Errorf("%+v", found.Sample)
			}
		})
	}
}
