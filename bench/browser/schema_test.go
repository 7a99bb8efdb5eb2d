package browser_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// valid says what of a result the published schema does not allow.
func valid(t *testing.T, text []byte) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/lidobench.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestResultsAreAsThePublishedSchemaSays(t *testing.T) {
	partial := resulttest.Rich()
	partial.Partial, partial.Summary = true, []string{"It was short."}
	negative := resulttest.Rich()
	negative.Timelines[0].Verdict.Recovery, negative.Timelines[0].Verdict.Leaked = -1, -1
	negative.Timelines[0].Points[0].InUse, negative.Timelines[0].Points[0].Waiting = -1, -1
	bare := resulttest.Empty()
	bare.Cells, bare.Timelines = []result.Cell{{}}, []result.Timeline{{}}
	for name, f := range map[string]result.File{
		"rich": resulttest.Rich(), "empty": resulttest.Empty(), "partial": partial, "not measured": negative, "bare": bare,
	} {
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSchemaRefusesWhatIsNoResult(t *testing.T) {
	text, err := json.Marshal(resulttest.Rich())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another format":          {`"lidobench/1"`, `"lidobench/2"`},
		"a name that is misspelt": {`"ops_per_sec"`, `"ops_per_second"`},
		"text for a number":       {`"goroutines":1`, `"goroutines":"1"`},
		"less than nothing":       {`"rounds":5`, `"rounds":-5`},
		"a share above one":       {`"share":1,`, `"share":1.5,`},
		"no time":                 {`"2026-11-26T09:30:00Z"`, `"yesterday"`},
	} {
		bad := strings.Replace(string(text), change[0], change[1], 1)
		if bad == string(text) {
			t.Errorf("%s: %s is not in the result", name, change[0])
		}
		if valid(t, []byte(bad)) == nil {
			t.Errorf("%s is taken for a result", name)
		}
	}
}
