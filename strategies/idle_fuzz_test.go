package strategies_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// script is what a fuzzer makes up: each byte says what to do next.
type script struct {
	bytes []byte
	at    int
}

// next is the next number below n; 0 at the end.
func (s *script) next(n int) int {
	if s.at >= len(s.bytes) || n == 0 {
		return 0
	}
	s.at++
	return int(s.bytes[s.at-1]) % n
}

func (s *script) over() bool { return s.at >= len(s.bytes) }

func FuzzIdleIsAListOfSeatsInOrderOfReturn(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 5, 0, 3, 0, 9, 1, 2, 1})                                     // pushed in any order, popped from both ends
	f.Add([]byte{0, 1, 0, 2, 0, 3, 3, 2, 3, 2, 3, 1, 3, 3, 0, 2, 1})             // removed from the middle, the ends, and twice
	f.Add([]byte{0, 1, 0, 2, 0, 3, 0, 4, 3, 2, 1, 1, 1, 0, 5, 0, 6, 3, 5, 2, 2}) // likewise, and then popped from either end
	f.Add([]byte{0, 0, 1, 0, 0, 2, 0, 40, 3, 40, 3, 40, 0, 40, 2})               // empty in between; a seat far above the others
	f.Add([]byte{3, 7, 1, 2, 0, 7, 0, 7, 0, 6, 2, 2, 2})                         // asked for what was never there; one seat pushed twice
	f.Fuzz(func(t *testing.T, bytes []byte) {
		const seats = 48
		list, slice := strategies.NewIdle(), []pool.Seat{}
		for s := (&script{bytes: bytes}); !s.over(); {
			switch op := s.next(4); op {
			case 0:
				seat := pool.Seat(s.next(seats))
				if slices.Contains(slice, seat) {
					continue // the seating pushes what is not idle
				}
				strategies.IdlePush(&list, seat)
				slice = append(slice, seat)
			case 1, 2:
				if len(slice) == 0 {
					continue // the seating asks whether there is one
				}
				fifo, at := op == 2, len(slice)-1
				if fifo {
					at = 0
				}
				want := slice[at]
				if got := strategies.IdlePop(&list, fifo); got != want {
					t.Fatalf("pop(fifo: %t) of %v = %d, want %d", fifo, slice, got, want)
				}
				slice = slices.Delete(slice, at, at+1)
			case 3:
				seat := pool.Seat(s.next(seats))
				at := slices.Index(slice, seat)
				if got := strategies.IdleRemove(&list, seat); got != (at >= 0) {
					t.Fatalf("remove(%d) of %v = %t, want %t", seat, slice, got, at >= 0)
				}
				if at >= 0 {
					slice = slices.Delete(slice, at, at+1)
				}
			}
			if n := strategies.IdleN(&list); n != len(slice) {
				t.Fatalf("n = %d of %v, want %d", n, slice, len(slice))
			}
		}
		for _, want := range slice {
			if got := strategies.IdlePop(&list, true); got != want {
				t.Fatalf("at last pop(fifo: true) = %d, want %d of %v", got, want, slice)
			}
		}
	})
}

// attempt is an open under way in the slice that opens are compared with.
type attempt struct {
	seat     pool.Seat
	since    time.Duration
	doubtful bool
}

func FuzzOpensCountWhatIsReliedOn(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 0, 2, 0, 3, 1, 1, 1, 0, 1, 0}) // ended in the middle first
	f.Add([]byte{0, 1, 0, 2, 2, 1, 0, 1, 0, 0, 1})    // the oldest becomes doubtful, and ends
	f.Add([]byte{0, 4, 2, 1, 0, 0, 4, 2, 0, 5, 1, 1}) // one seat again and again
	f.Fuzz(func(t *testing.T, bytes []byte) {
		var list strategies.Opens
		var slice []attempt
		now := time.Duration(0)
		counting := func() (n, first int) {
			first = -1
			for i, a := range slice {
				if !a.doubtful {
					if n++; first < 0 {
						first = i
					}
				}
			}
			return n, first
		}
		for s := (&script{bytes: bytes}); !s.over(); {
			now++
			_, first := counting()
			switch s.next(3) {
			case 0:
				seat := pool.Seat(s.next(16))
				if slices.ContainsFunc(slice, func(a attempt) bool { return a.seat == seat }) {
					continue // a seat is opened once at a time
				}
				strategies.OpensAdd(&list, seat, 0, true)
				if !strategies.OpensBegin(&list, seat, 0, now) {
					t.Fatalf("begin(%d) = false of an open for stock, want true", seat)
				}
				slice = append(slice, attempt{seat: seat, since: now})
			case 1:
				if len(slice) == 0 {
					continue
				}
				at := s.next(len(slice))
				a := slice[at]
				if got := strategies.OpensRemove(&list, a.seat); got == a.doubtful {
					t.Fatalf("remove(%d) of %+v = %t, want whether it counted, %t", a.seat, slice, got, !a.doubtful)
				}
				slice = slices.Delete(slice, at, at+1)
			case 2:
				if first < 0 {
					continue
				}
				strategies.OpensDoubt(&list)
				slice[first].doubtful = true
			}
			n, first := counting()
			if got, doubtful := strategies.OpensN(&list), strategies.OpensDoubtful(&list); got != n || doubtful != len(slice)-n {
				t.Fatalf("of %+v %d count and %d are doubtful, want %d and %d", slice, got, doubtful, n, len(slice)-n)
			}
			if first >= 0 {
				if got := strategies.OpensOldest(&list); got.Since() != slice[first].since {
					t.Fatalf("the oldest of %+v that counts began at %d, want %d", slice, got.Since(), slice[first].since)
				}
			}
		}
	})
}
