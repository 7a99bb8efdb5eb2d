package main

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// These tests stand inside the package, as nobody can import a program.

// books are what the test knows of a subject's resources.
type books struct {
	subject
	mu     sync.Mutex
	opened []*resource
}

func (b *books) open() *resource {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := new(resource)
	b.opened = append(b.opened, r)
	return r
}

const seats = 3

func newBooks(t *testing.T, p peer) *books {
	t.Helper()
	b := new(books)
	s, err := p.subject(spec{seats, false, b.open})
	if err != nil {
		t.Fatal(err)
	}
	b.subject = s
	t.Cleanup(s.close)
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
						if err := b.visit(t.Context(), runtime.Gosched); err != nil {
							t.Error(err)
						}
					}
					if err := b.cycle(t.Context(), 50); err != nil {
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
				if err := visitAll(t.Context(), b, seats); err != nil {
					t.Errorf("not every seat came home: %v", err)
				}
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
			if err := visitAll(ctx, b, seats+1); err == nil || ctx.Err() == nil {
				t.Errorf("acquiring one more than %d seats: got error %v, want one when ctx ends", seats, err)
			}
			if len(b.opened) > seats {
				t.Errorf("opened %d resources for %d seats", len(b.opened), seats)
			}
			if err := visitAll(t.Context(), b, seats); err != nil {
				t.Errorf("not every seat came home: %v", err)
			}
		})
	}
}

func TestWhoeverFindsTheStackEmptyIsSentAway(t *testing.T) {
	p := peers[peerIndex("mutex")]
	if err := visitAll(t.Context(), newBooks(t, p), seats+1); err == nil {
		t.Error("got one resource more than there are")
	}
}
