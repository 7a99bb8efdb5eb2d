package pooltest

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
)

// The promises about how many and who.

func limitsMakeSense(k *kit) {
	s := k.newStrategy()
	if s.Kind() == "" {
		k.Error("Kind is empty")
	}
	if k.Seats != pool.Unlimited && k.Seats < 1 {
		k.Errorf("Limits.Seats is %d, want 1 or more, or pool.Unlimited", k.Seats)
	}
	if k.Keep != pool.Unlimited && k.Keep < 0 {
		k.Errorf("Limits.Keep is %d, want 0 or more, or pool.Unlimited", k.Keep)
	}
	if k.bounded() && (k.Keep == pool.Unlimited || k.Keep > k.Seats) {
		k.Errorf("Limits.Keep is %d of %d seats, want no more than there are", k.Keep, k.Seats)
	}
	if k.Linger < 0 {
		k.Errorf("Limits.Linger is %v, want 0 or more", k.Linger)
	}
	if _, ok := k.seat().seating.(pool.Sharer); k.shares() && !ok {
		k.Errorf("Limits.Sharing is %d but the Seating is no pool.Sharer", k.Sharing)
	}
}

func eachStartIsIndependent(k *kit) {
	one := k.newStrategy()
	k.newStrategy = func() pool.Strategy { return one }
	other := *k
	k.open()
	other.open()
	held, others := k.fill(0), other.fill(0)
	k.release(held...)
	k.end()
	other.release(others...)
	other.release(other.acquire())
	other.end()
}

func seatsBoundWhatIsOpen(k *kit) {
	k.open()
	k.release(k.fill(0)...)
	k.pool.Dispose()

	held := k.fill(0)
	k.pool.Dispose() // with leases out
	k.release(held...)
	held = k.fill(0)
	k.pool.Invalidate(nil)
	k.release(held...)
	for _, l := range k.fill(0) {
		if err := l.Discard(nil); err != nil {
			k.Errorf("Discard: %v, want nil", err)
		}
	}
	held = k.fill(0)
	if k.waits() {
		c := k.call(patience, nil)
		if c.done() {
			k.Errorf("with %d seats held, one more Acquire answered %v; it should wait", len(held), c.err)
		}
		k.release(held[0])
		synctest.Wait()
		held[0] = c.lease
	}
	k.release(held...)
	k.end()
	if n := k.fake.MaxOpen(); n > k.Seats {
		k.Errorf("Limits.Seats is %d, but %d resources were open at once", k.Seats, n)
	}
}

func trafficLeavesEveryoneWhole(k *kit) {
	for range 3 {
		tr := newTraffic(k)
		// Detached resources are beyond the limit by right, so that it can be tested
		// exactly only without them.
		tr.detaching = k.now() > 0
		tr.rounds(8, 300)
		tr.finish()
		synctest.Wait()
	}
}

func keepBoundsWhatIsIdle(k *kit) {
	k.open()
	k.release(k.fill(0)...)
	s := k.pool.Stats()
	if k.Keep != pool.Unlimited && k.Linger == 0 && s.Idle > k.Keep {
		k.Errorf("after %d returns %d are idle, want Limits.Keep, %d, at most", k.many(), s.Idle, k.Keep)
	}
	if n := k.fake.OpenNow(); n != s.Idle {
		k.Errorf("at rest %d resources are open and %d idle, want as many", n, s.Idle)
	}
	k.end()
}

func ownersKeepApart(k *kit) {
	k.open()
	held := k.fill(1)
	mine := k.stranger()
	l, err := k.pool.Acquire(mine)
	if err != nil {
		k.Fatalf("Acquire of the last seat: %v, want a lease", err)
	}
	seen := make(map[*Resource]bool)
	for _, l := range append(held, l) {
		if r := l.Value(); seen[r] {
			k.Errorf("two owners got resource %d", r.ID)
		} else {
			seen[r] = true
		}
	}
	if k.Sharing == pool.Nested {
		again, err := k.pool.Acquire(mine)
		if err != nil {
			k.Fatalf("second Acquire of one owner, with every seat held: %v, want a share of its first", err)
		}
		if again.Value() != l.Value() {
			k.Errorf("second Acquire of one owner got resource %d, want its first, %d", again.Value().ID, l.Value().ID)
		}
		k.release(again)
		l.Value().Use(k)
	}
	k.release(append(held, l)...)

	u, err := k.pool.AcquireUnique(mine)
	if err != nil {
		k.Fatalf("AcquireUnique: %v, want a lease", err)
	}
	if k.many() > 1 {
		l, err := k.pool.Acquire(mine)
		if err != nil {
			k.Fatalf("Acquire beside AcquireUnique: %v, want a lease", err)
		}
		if l.Value() == u.Value() {
			k.Errorf("AcquireUnique shares resource %d with an Acquire", u.Value().ID)
		}
		k.release(l)
	}
	k.release(u)
	k.end()
}

// standstill is the longest that AcquireWhileMoving waits in a line that does not move.
const standstill = 20 * time.Millisecond

func tryAcquireNeverWaits(k *kit) {
	k.open()
	l, err := k.pool.TryAcquire(k.stranger())
	if err != nil {
		k.Fatalf("TryAcquire of an unused pool: %v, want a lease", err)
	}
	k.release(l)

	held := k.fill(0)
	ctx, cancel := context.WithTimeout(k.stranger(), patience)
	defer cancel()
	before := k.now()
	l, err = k.pool.TryAcquire(ctx)
	if took := k.now() - before; took != 0 {
		k.Errorf("TryAcquire with every seat held took %v, want no time", took)
	}
	switch {
	case err == nil && (k.Sharing == pool.Common || !k.bounded()):
		k.release(l)
	case err == nil:
		k.Error("TryAcquire with every seat held got a lease")
	case !k.refused(err):
		k.Errorf("TryAcquire with every seat held: %v, want ErrExhausted", err)
	}
	before = k.now()
	l, err = k.pool.AcquireWhileMoving(ctx)
	switch took := k.now() - before; {
	case err == nil && (k.Sharing == pool.Common || !k.bounded()):
		k.release(l)
	case err == nil:
		k.Error("AcquireWhileMoving with every seat held got a lease")
	case !k.refused(err):
		k.Errorf("AcquireWhileMoving with every seat held: %v, want ErrExhausted", err)
	case took > standstill:
		k.Errorf("AcquireWhileMoving with every seat held for good took %v, want %v at most", took, standstill)
	}
	k.release(held...)
	if l, err = k.pool.TryAcquire(k.stranger()); err != nil {
		k.Errorf("TryAcquire after all were returned: %v, want a lease", err)
	}
	k.release(l)
	k.end()
}

func secondReleaseIsHarmless(k *kit) {
	k.open()
	held := k.fill(1)
	first := k.acquire()
	k.release(first)
	next := k.acquire()
	if err := first.Release(); !errors.Is(err, pool.ErrReleased) {
		k.Errorf("second Release: %v, want ErrReleased", err)
	}
	if _, err := next.Get(); err != nil {
		k.Errorf("the next holder's Get after a second Release by the first: %v, want nil", err)
	}
	if k.bounded() && k.apart() {
		if _, err := k.pool.TryAcquire(k.stranger()); !k.refused(err) {
			k.Errorf("TryAcquire after a second Release, with every seat held: %v, want to be refused", err)
		}
	}
	k.release(append(held, next)...)
	k.end()
}
