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

func TestADescriptionIsCutBeforeTheBarIs(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"3s left: µ of size 4", 20, "3s left: µ of size 4"},
		{"3s left: µ of size 4", 12, "3s left: µ …"},
		{"2m59s left: query", -5, "2m59s left…"},
	} {
		if got := shorten(c.text, c.columns); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
