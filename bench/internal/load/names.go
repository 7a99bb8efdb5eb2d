package load

import "time"

// A Preset is a workload that has a name.
type Preset struct {
	Name  string
	About string // what it shows, a sentence
	Spec  string // its full text
}

// Names are the workloads that have a name, those that show most first.
func Names() []Preset {
	var all []Preset
	for _, p := range presets {
		all = append(all, Preset{p.w.Name, p.about, p.w.String()})
	}
	return all
}

type preset struct {
	w     Workload
	about string
}

// The numbers are chosen for pools of about 10 resources whose use takes up to a millisecond, as
// that of a database nearby does.
var presets = []preset{{
	Workload{Name: "cycle", Hold: Hold{Kind: None}},
	"acquire and release at once: the price of the pool alone",
}, {
	Workload{Name: "contention", Hold: Hold{Kind: Yield}},
	"a holder yields the processor once: many goroutines for few resources, so that the line is always long",
}, {
	Workload{Name: "query", Hold: Hold{Kind: Query}},
	"a holder makes one query, and comes again at once",
}, {
	// As long as a query of a database nearby, so that half of the goroutines want a resource at
	// any time.
	Workload{Name: "think", Hold: Hold{Kind: Query}, Think: Exp(time.Millisecond)},
	"a goroutine pauses between queries, 1 ms on average, so that resources are idle now and then",
}, {
	// A wake-up takes some microseconds, so one that comes late or for nothing shows in the throughput,
	// but does not drown what the holders do.
	Workload{Name: "hold-spin", Hold: Hold{Kind: Spin, For: Const(10 * time.Microsecond)}},
	"a holder computes for 10 µs: the pool competes with its users for the processors",
}, {
	// The shortest that timers of all systems keep to within a tenth or so.
	Workload{Name: "hold-sleep", Hold: Hold{Kind: Sleep, For: Const(time.Millisecond)}},
	"a holder waits for 1 ms, as for a server: the processors are idle",
}, {
	// 20 are twice as many as there are resources, so that half of a burst has to wait. 100 bursts a
	// second make many even in a short window, and leave 9 of 10 ms between them, so that a pool
	// that is through in time meets each at rest.
	Workload{Name: "burst", Hold: Hold{Kind: Query}, Rate: 2000, Burst: 20},
	"queries arrive 20 at a time, 100 times a second, however the pool fares: waits count from when they were due",
}, {
	// A common rule of thumb for what people do with a database: four reads to a write.
	Workload{Name: "mixed", Hold: Hold{Kind: Query}, Writes: 0.2},
	"a fifth of the queries write",
}, {
	// One more is enough for holders to wait for each other. Without a deadline they would for ever;
	// 50 ms are far longer than any wait that is not for ever.
	Workload{Name: "nested", Hold: Hold{Kind: Query}, Nested: 1, Deadline: 50 * time.Millisecond},
	"a holder acquires once more while it holds, with a deadline of 50 ms: where each needs a second resource, all can wait for each other",
}, {
	// A fifth is enough that there is always one who gives up in line, and few enough that the
	// others' figures say how they fare beside them. 100 µs are about as long as the line of a few
	// queries.
	Workload{Name: "cancel", Hold: Hold{Kind: Query}, Cancel: 0.2, Patience: Exp(100 * time.Microsecond)},
	"a fifth of the acquires are given up, 100 µs after they began on average",
}}

// named is the preset of a name; ok is false if there is none.
func named(name string) (w Workload, ok bool) {
	for _, p := range presets {
		if p.w.Name == name {
			return p.w, true
		}
	}
	return Workload{}, false
}
