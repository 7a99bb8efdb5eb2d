package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lidopool/lido/internal/settings"
)

// A Dist is a distribution of times. The zero Dist is always 0. Its text is one of
//
//	1ms                  always that: short for const:1ms
//	exp:1ms              exponential, with the mean; what is memoryless, such as arrivals
//	uniform:1ms-3ms      evenly from the one to the other
//	lognormal:1ms,10ms   with the median and the 99th percentile; most like real queries
//
// Two that mean the same are equal.
type Dist struct {
	kind distKind
	a, b time.Duration // what the text says, in its order; b is 0 where it says but one
}

type distKind string

const (
	constant    distKind = "" // so that it is the zero Dist
	exponential distKind = "exp"
	uniform     distKind = "uniform"
	lognormal   distKind = "lognormal"
)

const constName = "const"

const (
	// longestTime is what a text may say. Arbitrary; what a Histogram counts ends there, too.
	longestTime = time.Hour
	// longestDraw is where the tails of a distribution are cut off, so that no sum of a few overflows.
	longestDraw = 24 * longestTime
	// widest is how many times the median a 99th percentile may be. Arbitrary: beyond it a few draws
	// are all of the mean, and no measurement meets them.
	widest = 1000

	z99 = 2.3263478740408408 // the 99th percentile of the normal distribution, in standard deviations
)

const distWant = `give a time up to 1h such as "1ms", "exp:1ms", "uniform:1ms-3ms" or "lognormal:1ms,10ms"`

// Const is always d.
func Const(d time.Duration) Dist { return Dist{a: d} }

// Exp is exponential. mean is more than 0.
func Exp(mean time.Duration) Dist { return Dist{kind: exponential, a: mean} }

// ParseDist reads the text of a Dist. The error names it and what is right.
func ParseDist(text string) (Dist, error) {
	d, problem := readDist(text)
	if problem != "" {
		return Dist{}, fmt.Errorf("load: time %.64q: %s", text, problem)
	}
	return d, nil
}

// readDist is ParseDist, with what is wrong, and its remedy, or "".
func readDist(text string) (d Dist, problem string) {
	name, args, named := strings.Cut(text, ":")
	if !named {
		name, args = constName, text
	}
	switch name {
	case constName:
		a, ok := readTime(args)
		if !ok {
			return d, distWant
		}
		return Const(a), ""
	case string(exponential):
		a, ok := readTime(args)
		if !ok || a == 0 {
			return d, `give the mean, more than 0 and up to 1h, as in "exp:1ms"`
		}
		return Exp(a), ""
	case string(uniform):
		a, b, ok := readTimes(args, "-")
		if !ok || a >= b {
			return d, `give two times up to 1h, the shorter first, as in "uniform:1ms-3ms"`
		}
		return Dist{uniform, a, b}, ""
	case string(lognormal):
		a, b, ok := readTimes(args, ",")
		if !ok || a == 0 || a >= b || b > widest*a {
			return d, fmt.Sprintf(`give the median and a longer 99th percentile, up to 1h and at most %d times the median, as in "lognormal:1ms,10ms"`, widest)
		}
		return Dist{lognormal, a, b}, ""
	}
	return d, fmt.Sprintf("kind %.64q: %s", name,
		settings.Unknown(name, []string{constName, string(exponential), string(uniform), string(lognormal)}))
}

func readTimes(text, between string) (a, b time.Duration, ok bool) {
	first, second, found := strings.Cut(text, between)
	a, okA := readTime(first)
	b, okB := readTime(second)
	return a, b, found && okA && okB
}

func readTime(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0 && d <= longestTime
}

// Draw returns a time, never negative, and at most 24 h. It takes tens of nanoseconds.
func (d Dist) Draw(r *rand.Rand) time.Duration {
	switch d.kind {
	case exponential:
		return bounded(float64(d.a) * r.ExpFloat64())
	case uniform:
		return d.a + time.Duration(r.Int64N(int64(d.b-d.a)+1))
	case lognormal:
		return bounded(float64(d.a) * math.Exp(d.sigma()*r.NormFloat64()))
	}
	return d.a
}

// Mean is what the times are on average.
func (d Dist) Mean() time.Duration {
	switch d.kind {
	case uniform:
		return (d.a + d.b) / 2
	case lognormal:
		s := d.sigma()
		return bounded(float64(d.a) * math.Exp(s*s/2))
	}
	return d.a
}

// IsZero reports whether every time is 0.
func (d Dist) IsZero() bool { return d == Dist{} }

// String is a text that ParseDist reads as the same Dist.
func (d Dist) String() string {
	a, b := settings.DurationText(d.a), settings.DurationText(d.b)
	switch d.kind {
	case exponential:
		return string(exponential) + ":" + a
	case uniform:
		return string(uniform) + ":" + a + "-" + b
	case lognormal:
		return string(lognormal) + ":" + a + "," + b
	}
	return a
}

// sigma is the standard deviation of the logarithm of a lognormal.
func (d Dist) sigma() float64 { return math.Log(float64(d.b)/float64(d.a)) / z99 }

func bounded(ns float64) time.Duration {
	if ns >= float64(longestDraw) {
		return longestDraw
	}
	return time.Duration(ns + 0.5)
}
