package pool_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// logged is a slog.Handler that keeps what is logged, a line each: "LEVEL message key=value…".
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logged) WithGroup(string) slog.Handler            { return l }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logged) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}

// at returns the lines of one level.
func (l *logged) at(level slog.Level) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.HasPrefix(line, level.String()+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func TestLogTellsTheLifeOfAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		f := pooltest.NewFake()
		p := open(t, f, one, pool.Options{Name: "orders", Logger: slog.New(&log), Ping: true})
		warm(t, p)
		l := acquire(t, p)
		if err := l.Retire(errTest); err != nil {
			t.Fatal(err)
		}
		f.Next(pooltest.Reset, pooltest.Fail(errTest))
		release(t, l)
		f.Next(pooltest.Close, pooltest.Fail(errTest))
		if err := acquire(t, p).Discard(errTest); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, want := range []string{
			"DEBUG opened pool=orders resource=1",
			"DEBUG checked out pool=orders resource=1",
			"DEBUG returned pool=orders resource=1",
			"INFO soft invalidation pool=orders resource=1 cause=" + errTest.Error(),
			"ERROR reset failed pool=orders resource=1 err=" + errTest.Error(),
			"INFO closing pool=orders resource=1 reason=invalid cause=" + errTest.Error(),
			"ERROR close failed pool=orders resource=2 err=" + errTest.Error(),
		} {
			if !strings.Contains(log.text(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.text())
			}
		}
	})
}

// secretive is a resource that prints its password.
type secretive struct{ password string }

func (s secretive) String() string { return s.password }

func TestNothingPrintedShowsTheResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const password = "hunter2"
		var log logged
		backend := pool.Funcs[secretive]{
			OpenFunc:  func(context.Context) (secretive, error) { return secretive{password}, nil },
			CloseFunc: func(secretive) error { return errTest },
		}
		p, err := pool.New[secretive](backend, two, pool.Options{Logger: slog.New(&log), MaxAge: time.Minute, Stacks: true})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, full := p.Acquire(ctx)
		printed := fmt.Sprintf("%v %v %v %+v %v", p, p.Stats(), a, p.Stats(), full)
		_ = a.Retire(nil)
		_ = a.Release()
		d, _ := b.Detach()
		_ = d.Close()
		printed += fmt.Sprint(p.Shutdown(t.Context()))
		printed += log.text()
		if strings.Contains(printed, password) {
			t.Errorf("the password of the resource is in what the pool prints:\n%s", printed)
		}
	})
}

func TestLoggerOffIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, pooltest.NewFake(), one, pool.Options{Logger: slog.New(slog.DiscardHandler)})
		warm(t, p)
		warm(t, p)
	})
}

// reentrant is a slog.Handler that uses the pool whose log it is.
type reentrant struct {
	logged
	use func()
}

func (r *reentrant) Handle(ctx context.Context, rec slog.Record) error {
	r.use()
	return r.logged.Handle(ctx, rec)
}

func TestLoggerMayUseThePool(t *testing.T) {
	for _, s := range []pool.Strategy{one, strategies.Static{}, strategies.Singleton{Size: 1}, strategies.Assertion{}} {
		synctest.Test(t, func(t *testing.T) {
			f := pooltest.NewFake()
			f.AllowForcedClose()
			var p *testPool
			h := &reentrant{use: func() {
				if p != nil {
					_ = p.String()
				}
			}}
			p = open(t, f, s, pool.Options{Logger: slog.New(h), Ping: true})
			done := make(chan struct{})
			go everyVerb(t.Context(), p, &faulty{}, done)
			<-done
		})
	}
}

// explosive is a slog.Handler that panics once, at a message.
type explosive struct {
	logged
	at   string
	done bool
}

func (e *explosive) Handle(_ context.Context, r slog.Record) error {
	if r.Message == e.at && !e.done {
		e.done = true
		panic("logger")
	}
	return nil
}

func TestLoggerThatPanicsLosesNoSeat(t *testing.T) {
	for _, message := range []string{"opened", "checked out", "returned", "soft invalidation", "ping failed", "reset failed", "closing"} {
		t.Run(message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pooltest.NewFake()
				h := &explosive{at: message}
				p := open(t, f, one, pool.Options{Logger: slog.New(h), Ping: true})
				for n := range 3 {
					func() {
						defer func() { _ = recover() }() // whether the caller sees the panic is not promised
						l, err := p.Acquire(after(t, time.Minute))
						if err != nil {
							t.Errorf("Acquire %d: %v; a logger may lose no seat", n, err)
							return
						}
						defer l.Release()
						_ = l.Retire(nil)
						if n == 0 {
							f.Next(pooltest.Reset, pooltest.Fail(errTest))
							f.Next(pooltest.Ping, pooltest.Fail(errTest))
						}
					}()
					time.Sleep(time.Second)
				}
			})
		})
	}
}
