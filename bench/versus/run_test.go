package main

import (
	"io"
	"slices"
	"testing"
	"time"
)

func TestEveryPeerCanDoEveryWorkThatFitsIt(t *testing.T) {
	tiny := pace{rounds: 1, warm: time.Millisecond, cycles: 2 * time.Millisecond, visits: 2 * time.Millisecond,
		waits: time.Millisecond, batch: 10, waiters: 100}
	jobs := plan(peers, works)
	found, err := measureAll(t.Context(), jobs, tiny, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	rows := found.rows(jobs)
	for _, w := range works {
		for _, p := range peers {
			i := slices.IndexFunc(rows, func(r row) bool { return r.Work == w.name && r.Pool == p.name })
			if fits := p.fits(w.crowd); fits != (i >= 0) {
				t.Errorf("%s, %s: fits is %v, has a row is %v", w.name, p.name, fits, i >= 0)
			}
			if i < 0 || rows[i].Error == errIdle.Error() { // a busy machine may let nobody run for so long
				continue
			}
			if r := rows[i]; r.Error != "" || r.Runs != 1 || r.NsPerOp <= 0 || r.Jain < 0 || r.Jain > 1 || r.P99WaitNs > r.MaxWaitNs {
				t.Errorf("not a sound row: %+v", r)
			}
		}
	}
}

func TestOnlyPeersWithTwoFairnessesAreMeasuredTwice(t *testing.T) {
	chosen := []work{}
	for _, w := range works {
		if w.crowd.name == "contended" {
			chosen = append(chosen, w)
		}
	}
	var got [][]string
	for _, j := range plan([]peer{{name: "fair", waits: true, fair: true}, {name: "plain", waits: true}, {name: "no line"}}, chosen)[0] {
		got = append(got, append([]string{j.peer.name}, j.works...))
	}
	want := [][]string{{"fair", "contended-strict"}, {"fair", "contended-bounded"}, {"plain", "contended-strict", "contended-bounded"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("jobs = %v, want %v", got, want)
	}
}
