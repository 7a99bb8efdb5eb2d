//go:build cgo

package scenario_test

import (
	"testing"

	"github.com/lidopool/lido/bench/internal/scenario"
)

// In real time, as a database has it: only what holds on a machine that is busy, too.
func TestOutageOfARealDatabase(t *testing.T) {
	s := find(t, "outage")
	s.Backend = "sqlite"
	p, b := setUp(t, s, "queue")
	tl, err := scenario.Run(t.Context(), s, p, b, scenario.Setting{Scale: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	if v := tl.Verdict; v.Ops == 0 || v.Errors["open failed"] == 0 || v.Leaked != 0 || tl.Failed != "" || tl.Backend != "sqlite" || len(tl.Points) != 16 {
		t.Errorf("%s: %+v with %d points; want some served, some refused, and nothing lent at the end", tl.Failed, v, len(tl.Points))
	}
	if g := p.Gauges(); g.Open != 0 {
		t.Errorf("%d are open after the run", g.Open)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
