package strategies_test

import (
	"testing"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/pool/pooltest"
	"github.com/lidopool/lido/strategies"
)

func TestQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 2, MaxOverflow: 1} })
}
func TestLIFOQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 2, MaxOverflow: 1, Order: strategies.LIFO} })
}
func TestQueueWithoutOverflowKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 3} })
}
func TestFIFOQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: 3, Order: strategies.FIFO} })
}
func TestQueueThatKeepsNothingKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{MaxOverflow: 3} })
}
func TestUnlimitedQueueKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Queue{Size: pool.Unlimited} })
}
func TestNullKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Null{Max: 3} })
}
func TestUnlimitedNullKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Null{Max: pool.Unlimited} })
}
func TestStaticKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Static{} })
}
func TestSingletonKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Singleton{Size: 3} })
}
func TestUnlimitedSingletonKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Singleton{Size: pool.Unlimited} })
}
func TestAssertionKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Assertion{} },
		pooltest.FailsWhenHeld(strategies.ErrAlreadyAcquired))
}

func TestAssertionWithoutStackKeepsThePromisesOfAStrategy(t *testing.T) {
	pooltest.TestStrategy(t, func() pool.Strategy { return strategies.Assertion{NoStack: true} },
		pooltest.FailsWhenHeld(strategies.ErrAlreadyAcquired))
}
