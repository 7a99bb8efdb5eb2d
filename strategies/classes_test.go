package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// counter is a pool of one seat, whose hand-offs are noted, by class.
type counter struct {
	*rig
	mu    sync.Mutex
	order strings.Builder
}

// use is how long each has the seat.
const use = time.Millisecond

// visit acquires and releases, and reports whether it was served.
func (c *counter) visit(class int) bool {
	l, err := c.Acquire(pool.WithClass(c.Context(), class))
	if err != nil {
		c.Errorf("Acquire of class %d: %v, want a lease", class, err)
		return false
	}
	c.mu.Lock()
	fmt.Fprint(&c.order, class)
	c.mu.Unlock()
	time.Sleep(use)
	c.end(l)
	return true
}

func (c *counter) handOffs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

// count runs a test with the only seat of a pool held.
func count(t *testing.T, s strategies.Shares, test func(c *counter, held lease)) {
	t.Helper()
	withOptions(t, strategies.Queue{Size: 1, Shares: s}, pool.Options{NoReset: true}, func(r *rig) {
		test(&counter{rig: r}, r.get())
	})
}

func TestMixedLineIsServedByShares(t *testing.T) {
	for _, tc := range []struct {
		shares strategies.Shares
		come   string
		want   string
	}{
		// 70 are free. Class 1 is due every 5th time, for the first time at the 4th, when its credit is above 70.
		// Class 2 is due every 10th time, at the 8th first. After 10 nobody of class 0 is left.
		{"0,20,10", "222222222211111111110000000000", "000100021000011112111122222222"},
		{"0,10", "11110000000000000000000000000", "00000000010000000001000000011"},
		{"50,50", "0000111", "1010100"}, // class 0 has had the seat that is held,
		{"0,50", "000111", "010101"},
		{"99,1", "1000", "0001"},
		{"0,1,1", "210", "012"},
		{"0,20,10", "000", "000"},
		{"0,20,10", "2020202", "0002222"},
	} {
		count(t, tc.shares, func(c *counter, held lease) {
			var all sync.WaitGroup
			for _, class := range tc.come {
				all.Go(func() { c.visit(int(class - '0')) })
				synctest.Wait()
			}
			c.end(held)
			all.Wait()
			if got := c.order.String(); got != tc.want {
				c.Errorf("shares %s: %s\nwere served in order\n%s, want\n%s", tc.shares, tc.come, got, tc.want)
			}
		})
	}
}

// percents are shares as numbers.
func percents(s strategies.Shares) (all []int) {
	for _, text := range strings.Split(string(s), ",") {
		var n int
		fmt.Sscan(text, &n)
		all = append(all, n)
	}
	return all
}

func roundUp(n, by int) int { return (n + by - 1) / by }

// crowd has so many of a class come again and again, until so many hand-offs were made.
func (c *counter) crowd(class, workers, until int) (wait func()) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for c.handOffs() < until && c.visit(class) {
			}
		})
	}
	synctest.Wait()
	return wg.Wait
}

func TestEachClassGetsItsShareOfManyHandOffs(t *testing.T) {
	for _, tc := range []struct {
		shares  strategies.Shares
		waiting []int // the classes of which somebody waits
		want    []int // per cent
	}{
		{"0,20,10", []int{0, 1, 2}, []int{70, 20, 10}},
		{"0,20,10", []int{0, 2}, []int{90, 0, 10}}, // what class 1 does not need goes to the highest
		{"0,20,10", []int{1, 2}, []int{0, 90, 10}},
		{"0,20,10", []int{2}, []int{0, 0, 100}},
		{"25,25,25,25", []int{0, 1, 2, 3}, []int{25, 25, 25, 25}},
		{"40,1,1,1", []int{0, 1, 2, 3}, []int{97, 1, 1, 1}},
		{"30,20,50", []int{1, 2}, []int{0, 50, 50}},
	} {
		const all = 10_000
		count(t, tc.shares, func(c *counter, held lease) {
			var waits []func()
			for _, class := range tc.waiting {
				waits = append(waits, c.crowd(class, 3, all))
			}
			c.end(held)
			for _, wait := range waits {
				wait()
			}
			order := c.order.String()[:all]
			for class, want := range tc.want {
				if got := strings.Count(order, fmt.Sprint(class)); got < want*all/100-1 || got > want*all/100+1 {
					c.Errorf("shares %s, of classes %v somebody waits: class %d got %d of %d hand-offs, want %d per cent, to one", tc.shares, tc.waiting, class, got, all, want)
				}
				if reserved := percents(tc.shares)[class] * all / 100; want > 0 && strings.Count(order, fmt.Sprint(class)) < reserved {
					c.Errorf("shares %s: class %d got less than the %d of %d that it has reserved", tc.shares, class, reserved, all)
				}
			}
		})
	}
}

func TestNoClassStarvesHoweverManyOfTheOthersCome(t *testing.T) {
	for _, shares := range []strategies.Shares{"0,1", "0,20,10", "50,3", "0,19,80", "0,30,30,7", "34,33,33"} {
		all := percents(shares)
		for low := 1; low < len(all); low++ {
			for _, before := range []int{0, 1, 2, 3, 5, 10, 30} { // the others' accounts are at different points
				count(t, shares, func(c *counter, held lease) {
					within := roundUp(100, all[low])
					var waits []func()
					for class := range all {
						if class != low {
							waits = append(waits, c.crowd(class, 3, before+within+10))
						}
					}
					var late sync.WaitGroup
					late.Go(func() {
						time.Sleep(time.Duration(before)*use - use/2)
						c.visit(low)
					})
					synctest.Wait()
					waits = append(waits, late.Wait)
					c.end(held)
					for _, wait := range waits {
						wait()
					}
					if at := strings.Index(c.order.String(), fmt.Sprint(low)); at < before || at >= before+within {
						c.Errorf("shares %s: somebody of class %d came after %d hand-offs and got number %d of %s; want it within %d", shares, low, before, at+1, c.order.String(), within)
					}
				})
			}
		}
	}
}

func TestClassComesFromTheContext(t *testing.T) {
	count(t, "0,20,10", func(c *counter, held lease) {
		var all []*asker
		for _, ctx := range []context.Context{pool.WithClass(c.Context(), 99), pool.WithClass(c.Context(), 2), c.Context(), pool.WithClass(c.Context(), -1)} {
			all = append(all, c.ask(ctx))
		}
		for _, next := range []int{2, 3, 0, 1} {
			c.end(held)
			synctest.Wait()
			if !all[next].done() {
				c.Fatalf("waiter %d was not served in its turn: no class is the highest, one beyond the last is the last", next)
			}
			held = all[next].lease
		}
		c.end(held)
	})
}

// curious counts who asks for the value of a class.
type curious struct {
	context.Context
	asked int
}

func (c *curious) Value(key any) any {
	if strings.Contains(fmt.Sprintf("%T", key), "class") {
		c.asked++
	}
	return c.Context.Value(key)
}

func TestClassIsLookedUpOnlyOnTheWayIntoTheLine(t *testing.T) {
	for shares, want := range map[strategies.Shares]int{"": 0, "0,10": 1} {
		for _, o := range []strategies.Order{strategies.Affine, strategies.LIFO} {
			with(t, strategies.Queue{Size: 1, Order: o, Shares: shares}, func(r *rig) {
				r.end(r.get())
				ctx := &curious{Context: r.Context()}
				held := r.getIn(ctx)
				if ctx.asked != 0 {
					r.Errorf("shares %q, %s: an idle resource was lent with %d looks at the class, want none", shares, o, ctx.asked)
				}
				waiting := r.ask(ctx)
				r.end(held)
				r.ends(waiting)
				if ctx.asked != want {
					r.Errorf("shares %q, %s: a waiter's class was looked up %d times, want %d", shares, o, ctx.asked, want)
				}
			})
		}
	}
}

func TestFailedOpenIsTheAnswerToTheLongestWaiterOfAllClasses(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Shares: "0,10"}, func(r *rig) {
		r.fake.Next(pooltest.Open, pooltest.Slow(time.Second, pooltest.Fail(errDown)))
		low := r.ask(pool.WithClass(r.Context(), 1))
		high := r.ask(r.Context())
		time.Sleep(time.Second)
		synctest.Wait()
		if !low.done() || !errors.Is(low.err, errDown) {
			r.Errorf("the longest waiter, of the lower class: answered %t, %v; want the error of the open", low.done(), low.err)
		}
		r.ends(high)
	})
}

func TestReplacementGoesBeforeAllClasses(t *testing.T) {
	with(t, strategies.Queue{Size: 2, Shares: "0,10"}, func(r *rig) {
		a, b := r.get(), r.get()
		r.fake.Always(pooltest.Open, pooltest.Slow(time.Minute))
		first := r.ask(pool.WithClass(r.Context(), 1))
		if err := a.Retire(nil); err != nil {
			r.Error(err)
		}
		r.end(a)
		synctest.Wait() // the first has found it outdated, and waits for another
		high := r.ask(r.Context())
		r.end(b)
		synctest.Wait()
		if !first.done() || high.done() {
			r.Errorf("what came back went to class 0 (%t), want it for who replaces (%t)", high.done(), first.done())
		}
		r.ends(first, high)
	})
}

func TestTimeoutIsExactInEachClass(t *testing.T) {
	with(t, strategies.Queue{Size: 1, Timeout: time.Minute, Shares: "0,10,10"}, func(r *rig) {
		held := r.get()
		var all []timed
		for i := range 30 {
			all = append(all, r.come(pool.WithClass(r.Context(), i%3)))
			time.Sleep(time.Second)
		}
		r.end(held)
		synctest.Wait()
		if all[0].lease == (lease{}) {
			r.Fatal("the longest of the highest class was not served")
		}
		for _, a := range all[1:] {
			a.endsWith(r, pool.ErrTimeout, time.Minute, "a waiter")
		}
		r.end(all[0].lease)
	})
}

func TestQueueWithClassesKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 2, MaxOverflow: 1, Shares: "0,20,10"} })
}
