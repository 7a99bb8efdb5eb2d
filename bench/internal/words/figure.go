package words

import (
	"math"
	"strconv"
	"strings"
)

// None is what stands where there is no figure.
const None = "–"

// Time is so many nanoseconds with three digits and a unit: "1.24 µs". Of what is no time, such as
// NaN or less than 0, it is None.
func Time(ns float64) string {
	switch {
	case !finite(ns) || ns < 0:
		return None
	case ns == 0:
		return "0"
	case ns < 999.5:
		return digits(ns) + " ns"
	case ns < 999.5e3:
		return digits(ns/1e3) + " µs"
	case ns < 999.5e6:
		return digits(ns/1e6) + " ms"
	}
	return digits(ns/1e9) + " s"
}

// Count is a number with three digits and k, M or G: "12.3 k". Of what is no number it is None.
func Count(x float64) string {
	if !finite(x) {
		return None
	}
	sign := ""
	if x < 0 {
		sign, x = "-", -x
	}
	switch {
	case x < 999.5:
		return sign + digits(x)
	case x < 999.5e3:
		return sign + digits(x/1e3) + " k"
	case x < 999.5e6:
		return sign + digits(x/1e6) + " M"
	}
	return sign + digits(x/1e9) + " G"
}

// Whole is a number with its digits in groups of three: "12,345".
func Whole(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Bytes is so many bytes: "1.5 kB".
func Bytes(n float64) string {
	text := Count(n)
	if text == None {
		return None
	}
	if number, unit, scaled := strings.Cut(text, " "); scaled {
		return number + " " + unit + "B"
	}
	return text + " B"
}

// Ratio is a multiple: "1.31×". Of 0, which stands for none, it is None.
func Ratio(x float64) string {
	if !finite(x) || x <= 0 {
		return None
	}
	if x < 0.1 || x >= 9.995 {
		return digits(x) + "×"
	}
	return fixed(x, 2) + "×"
}

// Percent is a share, 0 to 1, as per cent: "3.5 %".
func Percent(share float64) string {
	if !finite(share) {
		return None
	}
	if percent := math.Abs(100 * share); percent != 0 && percent < 9.95 {
		return fixed(100*share, 1) + " %"
	}
	return fixed(100*share, 0) + " %"
}

// List is items in a sentence: "a, b and c". Of more than most it says how many are left out.
func List(items []string, most int) string {
	if len(items) > most {
		return strings.Join(items[:most], ", ") + " and " + strconv.Itoa(len(items)-most) + " more"
	}
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// digits is x with three digits, and no zeros behind a point.
func digits(x float64) string {
	text := ""
	switch {
	case x == 0:
		return "0"
	case x < 1e-6:
		return strconv.FormatFloat(x, 'g', 2, 64)
	case x < 0.001:
		text = fixed(x, 1-int(math.Floor(math.Log10(x))))
	case x < 9.995:
		text = fixed(x, 2)
		if x < 0.095 {
			text = fixed(x, 3)
		}
	case x < 99.95:
		text = fixed(x, 1)
	default:
		return fixed(x, 0)
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func fixed(x float64, places int) string { return strconv.FormatFloat(x, 'f', places, 64) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
