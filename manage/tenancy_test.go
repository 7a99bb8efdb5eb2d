package manage

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestATenancyEndsOnceAndWithItsLastHolder(t *testing.T) {
	var n tenancy
	if _, ok := n.end(n.number()); ok || n.held() {
		t.Error("a lease ended that had not begun")
	}
	n.begin()
	first := n.number()
	n.join() // rows
	if last := n.leave(); last || n.number() != first {
		t.Errorf("rows were the last holder: %t, number %d; want no, and %d", last, n.number(), first)
	}
	n.join()
	if last, ok := n.end(first); last || !ok || n.number() == first || !n.held() {
		t.Errorf("end beside rows: last %t, ok %t, number %d, held %t; want another number, and the rows", last, ok, n.number(), n.held())
	}
	if _, ok := n.end(first); ok {
		t.Error("ended twice")
	}
	if last := n.leave(); !last || n.held() {
		t.Errorf("the rows, which are left: last %t, held %t; want the last, and nobody", last, n.held())
	}
}

func TestOfManyWhoEndATenancyOneDoesAndOneIsTheLast(t *testing.T) {
	var n tenancy
	for range 2000 {
		n.begin()
		number := n.number()
		var ended, last atomic.Int32
		var all sync.WaitGroup
		n.join()
		n.join()
		for i := range 4 {
			all.Go(func() {
				if i < 2 {
					if n.leave() {
						last.Add(1)
					}
				} else if l, ok := n.end(number); ok {
					ended.Add(1)
					if l {
						last.Add(1)
					}
				}
			})
		}
		all.Wait()
		if ended.Load() != 1 || last.Load() != 1 || n.held() || n.number() == number {
			t.Fatalf("ended %d times, %d were the last, held %t, number %d after %d; want once, one, no, another",
				ended.Load(), last.Load(), n.held(), n.number(), number)
		}
	}
}
