package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
)

// A job is one peer under one crowd, and the works whose result that is.
type job struct {
	peer    peer
	crowd   *crowd
	bounded bool
	works   []string
}

// plan lists the jobs of each crowd.
func plan(chosenPeers []peer, chosenWorks []work) [][]*job {
	var all [][]*job
	for _, c := range crowds {
		var jobs []*job
		for _, p := range chosenPeers {
			if !p.fits(c) {
				continue
			}
			var last *job
			for _, w := range chosenWorks {
				switch {
				case w.crowd != c:
				case last != nil && !p.fair:
					last.works = append(last.works, w.name)
				default:
					last = &job{p, c, w.bounded, []string{w.name}}
					jobs = append(jobs, last)
				}
			}
		}
		if len(jobs) > 0 {
			all = append(all, jobs)
		}
	}
	return all
}

// results are the samples of the rounds that went well, and the error of the last that did not.
type results struct {
	samples map[*job][]sample
	errs    map[*job]error
}

// measureAll does every job once a round, so that whatever else the machine does falls on
// all peers alike. It fails only if ctx ends.
func measureAll(ctx context.Context, jobs [][]*job, p pace, progress io.Writer) (results, error) {
	r := results{map[*job][]sample{}, map[*job]error{}}
	for round := range p.rounds {
		for _, ofCrowd := range jobs {
			fmt.Fprintf(progress, "versus: round %d of %d: %s\n", round+1, p.rounds, ofCrowd[0].crowd.name)
			order := slices.Clone(ofCrowd)
			rand.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
			for _, j := range order {
				found, err := j.measure(ctx, p)
				switch {
				case ctx.Err() != nil:
					return results{}, ctx.Err()
				case err != nil:
					fmt.Fprintf(progress, "versus: %s, %s: %v\n", j.peer.name, j.works[0], err)
					r.errs[j] = err
				default:
					r.samples[j] = append(r.samples[j], found)
				}
			}
		}
	}
	return r, nil
}

// measure makes a subject, measures it, and sees to it that nothing of it runs on.
func (j *job) measure(ctx context.Context, p pace) (sample, error) {
	if j.crowd.procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(j.crowd.procs))
	}
	runtime.GC()
	before := runtime.NumGoroutine()
	var opened atomic.Int32
	s, err := j.peer.subject(spec{j.crowd.seats, j.bounded, func(ctx context.Context) (*resource, error) {
		opened.Add(1)
		return nothing(ctx)
	}})
	if err != nil {
		return sample{}, err
	}
	found, err := j.crowd.measure(ctx, j.crowd, s, p)
	s.close()
	if err != nil {
		return sample{}, err
	}
	found.opened = int(opened.Load())
	return found, until(func() bool { return runtime.NumGoroutine() <= before }, "goroutines outlive the pool")
}

// rows are the medians of the samples, in the order of works and peers.
func (r results) rows(jobs [][]*job) []row {
	var all []row
	for _, w := range works {
		first := len(all)
		for _, ofCrowd := range jobs {
			for _, j := range ofCrowd {
				if slices.Contains(j.works, w.name) {
					all = append(all, newRow(w.name, j.peer.name, r.samples[j], r.errs[j]))
				}
			}
		}
		if ours := slices.IndexFunc(all[first:], func(r row) bool { return r.Pool == "lido" }); ours >= 0 {
			for i := first; i < len(all); i++ {
				all[i].RatioToLido = ratio(all[i].NsPerOp, all[first+ours].NsPerOp)
			}
		}
	}
	return all
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// each is a figure of each round.
func each[S any](rounds []S, of func(S) float64) []float64 {
	values := make([]float64, len(rounds))
	for i, s := range rounds {
		values[i] = of(s)
	}
	return values
}

func newRow(work, pool string, samples []sample, err error) row {
	r := row{Work: work, Pool: pool, Runs: len(samples), rounds: samples}
	if err != nil {
		r.Error = err.Error()
	}
	if len(samples) == 0 {
		return r
	}
	ns := each(samples, func(s sample) float64 { return s.nsPerOp })
	r.NsPerOp, r.MinNs, r.MaxNs = median(ns), slices.Min(ns), slices.Max(ns)
	r.AllocsPerOp = median(each(samples, func(s sample) float64 { return s.allocsPerOp }))
	r.P99WaitNs = median(each(samples, func(s sample) float64 { return float64(s.p99) }))
	r.MaxWaitNs = slices.Max(each(samples, func(s sample) float64 { return float64(s.longest) }))
	r.Jain = median(each(samples, func(s sample) float64 { return s.jain }))
	return r
}
