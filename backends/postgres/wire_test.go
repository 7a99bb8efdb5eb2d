package postgres_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/backends/postgres"
)

type doubtful interface {
	net.Conn
	Asked(taken bool)
}

// ends calls f, and fails unless it meets a deadline after exactly so long.
func ends(t *testing.T, what string, after time.Duration, f func([]byte) (int, error)) {
	t.Helper()
	start := time.Now()
	_, err := f([]byte{'x'})
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took != after {
		t.Errorf("%s: %v after %v, want a timeout after %v", what, err, took, after)
	}
}

func TestADoubtfulSocketIsGivenUpAtItsLimit(t *testing.T) {
	for name, ask := range map[string]func(doubtful){
		"the request is under way":    func(doubtful) {},
		"nobody took the request":     func(w doubtful) { w.Asked(false) },
		"the server took the request": func(w doubtful) { w.Asked(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				defer there.Close()
				w := postgres.NewWire(here)
				w.Doubt(time.Now().Add(5 * time.Second))
				ask(w)
				ends(t, "read", 5*time.Second, w.Read)
			})
		})
	}
}

// The driver says farewell also to a server that takes nothing any more.
func TestAFarewellToASilentServerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe() // takes no byte that nobody reads
		defer here.Close()
		defer there.Close()
		w := postgres.NewWire(here)
		w.Doubt(time.Now().Add(5 * time.Second))
		ends(t, "read", 5*time.Second, w.Read)
		w.Asked(false)
		ends(t, "the farewell", 0, w.Write)
	})
}

func TestTheNextRequestEndsTheDoubt(t *testing.T) {
	for name, answer := range map[string]func(w doubtful, server net.Conn){
		// The answer to what was canceled had been read before.
		"the server took the request": func(w doubtful, _ net.Conn) { w.Asked(true) },
		"the server answered": func(w doubtful, server net.Conn) {
			go server.Write([]byte{'Z'})
			_, _ = w.Read(make([]byte, 1))
			w.Asked(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				defer there.Close()
				w := postgres.NewWire(here)
				w.Doubt(time.Now().Add(5 * time.Second))
				answer(w, there)
				time.Sleep(time.Minute)
				go there.Read(make([]byte, 1))
				if _, err := w.Write([]byte{'Q'}); err != nil {
					t.Fatalf("the next request: %v", err)
				}
				go func() { time.Sleep(time.Minute); there.Write([]byte{'Z'}) }()
				if _, err := w.Read(make([]byte, 1)); err != nil {
					t.Errorf("its answer: %v", err)
				}
			})
		})
	}
}

// A tls.Conn that is closed sets a deadline of its own.
func TestTheSoonestOfAllDeadlinesCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		w := postgres.NewWire(here)
		in := func(d time.Duration) time.Time { return time.Now().Add(d) }
		for _, set := range []error{w.SetDeadline(in(2 * time.Second)), w.SetReadDeadline(in(time.Second)), w.SetWriteDeadline(in(3 * time.Second))} {
			if set != nil {
				t.Fatal(set)
			}
		}
		ends(t, "read", time.Second, w.Read)
		ends(t, "write", time.Second, w.Write) // at 2 s, of which one has passed
		for _, set := range []error{w.SetDeadline(time.Time{}), w.SetReadDeadline(time.Time{}), w.SetWriteDeadline(in(3 * time.Second))} {
			if set != nil {
				t.Fatal(set)
			}
		}
		w.Doubt(in(5 * time.Second))
		ends(t, "write", 3*time.Second, w.Write)
		ends(t, "read", 2*time.Second, w.Read)
	})
}
