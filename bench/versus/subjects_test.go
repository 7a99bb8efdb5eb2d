package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
)

// These tests stand inside the package, as nobody can import a program.

// books are what the test knows of a subject's resources.
type books struct {
	subject
	mu     sync.Mutex
	opened []*resource
	closed map[*resource]int
}

func (b *books) open(context.Context) (*resource, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &resource{life: context.Background()}
	r.end = func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closed[r]++
		return nil
	}
	b.opened = append(b.opened, r)
	return r, nil
}

// counts are how many were opened, and how often resources were closed, one more than once if twice is true.
func (b *books) counts() (opened, closed int, twice bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, times := range b.closed {
		twice = twice || times > 1
	}
	return len(b.opened), len(b.closed), twice
}

// closes waits until so many are closed: some pools close behind one's back.
func (b *books) closes(t *testing.T, want int) {
	t.Helper()
	err := until(func() bool { _, closed, _ := b.counts(); return closed >= want }, "too few")
	if _, closed, twice := b.counts(); err != nil || closed > want || twice {
		t.Errorf("closed %d resources, one of them more than once is %v; want %d, each once", closed, twice, want)
	}
}

const seats = 3

func ignore(*resource) {}

func newBooks(t *testing.T, p peer) *books {
	t.Helper()
	b := &books{closed: map[*resource]int{}}
	s, err := p.subject(spec{seats, false, b.open})
	if err != nil {
		t.Fatal(err)
	}
	b.subject = s
	t.Cleanup(func() {
		s.close()
		opened, _, _ := b.counts()
		b.closes(t, opened)
	})
	return b
}

func TestEachPeerLendsAResourceToOneHolderAtATime(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			b := newBooks(t, p)
			goroutines, most := 8, seats
			if !p.waits {
				goroutines = seats
			}
			if p.most > 0 {
				goroutines, most = p.most, 1
			}
			var group sync.WaitGroup
			for range goroutines {
				group.Go(func() {
					for range 50 {
						if err := b.Visit(t.Context(), func(context.Context, load.Conn) error { runtime.Gosched(); return nil }); err != nil {
							t.Error(err)
						}
					}
					if err := b.Cycle(t.Context(), 50); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()

			uses := 0
			for _, r := range b.opened {
				uses += r.uses // not atomic: the race detector sees two holders, and so does a lost count
			}
			if want := goroutines * 100; uses != want {
				t.Errorf("%d acquires used resources %d times", want, uses)
			}
			if p.capped && len(b.opened) > most {
				t.Errorf("opened %d resources for %d seats", len(b.opened), most)
			}
			if p.waits {
				if err := visitAll(t.Context(), b, seats, ignore); err != nil {
					t.Errorf("not every seat came home: %v", err)
				}
			}
		})
	}
}

func TestABrokenResourceIsClosedAndNotLentAgain(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			b := newBooks(t, p)
			cause := errors.New("the cable is cut")
			err := b.Visit(t.Context(), func(_ context.Context, r load.Conn) error {
				r.(*resource).broken = true
				return cause
			})
			if !errors.Is(err, cause) {
				t.Errorf("a visit that ended with %q returned %v", cause, err)
			}
			b.closes(t, 1)
			all := seats // so that it cannot hide
			if p.most > 0 {
				all = 1
			}
			if err := visitAll(t.Context(), b, all, func(r *resource) {
				if r.broken {
					t.Error("got the broken resource")
				}
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// It really waits, as the clock of synctest stands still for whoever is not in its bubble,
// and pools start goroutines where they like.
func TestWhoeverFindsNoSeatWaitsUntilTheContextEnds(t *testing.T) {
	for _, p := range peers {
		if !p.waits {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			b := newBooks(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := visitAll(ctx, b, seats+1, ignore); err == nil || ctx.Err() == nil {
				t.Errorf("acquiring one more than %d seats: got error %v, want one when ctx ends", seats, err)
			}
			if len(b.opened) > seats {
				t.Errorf("opened %d resources for %d seats", len(b.opened), seats)
			}
			if err := visitAll(t.Context(), b, seats, ignore); err != nil {
				t.Errorf("not every seat came home: %v", err)
			}
		})
	}
}

func TestWhoeverFindsTheStackEmptyIsSentAway(t *testing.T) {
	p := peers[peerIndex("mutex")]
	if err := visitAll(t.Context(), newBooks(t, p), seats+1, ignore); err == nil {
		t.Error("got one resource more than there are")
	}
}
