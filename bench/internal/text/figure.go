package text

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// scaled shows three digits of a value in the greatest unit that makes it 1 or more. units begin with the
// smallest, and each is step times the one before it.
func scaled(value, step float64, units ...string) string {
	i := 0
	for i < len(units)-1 && math.Abs(value) >= step-step/2000 { // 999.5 would be shown as 1000
		value /= step
		i++
	}
	return digits(value) + units[i]
}

// digits are three of a value, without idle zeros behind a whole number below 10 that is exact.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.0095:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1g", v)
}

// span is a time in ns.
func span(ns float64) string { return scaled(ns, 1000, " ns", " µs", " ms", " s") }

// count is a number of things.
func count(n float64) string { return scaled(n, 1000, "", " k", " M", " G") }

// long is a time as people say it, to the second.
func long(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

// percent is a share; less than half a per cent is less than 1 %, not 0.
func percent(share float64) string {
	switch {
	case share == 0:
		return "0 %"
	case share > 0 && share < 0.005:
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// ratio is how many times as much.
func ratio(r float64) string {
	if r == 0 {
		return "-"
	}
	return digits(r) + "×"
}

// number is n of a thing: "1 goroutine", "2 goroutines".
func number(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
