package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/target"
)

// patience is how long anything may take that should be done by then, before it is an error of the pool.
const patience = 5 * time.Second

// Run puts t, a new pool over b, through s, and closes it. Every tick there is a point. The scale stretches the
// scenario: 0.5 is half as long; what opening and using take, and deadlines, stay. If ctx ends first the timeline ends there, and the error is ctx's cause.
// At the end b is as healthy as before. The result's Pool and Config are the caller's to fill in.
//
// A pool whose requests do not end is abandoned after some seconds, and the timeline says so in Failed; so it does of
// a Close that fails.
//
// It may run in a bubble of testing/synctest if b may, but for a leak from a pool that has Drop: a bubble
// does not wait for the garbage collector.
func Run(ctx context.Context, s Scenario, t load.Target, b target.Backend, in Setting) (result.Timeline, error) {
	in = in.withDefaults()
	r := &run{s: s, t: t, b: b, in: in, plan: s.plan(in.Scale), record: record{errors: map[string]uint64{}},
		points: []result.Point{}, marks: []result.Mark{}, remember: make(chan struct{})}
	r.factor.Store(1)
	r.record.warm = r.plan.warm
	r.life, r.end = context.WithCancelCause(ctx)
	defer r.end(nil)
	r.play()
	var failed []error
	if err := r.goHome(); err != nil {
		failed = append(failed, err)
	}
	if ctx.Err() == nil {
		r.look()
	}
	r.judge(ctx.Err() == nil)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	close(r.remember)
	if len(failed) == 0 { // else nobody knows who still has what
		r.all.Wait()
	}
	if err := t.Close(closing); err != nil {
		failed = append(failed, fmt.Errorf("close: %w", err))
	}
	tl := result.Timeline{Scenario: s.Name, About: s.About, Backend: b.Name(), Marks: r.marks, Points: r.points, Verdict: r.verdict}
	if err := errors.Join(failed...); err != nil {
		tl.Failed = err.Error()
	}
	if ctx.Err() != nil {
		return tl, context.Cause(ctx)
	}
	return tl, nil
}

// A run is a scenario that goes on.
type run struct {
	s    Scenario
	t    load.Target
	b    target.Backend
	in   Setting
	plan plan

	life  context.Context // of all requests
	end   context.CancelCauseFunc
	begun time.Time
	all   sync.WaitGroup // who may keep a resource for good, too
	busy  sync.WaitGroup // requests, without those that have forgotten to release
	record

	factor    atomic.Int64  // by which the backend is slow
	remember  chan struct{} // closed when who has forgotten to release, and needs us for that, does
	forgotten atomic.Int64  // of those, and of what was dropped
	killed    int
	noted     load.Gauges

	points  []result.Point
	marks   []result.Mark
	verdict result.Verdict

	trouble, after part
}

// play lets everything happen that the plan says, at its time.
func (r *run) play() {
	r.begun = time.Now()
	var arrivals sync.WaitGroup
	arrivals.Go(func() {
		for _, q := range r.plan.requests() {
			if !r.until(q.due) {
				return
			}
			r.record.come()
			r.busy.Add(1)
			r.all.Go(func() { r.request(q) })
		}
	})
	acts, tick, collect := r.plan.acts, r.in.Tick, r.plan.collect
	for tick <= r.plan.length || len(acts) > 0 || collect != 0 && collect < r.plan.length {
		switch {
		case collect != 0 && collect < min(tick, r.plan.length) && (len(acts) == 0 || collect < acts[0].at):
			if r.until(collect) {
				runtime.GC()
			}
			collect += r.plan.collect
		case len(acts) > 0 && acts[0].at < tick:
			if r.until(acts[0].at) {
				r.marks = append(r.marks, result.Mark{At: acts[0].at.Seconds(), Text: acts[0].text})
				acts[0].do(r)
			}
			acts = acts[1:]
		default:
			if r.until(tick) {
				r.point(tick)
			}
			tick += r.in.Tick
		}
		if r.life.Err() != nil {
			break
		}
	}
	arrivals.Wait()
	r.b.Faults().Down(false)
	r.b.Faults().Slow(1)
}

// until waits for a moment. It reports false if the run has been ended.
func (r *run) until(at time.Duration) bool {
	return r.sleep(r.life, time.Until(r.begun.Add(at)))
}

func (r *run) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// now is the time since the beginning.
func (r *run) now() time.Duration { return time.Since(r.begun) }

// request is what one user does.
func (r *run) request(q request) {
	home := sync.OnceFunc(r.busy.Done)
	defer home()
	due := r.begun.Add(q.due)
	r.record.began(r.now() - q.due)
	waiting, cancel := context.WithDeadline(r.life, due.Add(r.plan.wait))
	defer cancel()
	whole, cancelWhole := context.WithDeadline(r.life, due.Add(2*r.plan.wait+q.hold))
	defer cancelWhole()

	var err error
	got := false
	dropper, drops := r.t.(target.Dropper)
	if q.forget && drops {
		if err = dropper.Drop(waiting); err == nil {
			got = true
			r.record.got(q, r.now())
			r.record.gaveBack() // as far as we know
			r.forgotten.Add(1)
		}
	} else {
		err = r.t.Visit(waiting, func(_ context.Context, c load.Conn) error {
			got = true
			r.record.got(q, r.now())
			defer r.record.gaveBack()
			err := r.use(whole, c, q)
			if err == nil && q.forget {
				r.record.end(q, r.now(), "")
				r.forgotten.Add(1)
				home()
				<-r.remember
			}
			return err
		})
		if err == nil && q.forget {
			return
		}
	}
	if !got {
		r.record.gotNone(q, r.now())
	}
	switch {
	case r.life.Err() != nil: // we have ended it, and that is no fault of the pool's
	case err != nil:
		r.record.end(q, r.now(), r.t.Kind(err))
	default:
		r.record.end(q, r.now(), "")
	}
}

// use is what a request does with its resource.
func (r *run) use(ctx context.Context, c load.Conn, q request) error {
	begun := time.Now()
	if err := c.Use(ctx, false); err != nil {
		return err
	}
	keep := max(q.hold, r.plan.keep*time.Duration(r.factor.Load()))
	if !r.sleep(ctx, keep-time.Since(begun)) {
		return context.Cause(ctx)
	}
	return nil
}

// slow makes the backend slow.
func (r *run) slow(factor int) {
	r.factor.Store(int64(factor))
	r.b.Faults().Slow(float64(factor))
}

// note keeps the gauges for later.
func (r *run) note() { r.noted = r.t.Gauges() }

// point looks at the pool, and at what happened in the interval that ends now.
func (r *run) point(at time.Duration) {
	g := r.t.Gauges()
	ops, errors, p99, waiting, inUse := r.record.interval()
	p := result.Point{At: at.Seconds(), Open: g.Open, InUse: g.InUse, Waiting: g.Waiting, Ops: ops, Errors: errors, WaitP99: int64(p99)}
	if g.InUse < 0 { // the pool does not say, but we know what we have done
		p.InUse = inUse
	}
	if g.Waiting < 0 {
		p.Waiting = waiting
	}
	r.points = append(r.points, p)
}

// goHome waits until the requests have ended, as each of them has to by its deadline.
func (r *run) goHome() error {
	ended := make(chan struct{})
	go func() { r.busy.Wait(); close(ended) }()
	var longest time.Duration
	for _, q := range r.plan.requests() {
		longest = max(longest, q.hold)
	}
	for _, limit := range []time.Duration{2*r.plan.wait + longest + patience, patience} {
		t := time.NewTimer(limit)
		select {
		case <-ended:
			t.Stop()
			return nil
		case <-t.C:
			r.end(errors.New("scenario: requests go on beyond their deadlines"))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Errorf("requests did not end %v after their deadlines: %d wait, %d have a resource", 2*patience, r.waiting, r.inUse)
}

// look finds out what is still lent. What was dropped comes back when the garbage collector finds it.
func (r *run) look() {
	_, drops := r.t.(target.Dropper)
	left := r.lent()
	for range 5 { // a cleanup may come after its collection
		if left == 0 || !drops || r.forgotten.Load() == 0 {
			break
		}
		runtime.GC()
		r.sleep(r.life, 20*time.Millisecond)
		left = r.lent()
	}
	r.verdict.Leaked = left
}

func (r *run) lent() int {
	if n := r.t.Gauges().InUse; n >= 0 {
		return n
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inUse
}

// calm is the throughput while all is well.
func (r *run) calm() float64 {
	return float64(r.record.part(r.plan.calm).served) / (r.plan.calm.to - r.plan.calm.from).Seconds()
}

// judge sums up. Of a run that was ended early it knows less.
func (r *run) judge(whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, v := r.t.Gauges(), &r.verdict
	v.Ops, v.Opens, v.PeakOpen = uint64(len(r.served)), g.Opened, g.Peak
	if len(r.errors) > 0 {
		v.Errors = r.errors
	}
	v.WaitP50, v.WaitP99, v.WaitMax = int64(quantile(r.waits, 0.5)), int64(quantile(r.waits, 0.99)), int64(quantile(r.waits, 1))
	if !whole {
		v.Leaked, v.Text = -1, "Ended early." // and Recovery is 0: nobody knows
		return
	}
	if r.plan.over > 0 {
		r.trouble = r.record.part(span{r.plan.began, r.plan.over})
		r.after = r.record.part(span{r.plan.over, 1 << 62})
		v.Recovery = -1
		if back := recovery(r.served, r.plan.over, r.plan.length, r.calm()); back >= 0 {
			v.Recovery = back.Seconds()
		}
	}
	v.Text = r.s.tell(r) + r.doubts()
}
