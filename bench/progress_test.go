package main

import (
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/trial"
)

func TestProgressNamesWhatComesNowIfAnythingDoes(t *testing.T) {
	for want, at := range map[string]trial.Progress{
		"3s left: query": {Left: 2900 * time.Millisecond, Now: "query"},
		"3s left":        {Left: 2900 * time.Millisecond},
	} {
		if got := rest(at); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
