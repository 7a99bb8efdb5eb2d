package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A report is what a run found, as it is written to a file.
type report struct {
	Env  environment `json:"env"`
	Rows []row       `json:"rows"`
}

// An environment is what a figure depends on besides the code that it measures.
type environment struct {
	GOOS       string            `json:"goos"`
	GOARCH     string            `json:"goarch"`
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	Go         string            `json:"go"`
	Commit     string            `json:"commit"`
	Date       time.Time         `json:"date"`
	Quick      bool              `json:"quick"`
	Peers      map[string]string `json:"peers"` // versions; a peer of the standard library has that of Go
}

// A row is a pool at a work. What was not measured is 0.
type row struct {
	Work        string  `json:"work"`
	Pool        string  `json:"pool"`
	NsPerOp     float64 `json:"ns_per_op"`     // median of the runs
	AllocsPerOp float64 `json:"allocs_per_op"` // median
	P99WaitNs   float64 `json:"p99_wait_ns"`   // median
	MaxWaitNs   float64 `json:"max_wait_ns"`   // the longest of all runs
	Jain        float64 `json:"jain"`          // median
	Runs        int     `json:"runs"`          // those that went well
	MinNs       float64 `json:"min_ns"`        // the least ns_per_op
	MaxNs       float64 `json:"max_ns"`        // the greatest
	RatioToLido float64 `json:"ratio_to_lido"` // of ns_per_op
	Error       string  `json:"error,omitempty"`
}

// newEnvironment describes this machine. An empty commit is asked of the binary.
func newEnvironment(commit string, quick bool) environment {
	e := environment{
		GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, CPU: cpuModel(), Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Go: runtime.Version(), Commit: commit, Date: time.Now().UTC().Truncate(time.Second), Quick: quick, Peers: map[string]string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			for _, p := range peers {
				if p.module == m.Path {
					e.Peers[p.name] = m.Version
				}
			}
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && e.Commit == "" {
				e.Commit = s.Value
			}
		}
	}
	if e.Commit == "" {
		e.Commit = "unknown"
	}
	return e
}

// cpuModel is what Linux says about x86; elsewhere one has to know it.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func (r report) json() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "\t")
	return append(text, '\n'), err
}

// writeFile writes the whole of a file or nothing: the name stands for the old content
// until the new one is complete.
func writeFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain once it is renamed
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
