package target_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/bench/internal/target"
	"github.com/lidopool/lido/strategies"
)

const long = "queue?size=1&max_overflow=0&timeout=1m"

func TestSyntheticCostsWhatItsTextSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?open=5ms&use=2ms&close=3ms"), "null")
		begun := time.Now()
		if err := use(p); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 10*time.Millisecond {
			t.Errorf("a visit that opens, uses and closes took %v, want 5+2+3 ms", took)
		}
	})
}

func TestSyntheticOfNothingTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic"), "null")
		begun := time.Now()
		if err := p.Cycle(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		if g := p.Gauges(); time.Since(begun) != 0 || g.Opened != 10 || g.Peak != 1 {
			t.Errorf("10 cycles took %v, with %d opens and %d open at once; want 0, 10 and 1", time.Since(begun), g.Opened, g.Peak)
		}
	})
}

// Not through a pool, whose pauses are drawn from no seed of ours.
func TestSyntheticDrawsTheSameFromTheSameSeed(t *testing.T) {
	happened := func(seed string) (all string) {
		synctest.Test(t, func(t *testing.T) {
			b := backend(t, "synthetic?open=exp:5ms&use=exp:2ms&fail=0.3&openfail=0.3&seed="+seed)
			begun := time.Now()
			for range 50 {
				c, end, err := b.Dial(t.Context(), &target.Meter{})
				if err == nil {
					err = errors.Join(c.Use(t.Context(), false), end())
				}
				all += fmt.Sprintln(time.Since(begun), err)
			}
		})
		return all
	}
	one := happened("1")
	if one != happened("1") || one == happened("2") {
		t.Errorf("seed 1 gives %s, then %s, and seed 2 %s; want the same only from the same", one, happened("1"), happened("2"))
	}
	for _, failure := range []string{"broken", "open failed"} {
		if !strings.Contains(one, failure) {
			t.Errorf("nothing was %s in 50 uses of which 30%% fail: %s", failure, one)
		}
	}
}

func TestSyntheticUseThatFailsCostsTheResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?fail=1"), long)
		wantKind(t, p, use(p), "use failed")
		if g := p.Gauges(); g.Open != 0 || g.Closed != 1 {
			t.Errorf("%d open and %d closed after a failed use, want 0 and 1", g.Open, g.Closed)
		}
	})
}

func TestSyntheticRefusesMoreThanMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backend(t, "synthetic?max=2")
		p := pooled(t, b, "queue?size=3&max_overflow=0&timeout=1m")
		m := &target.Meter{}
		var closers []func() error
		for range 2 {
			_, end, err := b.Dial(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			closers = append(closers, end)
		}
		wantKind(t, p, use(p), "open failed")
		if n, known, err := b.Sessions(t.Context()); n != 2 || !known || err != nil {
			t.Errorf("the server counts %d, %v, %v; want 2", n, known, err)
		}
		for _, end := range closers {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
		if g := m.Read(); g.Peak != 2 || g.Open != 0 || g.Opened != 2 || g.Closed != 2 {
			t.Errorf("the meter says %+v, want 2 opened, at once, and closed", g)
		}
		time.Sleep(time.Second) // the pool's pause after a failed open
		if err := use(p); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
}

// More connections do not help where the server is the bottleneck: 2 at once, of 10 ms each.
func TestSyntheticCapacityBoundsWhatGoesOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?use=10ms&capacity=2"), "queue?size=8&max_overflow=0&timeout=1m")
		begun := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := use(p); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took != 40*time.Millisecond {
			t.Errorf("8 uses took %v, want 40ms", took)
		}
	})
}

func TestSyntheticSpins(t *testing.T) {
	p := pooled(t, backend(t, "synthetic?use=1ms&work=spin"), long)
	begun := time.Now()
	if err := use(p); err != nil || time.Since(begun) < time.Millisecond {
		t.Errorf("a use took %v (%v), want 1ms at least", time.Since(begun), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	in(t, p, func(c load.Conn) { wantKind(t, p, c.Use(ctx, false), "canceled") })
}

func TestUseHeedsItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pooled(t, backend(t, "synthetic?use=1h&capacity=1"), "queue?size=2&max_overflow=0&timeout=1m")
		var all sync.WaitGroup
		for range 2 { // one works, and one waits for capacity
			all.Go(func() {
				in(t, p, func(c load.Conn) {
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					defer cancel()
					begun := time.Now()
					wantKind(t, p, c.Use(ctx, false), "timeout")
					if took := time.Since(begun); took != time.Second {
						t.Errorf("a use returned after %v, want its second", took)
					}
				})
			})
		}
		all.Wait()
	})
}

func TestTextOfASyntheticBackendReadsAsTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"synthetic":                     "synthetic",
		"synthetic?":                    "synthetic",
		"synthetic?use=0s&fail=0&max=0": "synthetic",
		"synthetic?work=sleep":          "synthetic",
		"synthetic?fail=.5&use=1000us&open=exp:5ms&work=spin&close=lognormal:1ms,10ms&capacity=3&max=9&seed=4&openfail=1e-2&ping=uniform:1ms-2ms&dial=1ms": "synthetic?open=exp:5ms&use=1ms&close=lognormal:1ms,10ms&ping=uniform:1ms-2ms&dial=1ms&work=spin&fail=0.5&openfail=0.01&max=9&capacity=3&seed=4",
	} {
		for _, text := range []string{text, want} {
			if got := backend(t, text).Name(); got != want {
				t.Errorf("%s is %s, want %s", text, got, want)
			}
		}
	}
}

func TestWrongTextsAreToldWithTheirRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"synthtic":                         `backend "synthtic": unknown; did you mean "synthetic"?`,
		"synthetic?opn=1ms":                `option "opn": unknown; did you mean "open"?`,
		"synthetic?open=fast":              `synthetic open: load: time "fast": give a time`,
		"synthetic?open=expo:1ms":          `did you mean "exp"`,
		"synthetic?fail=2":                 `synthetic fail is "2": give a share from 0 to 1`,
		"synthetic?fail=NaN":               `synthetic fail is "NaN": give a share from 0 to 1`,
		"synthetic?max=-1":                 `synthetic max is "-1": give how many`,
		"synthetic?work=rest":              `synthetic work is "rest": give sleep or spin`,
		"synthetic?use=1ms&use=2ms":        `"use" is given 2 times; give it once`,
		"synthetic?max=2&capacity=3":       `synthetic capacity is 3: give max, which is 2, at most`,
		"synthetic?use=%zz":                `invalid URL escape`,
		"synthetic?opn=1ms&fail=x&use=1ms": `synthetic fail is "x"`,
	} {
		b, err := target.Open(t.Context(), text)
		if err == nil {
			b.Close()
			t.Errorf("%s: no error", text)
		} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "target: ") {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func TestStrategyThatCannotBeIsAnError(t *testing.T) {
	if _, err := backend(t, "synthetic").Target(strategies.Config{Kind: "queue", Size: -5}); err == nil {
		t.Error("a queue of size -5 made a pool")
	}
}
