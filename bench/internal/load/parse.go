package load

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lidopool/lido/internal/settings"
)

// Bounds of what a text may say. Arbitrary, but for the rate: a schedule that is drawn and kept by
// one goroutine can do no more.
const (
	mostRate   = 1_000_000
	mostBurst  = 10_000
	mostNested = 16
)

// ParseWorkload reads the text of a Workload. All that is wrong is reported together, each with
// what is right.
func ParseWorkload(text string) (Workload, error) {
	name, query, _ := strings.Cut(text, "?")
	w, ok := named(name)
	if !ok {
		var names []string
		for _, p := range presets {
			names = append(names, p.w.Name)
		}
		return Workload{}, fmt.Errorf("load: workload %.64q: %s", name, settings.Unknown(name, names))
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return Workload{}, fmt.Errorf("load: workload %s: %w", name, err)
	}
	given, err := settings.TakeQuery(q, slices.Sorted(maps.Keys(q)), func(key string) string { return key })
	if err != nil {
		return Workload{}, fmt.Errorf("load: workload %s: %w", name, err)
	}
	err = settings.Lay(&w, fields, given,
		func(f settings.Field[Workload], text string) error {
			return fmt.Errorf("load: workload %s: %s is %.64q: %s", name, f.Key, text, remedy(f, text))
		},
		func(key string) error {
			return fmt.Errorf("load: workload %s: key %.64q: %s", name, key, settings.Unknown(key, Keys()))
		})
	if err != nil {
		return Workload{}, err
	}
	w = w.plain()
	if err := w.Validate(); err != nil {
		return Workload{}, err
	}
	w.Name = w.text(false)
	return w, nil
}

// Keys are what may stand after the question mark.
func Keys() []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	return keys
}

// String is a text that ParseWorkload reads as the same Workload. It holds all that is not zero,
// so that it says what is done also to those who do not know what the name gives. One whose name
// is none of Names is written as a cycle.
func (w Workload) String() string { return w.text(true) }

// text is String if full, and else without what the name gives anyway.
func (w Workload) text(full bool) string {
	w = w.plain()
	name, _, _ := strings.Cut(w.Name, "?")
	base, ok := named(name)
	if !ok {
		base = presets[0].w
	}
	var pairs []settings.Pair
	for _, f := range fields {
		if f.Text(&w) != f.Text(&base) || full && !f.IsZero(&w) {
			pairs = append(pairs, settings.Pair{Key: f.Key, Value: f.Value(&w)})
		}
	}
	if len(pairs) == 0 {
		return base.Name
	}
	// Neither has a meaning in a query, and people should be able to read it.
	return base.Name + "?" + strings.NewReplacer("%3A", ":", "%2C", ",").Replace(settings.QueryText(pairs))
}

// plain is w with one way to say what can be said in two.
func (w Workload) plain() Workload {
	if w.Hold.Kind == "" {
		w.Hold.Kind = None
	}
	if w.Rate > 0 {
		w.Burst = max(w.Burst, 1)
	}
	return w
}

// Validate reports all that is wrong with w, one line each: values out of range, and such as
// contradict each other.
func (w Workload) Validate() error {
	w = w.plain()
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("load: workload %s: "+format, append([]any{w.Name}, args...)...))
	}
	for _, f := range fields {
		if !f.IsZero(&w) && !f.Valid(&w) {
			wrong("%s is %s: %s", f.Key, f.Text(&w), f.Want)
		}
	}
	timed := w.Hold.Kind == Spin || w.Hold.Kind == Sleep
	if timed && w.Hold.For.IsZero() {
		wrong(`hold is %s without a time: add one, as in "for=1ms"`, w.Hold.Kind)
	}
	if !timed && !w.Hold.For.IsZero() {
		wrong(`for is %s, which hold=%s does not use: give hold=spin, hold=sleep or for=0`, w.Hold.For, w.Hold.Kind)
	}
	if w.Writes > 0 && w.Hold.Kind != Query {
		wrong(`writes is %v, but hold=%s makes no queries: give hold=query or writes=0`, w.Writes, w.Hold.Kind)
	}
	if w.Rate > 0 && !w.Think.IsZero() {
		wrong(`think is %s beside a rate: who arrives at a rate does not come again; give think=0 or rate=0`, w.Think)
	}
	if w.Rate == 0 && (w.Burst > 1 || w.Even) {
		wrong(`burst and even are of arrivals at a rate: add one, as in "rate=1000", or give burst=1 and even=false`)
	}
	if w.Cancel > 0 && w.Patience.IsZero() {
		wrong(`cancel is %v without a time: give one, as in "patience=exp:100us"`, w.Cancel)
	}
	if w.Cancel == 0 && !w.Patience.IsZero() {
		wrong(`patience is %s, but nobody gives up: give a share, as in "cancel=0.2", or patience=0`, w.Patience)
	}
	return errors.Join(errs...)
}

// fields are the keys of a workload's text, in the order in which they are written.
var fields = []settings.Field[Workload]{
	settings.Enum("hold", func(w *Workload) *HoldKind { return &w.Hold.Kind },
		words(None, Yield, Spin, Sleep, Query)...),
	distField("for", func(w *Workload) *Dist { return &w.Hold.For }),
	distField("think", func(w *Workload) *Dist { return &w.Think }),
	numberField("rate", fmt.Sprintf("give arrivals a second, up to %d, or 0 for a closed loop", mostRate), mostRate,
		func(w *Workload) *float64 { return &w.Rate }),
	settings.Int("burst", fmt.Sprintf("give how many come at once, up to %d", mostBurst),
		func(w *Workload) *int { return &w.Burst }, 0, mostBurst),
	settings.Bool("even", func(w *Workload) *bool { return &w.Even }),
	numberField("writes", "give a share from 0 to 1", 1, func(w *Workload) *float64 { return &w.Writes }),
	settings.Int("nested", fmt.Sprintf("give 0 to %d", mostNested), func(w *Workload) *int { return &w.Nested }, 0, mostNested),
	settings.Parsed("deadline", `give a time up to 1h such as "100ms", or 0 for none`,
		func(w *Workload) *time.Duration { return &w.Deadline }, readTime, settings.DurationText),
	numberField("cancel", "give a share from 0 to 1", 1, func(w *Workload) *float64 { return &w.Cancel }),
	distField("patience", func(w *Workload) *Dist { return &w.Patience }),
}

func words(kinds ...HoldKind) []settings.Word[HoldKind] {
	all := make([]settings.Word[HoldKind], len(kinds))
	for i, k := range kinds {
		all[i] = settings.Word[HoldKind]{Text: string(k), Value: k}
	}
	return all
}

func distField(key string, at func(*Workload) *Dist) settings.Field[Workload] {
	return settings.Parsed(key, distWant, at,
		func(text string) (Dist, bool) { d, problem := readDist(text); return d, problem == "" }, Dist.String)
}

func numberField(key, want string, most float64, at func(*Workload) *float64) settings.Field[Workload] {
	return settings.Parsed(key, want, at,
		func(text string) (float64, bool) {
			n, err := strconv.ParseFloat(text, 64)
			return n, err == nil && n >= 0 && n <= most
		},
		func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) })
}

// remedy is what a field says of a text that it does not read: of a time, what is wrong with it.
func remedy(f settings.Field[Workload], text string) string {
	if f.Want == distWant {
		_, problem := readDist(text)
		return problem
	}
	return f.Want
}
