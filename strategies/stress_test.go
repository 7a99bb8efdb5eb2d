package strategies_test

import (
	"os"
	"testing"
	"time"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

// TestStress drives each kind for a while: a second, a tenth of it under -short, or as long as
// LIDO_STRESS says.
func TestStress(t *testing.T) {
	d := time.Second
	if testing.Short() {
		d /= 10
	}
	if long := os.Getenv("LIDO_STRESS"); long != "" {
		var err error
		if d, err = time.ParseDuration(long); err != nil {
			t.Fatalf("LIDO_STRESS: %v", err)
		}
	}
	for _, c := range []struct {
		name     string
		strategy pool.Strategy
		traits   []pooltest.Trait
	}{
		{"queue", strategies.Queue{Size: 2, MaxOverflow: 1}, nil},
		{"queue without overflow", strategies.Queue{Size: 3}, nil},
		{"lifo queue", strategies.Queue{Size: 2, MaxOverflow: 1, Order: strategies.LIFO}, nil},
		{"bounded queue", strategies.Queue{Size: 3, Fairness: strategies.Bounded}, nil},
		{"bounded queue with overflow", strategies.Queue{Size: 2, MaxOverflow: 1, Fairness: strategies.Bounded}, nil},
		{"bounded fifo queue", strategies.Queue{Size: 3, Fairness: strategies.Bounded, Order: strategies.FIFO}, nil},
		{"queue of one", strategies.Queue{Size: 1}, nil},
		{"unlimited queue", strategies.Queue{Size: pool.Unlimited, Order: strategies.FIFO}, nil},
		{"null", strategies.Null{Max: 3}, nil},
		{"static", strategies.Static{}, nil},
		{"singleton", strategies.Singleton{Size: 3}, nil},
		{"assertion", strategies.Assertion{}, []pooltest.Trait{pooltest.FailsWhenHeld(strategies.ErrAlreadyAcquired)}},
		{"assertion without stack", strategies.Assertion{NoStack: true}, []pooltest.Trait{pooltest.FailsWhenHeld(strategies.ErrAlreadyAcquired)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pooltest.StressStrategy(t, d, func() pool.Strategy { return c.strategy }, c.traits...)
		})
	}
}
