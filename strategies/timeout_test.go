package strategies_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// Which of the two wins is open. The rounds are many because the seat was lost in only a part of them when the
// hand-over was broken on purpose.
func TestTimeoutAndReturnAtTheSameMomentLoseNoSeat(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: 1, Timeout: time.Second},
		strategies.Null{Max: 1, Timeout: time.Second},
		strategies.Singleton{Size: 1, Timeout: time.Second},
	} {
		t.Run(fmt.Sprintf("%T", s), func(t *testing.T) {
			with(t, s, func(r *rig) {
				for round := range 1000 {
					ready := make(chan lease)
					go func() {
						l := r.get()
						ready <- l
						time.Sleep(time.Second)
						r.end(l)
					}()
					<-ready
					a := r.ask(r.Context())
					time.Sleep(time.Second)
					synctest.Wait()
					switch {
					case !a.done():
						r.Fatalf("round %d: no answer when the Timeout is over", round)
					case a.err == nil:
						r.end(a.lease)
					case !errors.Is(a.err, pool.ErrTimeout):
						r.Fatalf("round %d: %v, want a lease or ErrTimeout", round, a.err)
					}
					synctest.Wait()
					if s := r.Stats(); s.InUse != 0 || s.Waiting != 0 {
						r.Fatalf("round %d: a timeout and a return at the same moment left %v, want nothing in use", round, s)
					}
				}
			})
		})
	}
}

func TestTimeoutAndOpenAtTheSameMomentLoseNoSeat(t *testing.T) {
	for _, s := range []pool.Strategy{
		strategies.Queue{Size: 1, Timeout: time.Second},
		strategies.Null{Max: 1, Timeout: time.Second},
		strategies.Static{Timeout: time.Second},
		strategies.Singleton{Size: 1, Timeout: time.Second},
	} {
		t.Run(fmt.Sprintf("%T", s), func(t *testing.T) {
			with(t, s, func(r *rig) {
				r.fake.Always(pooltest.Open, pooltest.Slow(time.Second))
				for round := range 500 {
					a := r.ask(r.Context())
					time.Sleep(time.Second)
					synctest.Wait()
					switch {
					case !a.done():
						r.Fatalf("round %d: no answer when the Timeout is over", round)
					case a.err == nil:
						r.end(a.lease)
					case !errors.Is(a.err, pool.ErrTimeout):
						r.Fatalf("round %d: %v, want a lease or ErrTimeout", round, a.err)
					}
					r.Dispose()
					synctest.Wait()
					if s := r.Stats(); s.InUse+s.Open+s.Waiting+s.Opening != 0 {
						r.Fatalf("round %d: a timeout and a finished open at the same moment left %v, want nothing", round, s)
					}
				}
			})
		})
	}
}
