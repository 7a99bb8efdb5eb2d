package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
)

// Lay puts the given values, by key, into c, field by field. All that is wrong is reported together:
// for a value that its field does not allow it asks wrong for the error, for a key without
// a field unknown, fields first and then keys in order.
func Lay[C any](c *C, fields []Field[C], given map[string]string,
	wrong func(f Field[C], text string) error, unknown func(key string) error) error {
	var errs []error
	rest := maps.Clone(given)
	for _, f := range fields {
		text, ok := rest[f.Key]
		delete(rest, f.Key)
		if ok && !f.Parse(c, text) {
			errs = append(errs, wrong(f, text))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		errs = append(errs, unknown(key))
	}
	return errors.Join(errs...)
}

// TakeQuery takes the values of keys out of q, where each is called name(key), and
// returns those that are there. A name given twice is an error. All else stays in q.
func TakeQuery(q url.Values, keys []string, name func(key string) string) (map[string]string, error) {
	var err error
	given := map[string]string{}
	for _, key := range keys {
		values := q[name(key)]
		delete(q, name(key))
		if len(values) > 0 {
			given[key] = values[0]
		}
		if len(values) > 1 && err == nil {
			err = fmt.Errorf("%.64q is given %d times; give it once", name(key), len(values))
		}
	}
	return given, err
}

// Lookup returns the values of keys, each of which lookup knows as name(key).
func Lookup(lookup func(string) (string, bool), keys []string, name func(key string) string) map[string]string {
	given := map[string]string{}
	for _, key := range keys {
		if text, ok := lookup(name(key)); ok {
			given[key] = text
		}
	}
	return given
}

// Filled is lookup for environment variables: an empty one counts as not set, since many tools
// that start programs cannot unset one.
func Filled(lookup func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := lookup(name)
		return text, ok && text != ""
	}
}

// JSON returns the values of a JSON object. Each is a number, a string or a bool. A
// null is an error, and so is a key given twice.
func JSON(data []byte) (map[string]string, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	// Tokens, because a map would swallow keys given twice. Unmarshal has
	// checked the syntax, so that Token cannot fail below.
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, _ := d.Token(); t != json.Delim('{') {
		return nil, errors.New("want a JSON object or string")
	}
	given := map[string]string{}
	for d.More() {
		t, _ := d.Token()
		key := fmt.Sprint(t)
		if _, ok := given[key]; ok {
			return nil, fmt.Errorf("%.64q is given twice; give it once", key)
		}
		value, _ := d.Token()
		if err := put(given, key, value); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// YAML returns the values of a mapping that a YAML library has decoded into an any.
// Each is a number, a string or a bool. A null is an error: it may be a value that somebody
// forgot, or a word "null" without its quotes.
func YAML(doc any) (map[string]string, error) {
	given := map[string]string{}
	switch doc := doc.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(doc)) {
			if err := put(given, key, doc[key]); err != nil {
				return nil, err
			}
		}
	case map[any]any: // from older libraries, and for keys that are no strings
		byKey := map[string]any{}
		for key, value := range doc {
			text := fmt.Sprint(key)
			if _, ok := byKey[text]; ok { // 1 and "1", say
				return nil, fmt.Errorf("%.64q is given twice; give it once", text)
			}
			byKey[text] = value
		}
		return YAML(byKey)
	default:
		return nil, errors.New("want a YAML mapping or string")
	}
	return given, nil
}

func put(given map[string]string, key string, value any) error {
	switch value := value.(type) {
	case nil:
		return fmt.Errorf(`%.64q is null: leave the key out, or quote the value if it is the word "null"`, key)
	case string, json.Number, bool, int, int64, uint64, float64:
		given[key] = fmt.Sprint(value)
	default:
		return fmt.Errorf("%.64q: want a number, a string or a bool", key)
	}
	return nil
}
