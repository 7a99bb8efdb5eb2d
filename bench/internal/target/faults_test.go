package target_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
)

func TestDownRefusesAndBreaksWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend(t, "synthetic?open=5ms&use=2ms&dial=1ms")
		p := pooled(t, b, "queue?size=2&max_overflow=0&timeout=1m")
		if err := use(p); err != nil {
			t.Fatal(err)
		}
		b.Faults().Down(true)
		wantKind(t, p, use(p), "use failed") // the one that was open
		begun := time.Now()
		wantKind(t, p, use(p), "open failed")
		if took := time.Since(begun); took != time.Millisecond {
			t.Errorf("a refusal took %v, want dial, 1ms", took)
		}
		if g := p.Gauges(); g.Open != 0 || g.Opened != 1 {
			t.Errorf("%d open and %d opened, want 0 and 1", g.Open, g.Opened)
		}
		b.Faults().Down(false)
		time.Sleep(time.Second)
		if err := use(p); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}

func TestDownEndsWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend(t, "synthetic?open=5ms&use=2ms")
		p := pooled(t, b, "queue?size=2&max_overflow=0&timeout=1m")
		var all sync.WaitGroup
		all.Go(func() { wantKind(t, p, use(p), "use failed") }) // used from 5 to 7 ms
		time.Sleep(3 * time.Millisecond)
		all.Go(func() { wantKind(t, p, use(p), "open failed") }) // opens until 8 ms
		time.Sleep(3*time.Millisecond + 500*time.Microsecond)
		b.Faults().Down(true)
		b.Faults().Down(false) // what is open has gone all the same
		all.Wait()
	})
}

func TestSlowMultipliesWhatAUseTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend(t, "synthetic?open=5ms&use=2ms")
		p := pooled(t, b, long)
		for _, step := range []struct {
			factor float64
			want   time.Duration
		}{{10, 25 * time.Millisecond}, {2.5, 5 * time.Millisecond}, {1, 2 * time.Millisecond}, {0, 2 * time.Millisecond}} {
			b.Faults().Slow(step.factor)
			begun := time.Now()
			if err := use(p); err != nil || time.Since(begun) != step.want {
				t.Errorf("slow by %v: took %v (%v), want %v", step.factor, time.Since(begun), err, step.want)
			}
		}
	})
}

func TestKillBreaksTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend(t, "synthetic?open=5ms")
		p := pooled(t, b, "queue?size=4&max_overflow=0&timeout=1m")
		var conns []load.Conn
		var all sync.WaitGroup
		release := make(chan struct{})
		for range 4 {
			opened := make(chan struct{})
			all.Go(func() {
				in(t, p, func(c load.Conn) {
					conns = append(conns, c)
					close(opened)
					<-release
				})
			})
			<-opened
		}
		broken := func() (n [4]bool) {
			for i, c := range conns {
				n[i] = c.Use(context.Background(), false) != nil
			}
			return n
		}
		if n := b.Faults().Kill(0.3); n != 2 || broken() != [4]bool{true, true} {
			t.Errorf("killed %d of 4 as 30%%: %v, want the first two", n, broken())
		}
		if n := b.Faults().Kill(0); n != 0 {
			t.Errorf("killed %d as 0%%", n)
		}
		if n := b.Faults().Kill(0.5); n != 1 || broken() != [4]bool{true, true, true} {
			t.Errorf("killed %d of the 2 that were left: %v, want the third", n, broken())
		}
		if n := b.Faults().Kill(1); n != 1 {
			t.Errorf("killed %d of the one that was left", n)
		}
		if n := b.Faults().Kill(1); n != 0 {
			t.Errorf("killed %d of none", n)
		}
		close(release)
		all.Wait()
	})
}

// Whichever is closed, the rest stays in the order in which it was opened.
func TestKillKnowsTheOldestWhenOthersHaveBeenClosed(t *testing.T) {
	for closed := range 4 {
		b := backend(t, "synthetic")
		m := &target.Meter{}
		var conns []load.Conn
		var ends []func() error
		for range 4 {
			c, end, err := b.Dial(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			conns, ends = append(conns, c), append(ends, end)
		}
		for i, end := range ends {
			if i == closed || i == (closed+1)%4 {
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		}
		var alive []int
		for i, c := range conns {
			if i != closed && i != (closed+1)%4 {
				alive = append(alive, i)
				if err := c.Use(t.Context(), false); err != nil {
					t.Error(err)
				}
			}
		}
		for _, i := range alive {
			if n := b.Faults().Kill(0.1); n != 1 || conns[i].Use(t.Context(), false) == nil {
				t.Errorf("with %d and the next closed, killed %d, and not %d, which is the oldest", closed, n, i)
			}
			if err := ends[i](); err != nil {
				t.Error(err)
			}
		}
		if n := b.Faults().Kill(1); n != 0 || m.Read().Open != 0 {
			t.Errorf("killed %d of none", n)
		}
	}
}
