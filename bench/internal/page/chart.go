package page

import (
	"encoding/json"
	"math"

	"github.com/lidopool/lido/bench/internal/result"
)

// A chart is what page.js draws: one of the kinds below. Pools are indexes into drawing.Pools.
type chart struct {
	Kind string `json:"kind"`
	Unit unit   `json:"unit,omitempty"`
	Pool *int   `json:"pool,omitempty"` // the only one that it shows

	Bars   []bar     `json:"bars,omitempty"`
	Curves []curve   `json:"curves,omitempty"`
	Heat   *heat     `json:"heat,omitempty"`
	Time   *timeline `json:"time,omitempty"`
	X      []string  `json:"x,omitempty"` // of lines: the categories
	XName  string    `json:"xname,omitempty"`
}

// The kinds of charts.
const (
	barsKind      = "bars"      // a figure of each pool, with a dot for each round
	quantilesKind = "quantiles" // waits by percentile
	linesKind     = "lines"     // a figure over goroutines or sizes
	heatKind      = "heat"      // a figure by two things
	timelineKind  = "timeline"  // what happened in a scenario
)

// A unit says how figures are written.
type unit string

const (
	perSecond unit = "ops/s"
	nanosec   unit = "ns"
	multiple  unit = "ratio"
)

// A figure is a number as JSON has it: what is not finite is null.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// gap is the number that is not there.
var gap = number(math.NaN())

// positive is x, or a gap if there is none.
func positive(x float64) number {
	if x > 0 {
		return number(x)
	}
	return gap
}

type bar struct {
	Pool   int      `json:"pool"`
	Value  number   `json:"value"`
	Rounds []number `json:"rounds,omitempty"`
	Ratio  number   `json:"ratio"`
	Note   string   `json:"note,omitempty"` // why there is no value
}

type curve struct {
	Pool   int         `json:"pool"`
	Points [][2]number `json:"points"` // share and nanoseconds, or index of X and figure
}

type heat struct {
	Rows    []string    `json:"rows"`
	Columns []string    `json:"columns"`
	RowName string      `json:"row_name,omitempty"`
	ColName string      `json:"col_name,omitempty"`
	Cells   [][3]number `json:"cells"` // column, row, figure
}

// A timeline is columns rather than points, which is shorter.
type timeline struct {
	At      []number      `json:"at"`
	Open    []int         `json:"open"`
	InUse   []number      `json:"in_use"`
	Waiting []number      `json:"waiting"`
	Ops     []number      `json:"ops"`    // per second
	Errors  []number      `json:"errors"` // per second
	P99     []number      `json:"p99"`
	Marks   []result.Mark `json:"marks"`
	// The greatest of all pools in the scenario, so that their charts can be compared.
	Most limits `json:"most"`
}

type limits struct {
	At    number `json:"at"`
	Count number `json:"count"` // of open, in use, waiting
	Rate  number `json:"rate"`  // of ops and errors per second
	Least number `json:"least"` // p99 above 0
	P99   number `json:"p99"`
}

// A drawing is all that page.js gets.
type drawing struct {
	Pools  []string         `json:"pools"`
	Charts map[string]chart `json:"charts"`
}
