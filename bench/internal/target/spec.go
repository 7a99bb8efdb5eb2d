package target

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/internal/settings"
)

// A spec is what a synthetic backend costs. The zero spec costs nothing and never fails.
type spec struct {
	open, use, close, ping load.Dist
	dial                   load.Dist // what an open takes to be refused while the backend is down
	work                   work      // how a use spends its time
	fail, openFail         float64   // shares of uses that break the resource, and of opens that fail
	max, capacity          int       // resources open, and uses at once. 0: no limit
	seed                   int
}

// work is how a use spends its time. An open, a close and a ping sleep, as who waits for a network does.
type work string

const (
	sleep work = "" // waits, as for the answer of a server
	spin  work = "spin"
)

func specFields() []settings.Field[spec] {
	fields := []settings.Field[spec]{
		distField("open", func(s *spec) *load.Dist { return &s.open }),
		distField("use", func(s *spec) *load.Dist { return &s.use }),
		distField("close", func(s *spec) *load.Dist { return &s.close }),
		distField("ping", func(s *spec) *load.Dist { return &s.ping }),
		distField("dial", func(s *spec) *load.Dist { return &s.dial }),
		settings.Enum("work", func(s *spec) *work { return &s.work },
			settings.Word[work]{Text: "sleep", Value: sleep}, settings.Word[work]{Text: string(spin), Value: spin}),
		shareField("fail", func(s *spec) *float64 { return &s.fail }),
		shareField("openfail", func(s *spec) *float64 { return &s.openFail }),
		settings.Int("max", "give how many may be open at once, or 0 for no limit", func(s *spec) *int { return &s.max }, 0, mostInt),
		settings.Int("capacity", "give how many uses go on at once, or 0 for no limit", func(s *spec) *int { return &s.capacity }, 0, mostInt),
		settings.Int("seed", "give a whole number of 0 or more", func(s *spec) *int { return &s.seed }, 0, mostInt),
	}
	for i := range fields {
		fields[i].OmitZero = true
	}
	return fields
}

const mostInt = 1<<31 - 1

const distWant = `give a time such as "1ms", "exp:1ms", "uniform:1ms-3ms" or "lognormal:1ms,10ms"`

func distField(key string, at func(*spec) *load.Dist) settings.Field[spec] {
	return settings.Parsed(key, distWant, at,
		func(text string) (load.Dist, bool) { d, err := load.ParseDist(text); return d, err == nil }, load.Dist.String)
}

func shareField(key string, at func(*spec) *float64) settings.Field[spec] {
	return settings.Parsed(key, "give a share from 0 to 1, such as 0.01", at,
		func(text string) (float64, bool) {
			v, err := strconv.ParseFloat(text, 64)
			return v, err == nil && v >= 0 && v <= 1
		},
		func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
}

// parseSpec reads what stands after "synthetic?".
func parseSpec(query string) (s spec, err error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return s, fmt.Errorf("target: synthetic: %w", err)
	}
	given, err := settings.TakeQuery(q, slices.Sorted(maps.Keys(q)), func(key string) string { return key })
	if err != nil {
		return s, fmt.Errorf("target: synthetic: %w", err)
	}
	fields := specFields()
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	err = settings.Lay(&s, fields, given,
		func(f settings.Field[spec], text string) error {
			if f.Want == distWant { // load knows better what is wrong
				_, err := load.ParseDist(text)
				return fmt.Errorf("target: synthetic %s: %w", f.Key, err)
			}
			return fmt.Errorf("target: synthetic %s is %.64q: %s", f.Key, text, f.Want)
		},
		func(key string) error {
			return fmt.Errorf("target: synthetic option %.64q: %s", key, settings.Unknown(key, keys))
		})
	if err == nil && s.max > 0 && s.capacity > s.max {
		err = errors.Join(err, fmt.Errorf("target: synthetic capacity is %d: give max, which is %d, at most: more can never be in use", s.capacity, s.max))
	}
	return s, err
}

// String is a text that Open reads as the same.
func (s spec) String() string {
	query := settings.QueryText(settings.Pairs(&s, specFields()))
	if query == "" {
		return "synthetic"
	}
	// What a query need not escape, and people would rather read.
	return "synthetic?" + strings.NewReplacer("%3A", ":", "%2C", ",").Replace(query)
}

// dice are for the n-th of who draws.
func (s spec) dice(n uint64) *rand.Rand { return rand.New(rand.NewPCG(uint64(s.seed), n)) }

// draws reports whether a use depends on chance.
func (s spec) draws() bool { return s.fail > 0 || !isConst(s.use) }

func isConst(d load.Dist) bool { return d == load.Const(d.Mean()) }
