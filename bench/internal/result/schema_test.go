package result_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/result"
)

// A node is what of a schema this test looks at. Whether results satisfy it, package bench/browser tests.
type node struct {
	Ref         string `json:"$ref"`
	Description string
	Const       string
	Required    []string
	Properties  map[string]node
	Items       *node
	Additional  any             `json:"additionalProperties"`
	Defs        map[string]node `json:"$defs"`
}

func TestTheSchemaHasTheFieldsOfAFileAndNoOthers(t *testing.T) {
	text, err := os.ReadFile("../../../docs/lidobench.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if got := root.Properties["format"].Const; got != result.Format {
		t.Errorf("the schema is of format %q, the code of %q", got, result.Format)
	}
	used := map[string]bool{}
	var compare func(path string, typ reflect.Type, n node)
	compare = func(path string, typ reflect.Type, n node) {
		if name, is := strings.CutPrefix(n.Ref, "#/$defs/"); is {
			n = root.Defs[name]
			if used[name] {
				return
			}
			used[name] = true
		}
		if typ.Kind() == reflect.Slice {
			if n.Items == nil {
				t.Errorf("%s is a list in the code and not in the schema", path)
				return
			}
			compare(path+"[]", typ.Elem(), *n.Items)
			return
		}
		if typ.Kind() != reflect.Struct || typ.PkgPath() == "time" {
			return
		}
		if n.Additional != false || n.Description == "" {
			t.Errorf("%s allows other fields, or has no description", path)
		}
		var fields, required []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, name)
			if !strings.Contains(options, "omitempty") {
				required = append(required, name)
			}
			if p := n.Properties[name]; p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description", path, name)
			}
			compare(path+"."+name, f.Type, n.Properties[name])
		}
		slices.Sort(fields)
		slices.Sort(required)
		if got := slices.Sorted(maps.Keys(n.Properties)); !slices.Equal(got, fields) {
			t.Errorf("%s has the fields\n%q in the schema,\n%q in the code", path, got, fields)
		}
		if got := slices.Sorted(slices.Values(n.Required)); !slices.Equal(got, required) {
			t.Errorf("%s must have\n%q in the schema,\n%q in the code", path, got, required)
		}
	}
	compare("File", reflect.TypeFor[result.File](), root)
	for name := range root.Defs {
		if !used[name] {
			t.Errorf("$defs/%s is used by nothing", name)
		}
	}
}
