package trial

import "time"

var Median, Spread, CPUInfo = median, spread, cpuinfo

// WarningsOf is what is said of a machine on which the computation took so long.
func WarningsOf(walls []time.Duration, cpu float64) []string {
	n := noise{walls: walls, share: cpu}
	return n.warnings()
}
