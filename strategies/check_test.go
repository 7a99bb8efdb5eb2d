package strategies

import (
	"testing"

	"github.com/lidopool/lido/pool"
)

func TestStrategiesCheckThemselvesLikeTheirConfigs(t *testing.T) {
	for want, s := range map[string]interface {
		pool.Strategy
		validate() error
	}{
		`pool: queue size is 0: with max_overflow 0 too there is no seat; give 1 or more for either`: Queue{},
		`pool: queue max_overflow is -4: give 0 to 1048576, or "unlimited" (in Go pool.Unlimited)`:   Queue{Size: 1, MaxOverflow: -4},
		`strategies: option "max_overflow": not used by queue with size unlimited, over which nothing can be: leave it out, or give 0`: Queue{
			Size: pool.Unlimited, MaxOverflow: 1},
		`pool: singleton size is 0: give 1 to 1048576, or "unlimited" (in Go pool.Unlimited)`: Singleton{},
		`pool: null max is -2: give 1 to 1048576, or "unlimited" (in Go pool.Unlimited)`:      Null{Max: -2},
		`pool: static timeout is -2ns: give a duration such as "30s", "0s" not to wait (in Go NoWait), or "unlimited" (in Go 0)`: Static{
			Timeout: -2},
	} {
		if err := s.validate(); err == nil || err.Error() != want {
			t.Errorf("%#v: error is\n%v\nwant\n%s", s, err, want)
		}
	}
	for _, s := range []interface{ validate() error }{
		Queue{Size: 1}, Queue{Size: pool.Unlimited}, Queue{MaxOverflow: pool.Unlimited, Timeout: NoWait, Order: FIFO},
		Singleton{Size: pool.Unlimited}, Null{Max: 1}, Static{}, Assertion{}, Assertion{NoStack: true},
	} {
		if err := s.validate(); err != nil {
			t.Errorf("%#v: %v", s, err)
		}
	}
}
