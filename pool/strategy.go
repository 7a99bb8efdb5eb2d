package pool

import (
	"context"
	"fmt"
	"time"
)

// Seat is a place in a pool, numbered from 0. A seat is empty or holds one open resource,
// and it outlives the resources that come and go in it.
type Seat uint32

// Unlimited is said where a number has no bound. It is always said explicitly:
// zero keeps its plain meaning.
const Unlimited = -1

// Mode says how an acquirer wants its seat. Modes combine with |.
type Mode uint8

const (
	// Wait stands in line until a seat comes free. It is the zero Mode.
	Wait Mode = 0
	// NoWait never stands in line for a seat that others hold: it takes an idle resource,
	// or has one opened if a seat is free for that, or fails with ErrExhausted.
	NoWait Mode = 1 << 0
	// Unique asks for a resource shared with nobody, also from a strategy that shares one
	// among the holders of a goroutine or scope.
	Unique Mode = 1 << 1
	// Again says that the acquirer has got a seat already, but that its check hangs: it
	// stays with the pool, and the acquirer needs another.
	Again Mode = 1 << 2
	// WhileMoving stands in line as long as that moves, for a tenth of a second at most, and fails with ErrExhausted once it has
	// not for a hundredth, or with ErrSuspended while paused. It has the bit of NoWait, which is what a strategy may take it for;
	// one that knows it asks for m&WhileMoving == WhileMoving.
	WhileMoving Mode = NoWait | 1<<3
)

// Grant is a seat lent to an acquirer.
type Grant struct {
	Seat Seat
	// Tenancy tells the grants of a shared seat from those of its earlier
	// tenancies: it changes with every Release. Exclusive strategies leave it 0.
	Tenancy uint32
	// Joined says that the seat already has a holder, so that its resource is
	// open and checked. Otherwise the receiver owns the seat alone until it
	// calls Sharer.Ready, or for an exclusive strategy until Release.
	Joined bool
	// Waited is how long the acquirer has stood in line, all in all. Replace counts on from
	// there.
	Waited time.Duration
}

// Sharing says how many holders a seat may have at once.
type Sharing uint8

const (
	// Exclusive: one holder at a time.
	Exclusive Sharing = iota
	// Nested: the holders of one owner (a goroutine or a scope) share a seat. They count as
	// one checkout: it begins with the first holder and ends with the last.
	Nested
	// Common: any number of holders share a seat, each a checkout of its own;
	// the resource is reset when the last one returns.
	Common
)

func (s Sharing) String() string {
	switch s {
	case Exclusive:
		return "Exclusive"
	case Nested:
		return "Nested"
	case Common:
		return "Common"
	}
	return fmt.Sprintf("Sharing(%d)", uint8(s))
}

// Limits is what a seating promises about numbers. Unlimited where unbounded.
type Limits struct {
	Seats   int // most resources open at once
	Keep    int // most resources that stay open while idle
	Sharing Sharing
	// Linger is how long what is over Keep stays open while idle before upkeep closes it. 0: it is
	// not kept at all.
	Linger time.Duration
}

// kept is how many resources may be idle for a while.
func (l Limits) kept() int {
	if l.Linger > 0 {
		return l.Seats
	}
	return l.Keep
}

// Load is how busy a seating is, counted at one moment.
type Load struct {
	Lent    int // seats in the hands of the pool or its holders
	Idle    int // seats whose resource is open and lent to nobody
	Opening int // seats whose resource is being opened
	Waiting int // acquirers in line

	Waited   uint64        // acquirers that stood in line, since the start
	WaitTime time.Duration // time they spent there, added up when each leaves it
	TimedOut uint64        // of these, left by deadline or Timeout
	Canceled uint64        // of these, left because their ctx was canceled
	Shed     uint64        // acquirers turned away instead of standing in line: it was full, or too long for them

	Paused bool // Seating.Pause is on
}

// Refusal is an error of Seating.Acquire or Replace that tells the load of its moment, so that the pool
// need not ask for it. Several acquirers may get the same one. Callers of the pool never see it: they get an
// *AcquireError with what it says.
type Refusal struct {
	Err    error // the reason
	CtxErr error // what the Err of ctx is, if the reason is that ctx has ended
	Load   Load
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Err }

// Strategy says who gets which seat, in what order, who waits, and how many
// seats there are. It is a plain value, such as strategies.Queue{Size: 5}: it
// may serve any number of pools, each of which it gives a Seating of its own.
//
// A Strategy never sees a resource. That is why it is not generic: it can be
// chosen by name from a configuration and tested without resources.
type Strategy interface {
	// Kind is the strategy's name in configurations, errors and statistics.
	Kind() string
	// Start validates the strategy's settings and returns its state for one
	// pool. The error names the field, its value and the remedy.
	Start(Host) (Seating, error)
}

// Host is what a pool does for its seating.
type Host interface {
	// Open has the pool open a resource for an empty seat, or a fresh one for a seat given
	// to Seating.Replace. It returns at once, never calls back before it has returned, and
	// may be called with locks held. The pool opens when it is the seat's turn: see
	// Options.OpensAtOnce, OpenInterval and Backoff. It then asks Seating.Begin, and unless that
	// says no, answers with exactly one call of Seating.Opened, Failed or Overdue.
	Open(Seat)
	// AtOnce is how many opens the pool has under way at once, Unlimited if as many as it is
	// asked for. To ask for more is no use: they wait for their turn. It may be called once
	// Strategy.Start has returned, also with locks held.
	AtOnce() int
}

// Answer says to whom the failure of an open is the answer.
type Answer uint8

const (
	// AnswerOne: to the waiter that relied on the open.
	AnswerOne Answer = iota
	// AnswerAll: as AnswerOne; or to all in line, if no resource is open or being opened.
	AnswerAll
	// AnswerUnlessOpen: to nobody while a resource is open that can be returned; else as
	// AnswerAll.
	AnswerUnlessOpen
	// AnswerUnlessComing: to nobody while a resource is open that can be returned, or another
	// open is under way; else as AnswerAll.
	AnswerUnlessComing
	// AnswerNobody: they wait until their own time is over.
	AnswerNobody
)

func (a Answer) String() string {
	switch a {
	case AnswerOne:
		return "AnswerOne"
	case AnswerAll:
		return "AnswerAll"
	case AnswerUnlessOpen:
		return "AnswerUnlessOpen"
	case AnswerUnlessComing:
		return "AnswerUnlessComing"
	case AnswerNobody:
		return "AnswerNobody"
	}
	return fmt.Sprintf("Answer(%d)", uint8(a))
}

// SelfService is a Host that can lend idle seats without asking the seating. The host given to
// Strategy.Start is one if the strategy's Sharing is Exclusive. A seating that has no use for
// that need not know of it.
//
// Seats that the seating puts there are free: the pool lends them to whoever comes, and
// takes them back, while self-service goes on. The seating is asked only when there is no
// free seat at hand, or a seat comes back that is not plainly in order. So it suspends
// self-service before anybody stands in line, or when it wants to see each seat that
// comes back. Self-service is suspended until the first Resume.
//
// The methods may be called with locks held, and the seating calls one at a time.
type SelfService interface {
	Host
	// Suspend ends self-service and tells found of every seat that was free: they are the
	// seating's again. From now on every Acquire and Release comes to the seating. A Release
	// that was under way may come afterwards, and an Acquire that was under way may take the
	// seat instead. It costs a look at every seat that was ever used.
	Suspend(found func(Seat))
	// Resume lets self-service go on.
	Resume()
	// Look has every 64th Release of a seat come to the seating also during self-service. It
	// is called before the first Resume, if at all.
	Look()
	// Put makes an idle seat of the seating's free, while self-service is not suspended.
	Put(Seat)
	// Take makes a free seat the seating's again and reports whether it was free.
	Take(Seat) bool
	// Free counts the free seats. It costs a look at every seat that was ever used.
	Free() int
}

// Seating is a strategy at work in one pool. All its methods may be called from
// any goroutine. Only Acquire and Replace wait, and they hold no lock while they do.
//
// A seat is always in exactly one pair of hands: the seating's (idle or empty), nobody's
// (free, see SelfService), the opener's (from Host.Open to Opened or Overdue), or the pool's (from a Grant or a
// Claim that returned true to a Release that returned true). Whoever has it may
// change what is in it; nobody else may.
type Seating interface {
	// Limits reports the numbers the seating keeps to.
	Limits() Limits

	// Acquire lends a seat whose resource is open. It serves acquirers in order
	// of arrival with whatever comes first: a returned resource or a finished
	// open. It asks Host.Open for resources when seats are free.
	//
	// It returns ErrClosed after Close; ErrExhausted under NoWait and WhileMoving, or ErrSuspended while paused; ErrOverloaded
	// if it turns the acquirer away;
	// ErrTimeout when the strategy's own Timeout ends; context.Cause(ctx) when ctx ends; or the error of an
	// open that failed while it waited; or a *Refusal with any of these. The Grant that comes with an error holds no seat, but
	// tells how long the acquirer Waited. A waiter whose ctx has ended is not given a seat.
	Acquire(ctx context.Context, m Mode) (Grant, error)

	// Replace is Acquire for a holder that found the resource in its seat unfit. The seat
	// goes to Host.Open, which closes what is in it first, and the caller waits at the head
	// of the line. If the open fails, an idle resource will do. On error the seat is gone.
	Replace(ctx context.Context, g Grant, m Mode) (Grant, error)

	// Begin is asked when it is a seat's turn to be opened, and once more for each further
	// attempt. If nobody needs the resource any more, the seating takes the seat back, empty, and
	// returns false.
	Begin(s Seat) bool

	// Opened takes over a seat, which holds an open resource now, from the opener. It reports
	// whether the seating took it; if not, the pool closes the resource and calls
	// Release(s, false).
	Opened(s Seat) (taken bool)

	// Failed takes over a seat from the opener, still empty. The waiters that a names fail
	// with err; none while paused. More opens are asked for if they are needed.
	Failed(s Seat, err error, a Answer)

	// Overdue says that the open of a seat has not returned in time. It is Failed, but
	// the seat stays with the pool, which ends with Release, and not with Opened, when the
	// open returns at last.
	Overdue(s Seat, err error, a Answer)

	// Stock asks Host.Open for as many empty seats as it takes for n resources to be open or
	// being opened, though nobody waits for them, as far as the Limits allow. These opens are
	// begun in any case, unless a Resize leaves no room for them. It returns how many are open now: those idle
	// or in the hands of the pool, but not what it did not take, nor what hangs in an open that is overdue.
	Stock(n int) (open int)

	// Pause has acquirers wait, and refuses those who do not want to with ErrSuspended, until
	// Pause(false). Opens under way end and returns are taken; nothing is lent but to holders
	// who join their own tenancy under Nested. It may be called again.
	Pause(on bool)

	// Release takes a seat back. If open, the seat holds an open resource, and Release
	// reports whether the seating took it; if not, the seat stays with the caller, who
	// closes the resource and then calls Release(s, false), which is always taken.
	Release(s Seat, open bool) (taken bool)

	// Claim takes an idle seat away for the pool's own care and reports whether it could.
	// The pool gives it back with Release.
	Claim(s Seat) bool

	// Load counts what goes on.
	Load() Load

	// Close wakes every waiter with ErrClosed and refuses from then on to lend or to
	// take open resources. It does not wait and may be called again.
	Close()
}

// Resizer is implemented by a Seating whose numbers can be changed while it is at work.
type Resizer interface {
	// Resize takes over the settings of s, which must be of the same kind. The error, a
	// *OptionError mostly, says what of s cannot be used, or cannot be changed at run time;
	// nothing is changed then. If fewer seats are allowed than are open, nothing more is
	// opened, and what is returned is not taken, until it fits. Idle seats over the new limits stay
	// until the pool claims them.
	Resize(s Strategy) error
}

// Vacancies is implemented by a Seating whose acquirers can open an empty seat themselves, which
// they do under Options.OpenTimeout Inline.
type Vacancies interface {
	// Vacant takes an empty seat for an acquirer, if there is one, and Acquire would ask for
	// an open and have it wait for nothing else. It does not wait. The acquirer ends with Taken, or with Failed.
	Vacant() (Seat, bool)
	// Taken says that the seat has been opened, and reports whether it is lent to the acquirer. If not, since nothing
	// is lent now, or too many are open, the acquirer ends with Opened, and goes on to Acquire.
	Taken(Seat) bool
}

// Sharer is implemented by the Seating of a strategy whose Sharing is not
// Exclusive. Every Grant of a tenancy is matched by one Leave; the tenancy ends
// with Release, which the last to leave calls, or a holder that discards the
// resource under the others. Grants of an ended tenancy are void.
type Sharer interface {
	// Ready says that the first holder's resource has passed its checks: from now on others
	// may join.
	Ready(Grant)
	// Current reports whether the grant's tenancy still goes on.
	Current(Grant) bool
	// Leave takes one holder off and reports whether it was the last of the current
	// tenancy, in which case the caller owns the seat alone and ends with Release. Leaving
	// an ended tenancy does nothing.
	Leave(Grant) (last bool)
	// Drain lets nobody join the grant's tenancy any more: the resource is to be
	// replaced once its holders have left.
	Drain(Grant)
}
