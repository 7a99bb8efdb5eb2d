package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Pair is a key and its value: an int, a bool or a string.
type Pair struct {
	Key   string
	Value any
}

// Pairs lists what the fields of c hold, in their order, without those that are omitted.
func Pairs[C any](c *C, fields []Field[C]) []Pair {
	var pairs []Pair
	for _, f := range fields {
		if !f.OmitZero || !f.IsZero(c) {
			pairs = append(pairs, Pair{f.Key, f.Value(c)})
		}
	}
	return pairs
}

// QueryText writes pairs as a URL query in their order, without a question mark.
func QueryText(pairs []Pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Key) + "=" + url.QueryEscape(fmt.Sprint(p.Value)))
	}
	return b.String()
}

// JSONText writes pairs as a JSON object in their order.
func JSONText(pairs []Pair) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(p.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(p.Value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Map is pairs for a YAML library to write. Those we know of sort its keys.
func Map(pairs []Pair) map[string]any {
	m := make(map[string]any, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}
