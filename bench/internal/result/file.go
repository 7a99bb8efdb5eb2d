package result

import "time"

// Format is what File.Format says. A change that breaks readers gets a new number.
const Format = "lidobench/1"

// A File is one run.
type File struct {
	Format  string      `json:"format"`
	Env     Environment `json:"env"`
	Method  Method      `json:"method"`
	Started time.Time   `json:"started"`
	Seconds float64     `json:"seconds"` // how long the run took

	// Partial says that the run was ended early: some cells have fewer samples, or none.
	Partial bool `json:"partial,omitempty"`
	// Summary says in words what came out, a sentence each. Warnings say why to doubt it.
	Summary  []string `json:"summary,omitempty"`
	Warnings []string `json:"warnings,omitempty"`

	Cells     []Cell     `json:"cells,omitempty"`     // of lidobench run
	Timelines []Timeline `json:"timelines,omitempty"` // of lidobench scenario
}

// An Environment is where a run took place. It holds no name of a machine or a user.
type Environment struct {
	Go         string `json:"go"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	Commit     string `json:"commit,omitempty"` // of Lido, with -dirty if there were changes
	Version    string `json:"version,omitempty"`
}

// A Method is how it was measured.
type Method struct {
	Rounds   int           `json:"rounds"`
	Warm     time.Duration `json:"warm_ns"`   // before each window
	Window   time.Duration `json:"window_ns"` // in which is counted
	Seed     uint64        `json:"seed"`      // of everything drawn at random
	Baseline string        `json:"baseline,omitempty"`
}

// A Cell is one pool under one workload: what one line of the table shows.
type Cell struct {
	Workload   string  `json:"workload"`         // its name, unique in the file
	Spec       string  `json:"spec"`             // what it does, as --workload takes it
	Backend    string  `json:"backend"`          // without secrets
	Pool       string  `json:"pool"`             // its name, unique among those under the same conditions
	Config     string  `json:"config,omitempty"` // of Lido: the config text of the strategy
	Goroutines int     `json:"goroutines"`       // that ask; with a rate, at most at once
	Size       int     `json:"size,omitempty"`   // resources the pool may have; 0: its own affair
	Rate       float64 `json:"rate,omitempty"`   // arrivals per second asked for. 0: closed loop

	// Shared says that several hold a resource at the same time. If its users take turns, they wait within the op,
	// after the acquire: such waits do not compare with those of other pools.
	Shared bool `json:"shared,omitempty"`
	// Unfit says why it was not measured: the pool cannot do that work.
	Unfit string `json:"unfit,omitempty"`
	// Failed is the error that ended its measurement.
	Failed string `json:"failed,omitempty"`

	Samples []Sample `json:"samples,omitempty"` // one for each round
	Median  Sample   `json:"median"`            // figure by figure; what is a maximum is the greatest
	// Spread is the middle half of the rounds' ns per op, as a share of their median.
	Spread float64 `json:"spread,omitempty"`
	// Ratio is the throughput as a multiple of the baseline's under the same conditions: the
	// median of the rounds' ratios.
	Ratio float64 `json:"ratio,omitempty"`
	// Waits is the distribution of the waits of all rounds, as a curve: the quantiles that a
	// chart needs, ascending, the last of which is 1.
	Waits []Quantile `json:"waits,omitempty"`
}

// A Quantile is what a share of the waits do not exceed.
type Quantile struct {
	Share float64 `json:"share"` // 0 to 1
	Ns    int64   `json:"ns"`
}

// A Sample is what one window found. An op is one visit: acquire, use, release.
type Sample struct {
	Ops       uint64  `json:"ops"`     // that ended well
	Seconds   float64 `json:"seconds"` // of the window
	OpsPerSec float64 `json:"ops_per_sec"`
	NsPerOp   float64 `json:"ns_per_op"` // of the window, by the ops of all goroutines together

	// How long an acquire took, nested ones too. With a rate it counts from when the
	// arrival was due, so that what came late because others were slow is not hidden.
	WaitMean float64 `json:"wait_mean_ns,omitempty"`
	WaitP50  int64   `json:"wait_p50_ns,omitempty"`
	WaitP90  int64   `json:"wait_p90_ns,omitempty"`
	WaitP99  int64   `json:"wait_p99_ns,omitempty"`
	WaitP999 int64   `json:"wait_p999_ns,omitempty"`
	WaitMax  int64   `json:"wait_max_ns,omitempty"`

	// Fairness, of a closed loop with more than one goroutine.
	Jain   float64 `json:"jain,omitempty"`    // 1: all did the same number of ops; 1/goroutines: one did all
	MaxMin float64 `json:"max_min,omitempty"` // most ops of a goroutine by fewest; the fewest counts as 1 at least

	Opens    uint64 `json:"opens"`              // of resources, as the backend counts, in the window
	Closes   uint64 `json:"closes"`             // the same
	PeakOpen int    `json:"peak_open"`          // most resources at once, warm-up included
	Sessions int    `json:"sessions,omitempty"` // most connections as the server counted them

	AllocsPerOp float64 `json:"allocs_per_op"` // of the whole process
	BytesPerOp  float64 `json:"bytes_per_op"`
	CPUPerOp    float64 `json:"cpu_ns_per_op"` // of the whole process, user and system. Negative: not measured
	// CPUWaiting is how many cores the process used while all resources were held and all other
	// goroutines waited: 0.01 is one per cent of one core. Negative: not measured.
	CPUWaiting float64 `json:"cpu_waiting"`

	// Errors are by kind, as the target calls it. "unserved" are arrivals at a rate that were still due when the window
	// ended, as all goroutines were busy.
	Errors map[string]uint64 `json:"errors,omitempty"`
}

// Failures is how many ops ended with an error.
func (s Sample) Failures() (n uint64) {
	for _, k := range s.Errors {
		n += k
	}
	return n
}

// A Timeline is a scenario with one pool.
type Timeline struct {
	Scenario string `json:"scenario"`
	About    string `json:"about"` // what happens in it, a sentence
	Backend  string `json:"backend"`
	Pool     string `json:"pool"`
	Config   string `json:"config,omitempty"`
	Failed   string `json:"failed,omitempty"`

	Marks   []Mark  `json:"marks"`
	Points  []Point `json:"points"`
	Verdict Verdict `json:"verdict"`
}

// A Mark is a moment at which something was done to the pool.
type Mark struct {
	At   float64 `json:"at"` // seconds since the beginning
	Text string  `json:"text"`
}

// A Point is what was seen at a moment, and in the interval before it.
type Point struct {
	At      float64 `json:"at"` // seconds since the beginning
	Open    int     `json:"open"`
	InUse   int     `json:"in_use"`
	Waiting int     `json:"waiting"`
	Ops     uint64  `json:"ops"`                   // that ended well in the interval
	Errors  uint64  `json:"errors"`                // in the interval
	WaitP99 int64   `json:"wait_p99_ns,omitempty"` // of the waits that ended in the interval
}

// A Verdict is a scenario in a few figures.
type Verdict struct {
	Ops      uint64            `json:"ops"`
	Errors   map[string]uint64 `json:"errors,omitempty"`
	PeakOpen int               `json:"peak_open"`
	Opens    uint64            `json:"opens"`
	WaitP50  int64             `json:"wait_p50_ns"`
	WaitP99  int64             `json:"wait_p99_ns"`
	WaitMax  int64             `json:"wait_max_ns"`
	// Recovery is how long after the trouble had ended the throughput was back at nine tenths of
	// that before it. Negative: it was not. 0: the scenario has no such moment, or was ended before.
	Recovery float64 `json:"recovery_sec"`
	// Leaked is how many resources were still lent when all had gone home. Negative: not measured.
	Leaked int `json:"leaked"`
	// Text is the same in a sentence or two.
	Text string `json:"text"`
}
