// Package settings reads and writes structs of settings as text: queries, JSON,
// YAML and environment variables, all from one table of fields.
//
// A table says once, for each setting, its key, where it lives in the struct,
// how its value is spelled and what is allowed. Reading goes in two steps: a
// function per kind of text turns the text into a map from key to value, and Lay
// puts that map into the struct. Writing starts from Pairs. The package
// knows nothing of what the settings mean, nor how its callers' errors begin.
package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Field is one setting of a C. It is made by Int, Duration, Bool, Enum, String or Parsed.
type Field[C any] struct {
	Key  string
	Want string // what is allowed, as a remedy: "give 0 to 9"
	// OmitZero leaves the field out of what is written while it is zero. It is
	// right only if reading starts from a C in which the field is zero.
	OmitZero bool

	parse func(c *C, text string) bool
	value func(c *C) any
	valid func(c *C) bool
	zero  func(c *C) bool
}

// Parse puts a text into the field. It reports whether the text is allowed,
// and leaves c alone if not.
func (f Field[C]) Parse(c *C, text string) bool { return f.parse(c, text) }

// Value is what the field holds, as JSON and YAML spell it: an int, a bool or a string.
func (f Field[C]) Value(c *C) any { return f.value(c) }

// Text is what the field holds, as Parse reads it.
func (f Field[C]) Text(c *C) string { return fmt.Sprint(f.value(c)) }

// Valid reports whether the field holds something allowed.
func (f Field[C]) Valid(c *C) bool { return f.valid(c) }

// IsZero reports whether the field holds the zero value.
func (f Field[C]) IsZero(c *C) bool { return f.zero(c) }

// Word is a value that has a name in text, and is written and read by that name
// alone. It is allowed whatever the range of the field.
type Word[V comparable] struct {
	Text  string
	Value V
}

// Int is a whole number from min to max, or one of the words. min is at least 0.
func Int[C any](key, want string, at func(*C) *int, min, max int, words ...Word[int]) Field[C] {
	return newField(key, want, at, spelling[int]{
		words: words,
		parse: func(text string) (int, bool) { n, err := strconv.Atoi(text); return n, err == nil },
		value: func(n int) any { return n },
		valid: func(n int) bool { return min <= n && n <= max },
	})
}

// Duration is a duration of 0 or more as Go writes it, or one of the words.
// A word such as {"0s", -1} gives "0s", "0" and "0ms" a value of their own.
func Duration[C any](key, want string, at func(*C) *time.Duration, words ...Word[time.Duration]) Field[C] {
	return newField(key, want, at, spelling[time.Duration]{
		words: words,
		parse: func(text string) (time.Duration, bool) { d, err := time.ParseDuration(text); return d, err == nil },
		value: func(d time.Duration) any { return DurationText(d) },
		valid: func(d time.Duration) bool { return d >= 0 },
	})
}

// Bool is true or false. False is not written.
func Bool[C any](key string, at func(*C) *bool) Field[C] {
	f := newField(key, "give true or false", at, spelling[bool]{
		parse: func(text string) (bool, bool) { b, err := strconv.ParseBool(text); return b, err == nil },
		value: func(b bool) any { return b },
		valid: func(bool) bool { return true },
	})
	f.OmitZero = true
	return f
}

// Enum is one of the words. The zero value is allowed too and is not written: it stands for
// whichever word is the default.
func Enum[C any, V comparable](key string, at func(*C) *V, words ...Word[V]) Field[C] {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.Text
	}
	f := newField(key, "give "+strings.Join(texts, " or "), at, spelling[V]{
		words: words,
		parse: func(string) (V, bool) { var none V; return none, false },
		// Only what is not allowed gets here, on its way into an error.
		value: func(v V) any { return strconv.Quote(fmt.Sprint(v)) },
		valid: func(v V) bool { var none V; return v == none },
	})
	f.OmitZero = true
	return f
}

// String is any text. The empty one is not written.
func String[C any, S ~string](key string, at func(*C) *S) Field[C] {
	f := newField(key, "give a text", at, spelling[S]{
		parse: func(text string) (S, bool) { return S(text), true },
		value: func(s S) any { return string(s) },
		valid: func(S) bool { return true },
	})
	f.OmitZero = true
	return f
}

// Parsed is a value with a text of its own: parse reports whether a text is allowed, and text
// writes what parse reads.
func Parsed[C any, V comparable](key, want string, at func(*C) *V, parse func(string) (V, bool), text func(V) string) Field[C] {
	return newField(key, want, at, spelling[V]{
		parse: parse,
		value: func(v V) any { return text(v) },
		valid: func(v V) bool { _, ok := parse(text(v)); return ok },
	})
}

// spelling is how values of one type are written, apart from where they live.
type spelling[V comparable] struct {
	words []Word[V]
	parse func(string) (V, bool)
	value func(V) any
	valid func(V) bool
}

func newField[C any, V comparable](key, want string, at func(*C) *V, s spelling[V]) Field[C] {
	return Field[C]{
		Key:  key,
		Want: want,
		parse: func(c *C, text string) bool {
			v, ok := s.read(text)
			if ok {
				*at(c) = v
			}
			return ok
		},
		value: func(c *C) any {
			if text, ok := s.named(*at(c)); ok {
				return text
			}
			return s.value(*at(c))
		},
		valid: func(c *C) bool {
			_, ok := s.named(*at(c))
			return ok || s.valid(*at(c))
		},
		zero: func(c *C) bool { var none V; return *at(c) == none },
	}
}

func (s spelling[V]) read(text string) (V, bool) {
	if v, ok := s.word(text); ok {
		return v, true
	}
	v, ok := s.parse(text)
	if !ok || !s.valid(v) {
		return v, false
	}
	// Another way to write a word, "0ms" for "0s", means the word.
	if w, ok := s.word(fmt.Sprint(s.value(v))); ok {
		return w, true
	}
	// What has a name is said by its name, or two texts that look unlike would mean the same.
	_, named := s.named(v)
	return v, !named
}

func (s spelling[V]) word(text string) (v V, ok bool) {
	for _, w := range s.words {
		if w.Text == text {
			return w.Value, true
		}
	}
	return v, false
}

func (s spelling[V]) named(v V) (text string, ok bool) {
	for _, w := range s.words {
		if w.Value == v {
			return w.Text, true
		}
	}
	return "", false
}

// DurationText is d as ParseDuration reads it, without idle zeros ("1m", not
// "1m0s") and without the one letter that a query would have to escape.
func DurationText(d time.Duration) string {
	s := strings.Replace(d.String(), "µ", "u", 1)
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
