package load

import (
	"runtime"
	"time"
)

// comeAgain is a closed loop: who has been served comes again, after a while or at once.
func (v *visitor) comeAgain() {
	r := v.run
	thinks := !r.w.Think.IsZero()
	for phase := r.phase.Load(); phase != ended; phase = r.phase.Load() {
		if thinks {
			if !v.sleep(r.w.Think.Draw(v.rand)) {
				return
			}
			if phase = r.phase.Load(); phase == ended {
				return
			}
		}
		v.timed = phase == r.waiting
		began := time.Duration(unmeasured)
		if !r.apart || v.timed {
			began = v.now()
		}
		err := v.visit(v.ctx, began)
		v.done(err, r.phase.Load())
		v.pause(err, began)
	}
}

// A batch of cycles should last so long that neither reading the clock nor looking at the phase
// shows, and not so long that a window could end amid one, to speak of.
const (
	shortBatch = 25 * time.Microsecond
	longBatch  = 100 * time.Microsecond
	mostBatch  = 1 << 16
)

// cycle is comeAgain without a hold, until waits are to be timed.
func (v *visitor) cycle() {
	r := v.run
	batch := 1
	last := r.now()
	for phase := r.phase.Load(); phase < timing; {
		err := r.target.Cycle(v.ctx, batch)
		now := r.now()
		phase = r.phase.Load()
		switch {
		case err != nil:
			// How many went well before the error nobody knows, so they do not count; and
			// the next batch is of one.
			v.done(err, phase)
			v.pause(err, last)
			batch = 1
			last = r.now()
			continue
		case phase == counting:
			v.ops += uint64(batch)
			v.tell()
		}
		v.row = 0
		switch took := now - last; {
		case took < shortBatch && batch < mostBatch:
			batch *= 2
		case took > longBatch && batch > 1:
			batch /= 2
		}
		if last = now; r.crowded {
			runtime.Gosched()
			last = r.now()
		}
	}
}

// pause lets others have the processor after an error. began is when what failed had begun;
// unmeasured if nobody knows.
func (v *visitor) pause(err error, began time.Duration) {
	gaveUp := v.gaveUp
	v.gaveUp = false
	switch {
	case err == nil:
		v.row = 0
	case gaveUp:
		runtime.Gosched()
	case v.row == 0:
		v.row++
		runtime.Gosched()
	default:
		// Arbitrary: long enough to be cheap, short enough to be there when things are well again.
		pause := min(50*time.Microsecond<<min(v.row-1, 5), time.Millisecond)
		if began != unmeasured {
			pause -= v.run.now() - began // what took its time has left the processor to others
		}
		v.sleep(pause)
		v.row++
	}
}
