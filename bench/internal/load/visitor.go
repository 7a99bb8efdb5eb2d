package load

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"
)

// A visitor is a goroutine that asks for resources, with all that it counts, so that no two write
// to one cache line.
type visitor struct {
	run    *run
	shard  *shard
	source rand.PCG
	rand   *rand.Rand
	ctx    context.Context                   // of its visits: one that all share would be a lock that all take
	inside func(context.Context, Conn) error // v.enter: made once, as each costs an allocation
	timer  *time.Timer

	depth   int           // of nested acquires
	began   time.Duration // the acquire under way, or when it was due. unmeasured: nobody asks
	timed   bool          // its wait counts
	waiting bool          // it has not been served. Only where it may end before that
	gaveUp  bool          // an acquire of the last visit has ended by ctx
	cut     bool          // a use ended only with the measurement's ctx
	told    bool          // that something has counted
	turn    time.Duration // when it yielded last
	row     int           // errors in a row

	ops    uint64
	errors map[string]uint64
	waits  [256]time.Duration // not yet in the shard
	kept   int                // of them

	_ [128]byte
}

func newVisitor(r *run, i int) *visitor {
	v := &visitor{run: r, shard: &r.shards[i%len(r.shards)], errors: map[string]uint64{}, timer: time.NewTimer(0)}
	v.timer.Stop()
	v.source.Seed(r.in.Seed, uint64(i)*spread)
	v.rand = rand.New(&v.source)
	v.inside = v.enter
	return v
}

// spread makes far seeds of near ones: 2^64 divided by the golden ratio.
const spread = 0x9E3779B97F4A7C15

// visit acquires, holds and releases. began is when it was due; unmeasured if nobody asks.
func (v *visitor) visit(ctx context.Context, began time.Duration) error {
	if v.run.bounded {
		return v.visitBounded(ctx, began)
	}
	v.began = began
	return v.run.target.Visit(ctx, v.inside)
}

// visitBounded is visit with a deadline, or for those who may give up.
func (v *visitor) visitBounded(ctx context.Context, began time.Duration) error {
	r, w := v.run, &v.run.w
	if w.Deadline > 0 {
		c, cancel := context.WithDeadline(ctx, r.begin.Add(began+w.Deadline))
		defer cancel()
		ctx = c
	}
	if w.Cancel > 0 && v.rand.Float64() < w.Cancel {
		c, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx = c
		giveUp := time.AfterFunc(began+w.Patience.Draw(v.rand)-r.now(), cancel)
		defer giveUp.Stop()
	}
	if w.Rate == 0 || v.depth > 0 {
		began = r.now() // making a ctx is no wait
	}
	v.began, v.waiting = began, true
	err := r.target.Visit(ctx, v.inside)
	if v.waiting {
		v.waiting = false
		if v.timed && ctx.Err() == context.DeadlineExceeded {
			v.keep(r.now() - began)
		}
	}
	if err != nil && ctx.Err() != nil {
		v.gaveUp = true
	}
	return err
}

// enter is what a visitor does with what it was lent.
func (v *visitor) enter(ctx context.Context, c Conn) error {
	r := v.run
	phase := r.phase.Load()
	switch {
	case v.timed:
		v.keep(r.now() - v.began)
	case phase == ended: // it has waited since before the window, all through it
		if v.began == unmeasured {
			v.began = r.started
		}
		v.keep(r.now() - v.began)
	}
	if r.bounded {
		v.waiting = false
		ctx = lent{v.ctx, ctx}
	}
	if phase == ended {
		return nil
	}
	if err := v.hold(ctx, c); err != nil {
		return err
	}
	if v.depth == r.w.Nested {
		return nil
	}
	began := time.Duration(unmeasured)
	if v.timed || r.bounded {
		began = r.now()
	}
	v.depth++
	err := v.visit(ctx, began)
	v.depth--
	return err
}

// A lent ctx is that of a holder: what bounded its acquire bounds it no more.
type lent struct {
	context.Context                 // ends with the measurement
	given           context.Context // has the pool's values
}

// Value implements context.Context. The first is asked first, so that package context finds what it
// knows about its end, and needs no goroutine for it.
func (c lent) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.given.Value(key)
}

func (v *visitor) hold(ctx context.Context, c Conn) error {
	w := &v.run.w
	switch w.Hold.Kind {
	case Yield:
		runtime.Gosched()
	case Spin:
		v.spin(w.Hold.For.Draw(v.rand))
	case Sleep:
		v.sleep(w.Hold.For.Draw(v.rand))
	case Query:
		err := c.Use(ctx, w.Writes > 0 && v.rand.Float64() < w.Writes)
		if err != nil && v.ctx.Err() != nil {
			v.cut = true
		}
		return err
	}
	return nil
}

// spin computes for d, or until all is over.
func (v *visitor) spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d && v.run.phase.Load() != ended; {
	}
}

// sleep waits for d. It reports false if all was over before.
func (v *visitor) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	if d <= 20*time.Millisecond { // not worth a channel
		time.Sleep(d)
		return true
	}
	v.timer.Reset(d)
	defer v.timer.Stop()
	select {
	case <-v.timer.C:
		return true
	case <-v.run.gone:
		return false
	}
}

// done counts a visit that ended in a phase.
func (v *visitor) done(err error, phase int32) {
	if v.kept > len(v.waits)-2*mostNested {
		v.flush()
	}
	if phase != counting {
		return
	}
	v.tell()
	if err == nil {
		v.ops++
		return
	}
	v.errors[v.run.target.Kind(err)]++
}

// tell says that something has counted.
func (v *visitor) tell() {
	if !v.told {
		v.told = true
		v.run.once.Do(func() { close(v.run.found) })
	}
}

// now is the moment, once others have had the processor if this one may have had it for long.
// It holds nothing then.
func (v *visitor) now() time.Duration {
	now := v.run.now()
	if v.run.crowded && now-v.turn > longBatch {
		runtime.Gosched()
		now = v.run.now()
		v.turn = now
	}
	return now
}

// keep remembers a wait. It has no lock, and touches no memory that others do.
func (v *visitor) keep(wait time.Duration) {
	v.waits[v.kept] = wait
	v.kept++
}

// flush puts the waits where those of others are. Nothing is held meanwhile.
func (v *visitor) flush() {
	v.shard.Lock()
	defer v.shard.Unlock()
	for _, wait := range v.waits[:v.kept] {
		v.shard.waits.Add(wait)
	}
	v.kept = 0
}
