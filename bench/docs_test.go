package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/lidopool/lido/bench/internal/load"
)

func TestTheDocumentationKnowsEveryCommandFlagAndSetting(t *testing.T) {
	doc := read(t, "../docs/lidobench.md")
	wants := func(part string) {
		if !strings.Contains(doc, part) {
			t.Errorf("docs/lidobench.md does not speak of %s", part)
		}
	}
	for _, c := range newCommand(strings.NewReader(""), io.Discard, io.Discard).Commands() {
		wants("`lidobench " + c.Name())
		if c.Name() == "completion" {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				wants("`--" + f.Name + "`")
			}
		})
	}
	for _, key := range load.Keys() {
		wants("`" + key + "`")
	}
}
