package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// FuzzQueueDoesWhatASliceDoes has one goroutine do to a pool what the bytes say, and compares what it
// gets with a slice of idle resources.
func FuzzQueueDoesWhatASliceDoes(f *testing.F) {
	const (
		try, acquire, release, discard, retire, invalidate, dispose, again, down = 0, 1, 2, 3, 4, 5, 6, 7, 8
	)
	for kind := range byte(12) {
		f.Add([]byte{kind})
		// All seats are filled, one more asked for, all given back in another order, and taken again.
		f.Add([]byte{kind, try, try, try, try, try, release, 1, release, 0, release, 1, release, 0, acquire, acquire, acquire, acquire})
		// Again and again one, while another is idle.
		f.Add([]byte{kind, acquire, acquire, release, 0, acquire, release, 1, release, 0, acquire, release, 0, acquire, release, 0, try, release, 0, acquire})
		// Likewise, the one in the higher seat.
		f.Add([]byte{kind, acquire, acquire, release, 1, acquire, release, 0, release, 0, acquire, release, 0, acquire, release, 0, acquire})
		// Outdated, retired and disposed of, idle and in use; some of it when nothing else is idle.
		f.Add([]byte{kind, try, try, release, 0, invalidate, try, release, 0, retire, 0, release, 0, acquire, dispose, release, 0, acquire})
		f.Add([]byte{kind, try, try, try, retire, 1, release, 0, release, 0, acquire, acquire, acquire, invalidate, release, 0, release, 0, acquire, try, dispose, try})
		// Discarded; released twice; opens that fail.
		f.Add([]byte{kind, down, try, discard, 0, again, 0, try, try, release, 0, again, 0, down, acquire, again, 0, again, 1, release, 0, down, down, try})
		// Released by a stale copy while the next holder has it; one retired, one not, and both idle.
		f.Add([]byte{kind, acquire, release, 0, acquire, again, 0, release, 0, acquire, again, 0, again, 1, acquire, retire, 0, release, 0, release, 0, acquire, try})
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		strayed := ""
		for range 3 { // a collection or a move of the stack, which are nobody's fault, forget what was last
			if strayed = playQueue(t, bytes); strayed == "" {
				return
			}
		}
		t.Fatal(strayed)
	})
}

// playQueue plays a script on a new pool. It returns what it has against the choice of an idle resource
// by affinity; all else is an error of t.
func playQueue(t *testing.T, bytes []byte) (strayed string) {
	s := &script{bytes: bytes}
	queue := strategies.Queue{Size: 3}
	kind := s.next(12)
	queue.Order = []strategies.Order{strategies.Affine, strategies.LIFO, strategies.FIFO}[kind%3]
	if kind/3%2 == 1 {
		queue.Size, queue.MaxOverflow = 2, 2
	}
	synctest.Test(t, func(t *testing.T) {
		fake := pooltest.NewFake()
		p, err := pool.New(fake, queue, pool.Options{NoReset: kind/6 == 1}) // without a reset there is a faster way
		if err != nil {
			t.Fatal(err)
		}
		m := &queueModel{T: t, Pool: p, fake: fake, queue: queue}
		for !s.over() && !t.Failed() {
			m.step(s)
		}
		for len(m.held) > 0 && !t.Failed() {
			m.release(0)
		}
		fake.AllowForcedClose()
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v, want nil", err)
		}
		fake.Verify(t)
		strayed = m.strayed
		if t.Failed() {
			t.Logf("%+v did\n%s", queue, m.story)
		}
	})
	return strayed
}

// queueModel is a queue as slices say it should be.
type queueModel struct {
	*testing.T
	*pool.Pool[*resource]
	fake  *pooltest.Fake
	queue strategies.Queue
	story string // what has been done, for the report

	idle           []*kept // in order of return
	held           []*kept
	ended          []lease // by Release
	gone           []lease // by Discard
	opened, closed int
	misused        uint64
	last           *kept // that Acquire lent from among the idle ones, if nothing else was lent since
	strayed        string
}

// kept is an open resource.
type kept struct {
	id       int
	seat     pool.Seat
	lease    lease
	stale    bool // retired, or of an old generation: not to be lent again
	disposed bool // not to be kept
}

func (m *queueModel) step(s *script) {
	switch op := s.next(9); op {
	case 0:
		m.acquire("TryAcquire", m.Pool.TryAcquire)
	case 1:
		if len(m.idle) > 0 || m.spare() { // else it would wait for ever
			m.acquire("Acquire", m.Pool.Acquire)
		}
	case 2:
		if len(m.held) > 0 {
			m.release(s.next(len(m.held)))
		}
	case 3:
		if len(m.held) > 0 {
			at := s.next(len(m.held))
			m.does("Discard %d", m.held[at].id)
			if err := m.held[at].lease.Discard(nil); err != nil {
				m.Errorf("Discard: %v, want nil", err)
			}
			m.gone = append(m.gone, m.held[at].lease)
			m.held = slices.Delete(m.held, at, at+1)
			m.closed++
		}
	case 4:
		if len(m.held) > 0 {
			r := m.held[s.next(len(m.held))]
			m.does("Retire %d", r.id)
			if err := r.lease.Retire(nil); err != nil {
				m.Errorf("Retire: %v, want nil", err)
			}
			r.stale = true
		}
	case 5:
		m.does("Invalidate")
		m.Invalidate(nil)
		for _, r := range slices.Concat(m.idle, m.held) {
			r.stale = true
		}
	case 6:
		m.does("Dispose")
		m.Dispose()
		m.closed += len(m.idle)
		m.idle = nil
		for _, r := range m.held {
			r.stale, r.disposed = true, true
		}
	case 7:
		m.releaseAgain(s.next(len(m.ended) + len(m.gone)))
	case 8:
		if len(m.idle) == 0 && m.spare() {
			m.does("TryAcquire whose open fails")
			m.fake.Next(pooltest.Open, pooltest.Fail(errDown))
			if _, err := m.TryAcquire(context.Background()); !errors.Is(err, errDown) {
				m.Errorf("TryAcquire whose open fails: %v, want the open's error", err)
			}
		}
	}
	synctest.Wait()
	m.compare()
}

func (m *queueModel) does(what string, args ...any) {
	m.story += fmt.Sprintf(what, args...) + "\n"
}

// spare reports whether there is a seat to open in.
func (m *queueModel) spare() bool { return len(m.idle)+len(m.held) < m.queue.Size+m.queue.MaxOverflow }

func (m *queueModel) acquire(name string, verb func(context.Context) (lease, error)) {
	m.does("%s", name)
	var l lease
	var err error
	inOneBlock(func() { l, err = verb(context.Background()) })
	if len(m.idle) == 0 && !m.spare() {
		if !errors.Is(err, pool.ErrExhausted) {
			m.Errorf("%s with all of %d seats held: %v, want ErrExhausted", name, len(m.held), err)
		}
		return
	}
	if err != nil {
		m.Fatalf("%s with %d idle and %d held: %v, want a lease", name, len(m.idle), len(m.held), err)
	}
	got := &kept{id: l.Value().ID, seat: l.Seat(), lease: l}
	m.does(" → %d in seat %d", got.id, got.seat)
	defer func() { m.held = append(m.held, got) }()
	last := m.last
	m.last = nil
	m.admissible(name, got)
	if got.id <= m.opened { // not fresh
		m.last = got
		if name == "Acquire" && last != nil && last.id != got.id && m.affine() && m.isIdle(last) {
			m.strayed = fmt.Sprintf("%s by the goroutine that had resource %d last, which is idle, got %d\n%s", name, last.id, got.id, m.story)
		}
	}
	m.idle = slices.DeleteFunc(m.idle, func(r *kept) bool { return r.seat == got.seat })
	m.opened = max(m.opened, got.id)
}

// affine: idle resources are lent to whoever had them last. Where more are open than are
// kept, they are lent as by LIFO.
func (m *queueModel) affine() bool {
	return m.queue.Order == strategies.Affine && m.queue.MaxOverflow == 0
}

func (m *queueModel) isIdle(r *kept) bool {
	return slices.ContainsFunc(m.idle, func(i *kept) bool { return i.id == r.id && !i.stale })
}

// admissible looks whether the resource that was lent is one that may be, and counts what had to be
// closed for it.
func (m *queueModel) admissible(name string, got *kept) {
	at := slices.IndexFunc(m.idle, func(r *kept) bool { return r.seat == got.seat })
	fresh := got.id == m.opened+1
	switch {
	case at < 0:
		if !fresh || len(m.idle) > 0 {
			m.Errorf("%s with %v idle got resource %d of another seat, want one of them; the next new one is %d", name, m.idle, got.id, m.opened+1)
		}
		return
	case m.idle[at].stale && !fresh, !m.idle[at].stale && got.id != m.idle[at].id:
		m.Errorf("%s of seat %d got resource %d, want %d, or %d if that is stale (%t)", name, got.seat, got.id, m.idle[at].id, m.opened+1, m.idle[at].stale)
	case m.idle[at].stale && m.affine() && slices.ContainsFunc(m.idle, func(r *kept) bool { return !r.stale }):
		m.Errorf("%s replaced a stale resource, with one idle that is not; it should be left until it is needed", name)
	}
	switch m.queue.Order {
	case strategies.LIFO:
		if at != len(m.idle)-1 {
			m.Errorf("%s with %v idle got the one in seat %d, want the last returned", name, m.idle, got.seat)
		}
	case strategies.FIFO:
		if at != 0 {
			m.Errorf("%s with %v idle got the one in seat %d, want the first returned", name, m.idle, got.seat)
		}
	}
	if m.idle[at].stale {
		m.closed++
	}
}

func (m *queueModel) release(at int) {
	r := m.held[at]
	m.does("Release %d", r.id)
	if err := r.lease.Release(); err != nil {
		m.Errorf("Release: %v, want nil", err)
	}
	m.held = slices.Delete(m.held, at, at+1)
	m.ended = append(m.ended, r.lease)
	if r.disposed || len(m.idle) == m.queue.Size {
		m.closed++
	} else {
		m.idle = append(m.idle, r)
	}
}

// releaseAgain is Release of a lease that has ended.
func (m *queueModel) releaseAgain(at int) {
	switch {
	case at < len(m.ended):
		m.does("Release again")
		m.misused++
		if err := m.ended[at].Release(); !errors.Is(err, pool.ErrReleased) {
			m.Errorf("second Release: %v, want ErrReleased", err)
		}
	case at < len(m.ended)+len(m.gone):
		m.does("Release after Discard")
		if err := m.gone[at-len(m.ended)].Release(); err != nil {
			m.Errorf("Release after Discard: %v, want nil", err)
		}
	}
}

// compare compares the pool's and the backend's books with the model's.
func (m *queueModel) compare() {
	s := m.Stats()
	if s.Idle != len(m.idle) || s.InUse != len(m.held) || s.Open != len(m.idle)+len(m.held) || s.Leases != len(m.held) {
		m.Errorf("Stats: %d idle, %d in use, %d open, %d leases; want %d, %d, %d, %d",
			s.Idle, s.InUse, s.Open, s.Leases, len(m.idle), len(m.held), len(m.idle)+len(m.held), len(m.held))
	}
	if int(s.Opened) != m.opened || int(s.Closed) != m.closed || m.fake.Opened() != m.opened || m.fake.Closed() != m.closed {
		m.Errorf("Stats: %d opened, %d closed; the backend saw %d and %d; want %d and %d",
			s.Opened, s.Closed, m.fake.Opened(), m.fake.Closed(), m.opened, m.closed)
	}
	if s.Misused != m.misused || s.Waiting != 0 {
		m.Errorf("Stats: %d misused, %d waiting; want %d and none", s.Misused, s.Waiting, m.misused)
	}
	for _, r := range m.held {
		if v, err := r.lease.Get(); err != nil || v.ID != r.id {
			m.Errorf("Get of a lease that is held: %v, %v; want resource %d", v, err, r.id)
		}
	}
}

func (r *kept) String() string { return fmt.Sprintf("%d in seat %d", r.id, r.seat) }
