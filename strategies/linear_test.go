package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// What a queue does under concurrent use must be what it could have done with one verb at a time, each at
// some moment between its call and its return. Then no seat has two holders, and nobody is told that all are
// held unless at some moment they were.

// verb is the input of an operation.
type verb struct {
	name string    // "Acquire", "TryAcquire" or "Release"
	seat pool.Seat // that is released
}

// outcome is the output of an acquire: a seat, or that all are held.
type outcome struct {
	seat      pool.Seat
	exhausted bool
}

// seatsModel is a pool of so many open seats: its state is the set of those held.
func seatsModel(seats int) porcupine.Model {
	all := uint64(1)<<seats - 1
	return porcupine.Model{
		Init: func() any { return uint64(0) },
		Step: func(state, input, output any) (bool, any) {
			held, in, out := state.(uint64), input.(verb), output.(outcome)
			switch {
			case in.name == "Release":
				return held>>in.seat&1 == 1, held &^ (1 << in.seat)
			case out.exhausted:
				// An operation under way may own a seat already: then it came before.
				return held == all && in.name == "TryAcquire", held
			}
			return held>>out.seat&1 == 0, held | 1<<out.seat
		},
		DescribeOperation: func(input, output any) string {
			in, out := input.(verb), output.(outcome)
			switch {
			case in.name == "Release":
				return fmt.Sprintf("Release of seat %d", in.seat)
			case out.exhausted:
				return in.name + ": exhausted"
			}
			return fmt.Sprintf("%s: seat %d", in.name, out.seat)
		},
	}
}

func TestQueueIsLinearizable(t *testing.T) {
	for _, c := range []struct {
		name  string
		queue strategies.Queue
	}{
		{"affine strict", strategies.Queue{Size: 3}},
		{"affine strict, two seats", strategies.Queue{Size: 2}},
		{"affine bounded", strategies.Queue{Size: 2, Fairness: strategies.Bounded}},
		{"lifo", strategies.Queue{Size: 2, Order: strategies.LIFO}},
		{"fifo bounded", strategies.Queue{Size: 3, Order: strategies.FIFO, Fairness: strategies.Bounded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops := 0
			for range 25 {
				history := recordHistory(t, plain(t, c.queue), 4, 25)
				ops += len(history)
				// Whatever takes longer than this is no answer, and a failure: it takes milliseconds.
				switch got := porcupine.CheckOperationsTimeout(seatsModel(c.queue.Size), history, 10*time.Second); got {
				case porcupine.Ok:
				default:
					t.Fatalf("a history of %d verbs is %v: want one that could have happened with one verb at a time; it is\n%s",
						len(history), got, describeHistory(c.queue.Size, history))
				}
			}
			t.Logf("%d operations", ops)
		})
	}
}

// recordHistory has goroutines use a pool whose resources are open, each so many times.
func recordHistory(t *testing.T, p *pool.Pool[int], goroutines, times int) []porcupine.Operation {
	t.Helper()
	var warm []pool.Lease[int]
	for range p.Limits().Seats {
		l, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		warm = append(warm, l)
	}
	for _, l := range warm {
		_ = l.Release()
	}
	var clock atomic.Int64 // a logical one orders what a real one may show as one moment
	var all sync.WaitGroup
	histories := make([][]porcupine.Operation, goroutines)
	for id := range histories {
		all.Go(func() {
			for range times {
				op := porcupine.Operation{ClientId: id, Input: verb{name: "Acquire"}, Call: clock.Add(1)}
				acquire := p.Acquire
				if rand.IntN(3) == 0 {
					op.Input, acquire = verb{name: "TryAcquire"}, p.TryAcquire
				}
				l, err := acquire(context.Background())
				op.Return = clock.Add(1)
				switch {
				case err == nil:
					op.Output = outcome{seat: l.Seat()}
				case errors.Is(err, pool.ErrExhausted):
					op.Output = outcome{exhausted: true}
				default:
					t.Errorf("%v: %v, want a lease or ErrExhausted", op.Input, err)
					return
				}
				histories[id] = append(histories[id], op)
				if err != nil {
					continue
				}
				switch rand.IntN(4) {
				case 0:
					runtime.Gosched()
				case 1:
					for range rand.IntN(200) {
						clock.Load()
					}
				}
				op = porcupine.Operation{ClientId: id, Input: verb{"Release", l.Seat()}, Output: outcome{}, Call: clock.Add(1)}
				if err := l.Release(); err != nil {
					t.Errorf("Release: %v, want nil", err)
				}
				op.Return = clock.Add(1)
				histories[id] = append(histories[id], op)
			}
		})
	}
	all.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	return history
}

// describeHistory lists operations, with the moments of their call and return.
func describeHistory(seats int, history []porcupine.Operation) (text string) {
	for _, op := range history {
		text += fmt.Sprintf("%4d–%4d goroutine %d %s\n", op.Call, op.Return, op.ClientId, seatsModel(seats).DescribeOperation(op.Input, op.Output))
	}
	return text
}

// The test above finds what it is for.
func TestSeatLentTwiceIsNotLinearizable(t *testing.T) {
	acquired := func(client int, call, ret int64, seat pool.Seat) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: verb{name: "Acquire"}, Call: call, Output: outcome{seat: seat}, Return: ret}
	}
	released := func(client int, call, ret int64, seat pool.Seat) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: verb{"Release", seat}, Call: call, Output: outcome{}, Return: ret}
	}
	refused := func(client int, call, ret int64) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: verb{name: "TryAcquire"}, Call: call, Output: outcome{exhausted: true}, Return: ret}
	}
	for _, c := range []struct {
		what    string
		history []porcupine.Operation
		want    bool
	}{
		{"a seat lent while its return is under way", []porcupine.Operation{acquired(0, 1, 2, 0), released(0, 3, 6, 0), acquired(1, 4, 5, 0)}, true},
		{"a seat lent to two", []porcupine.Operation{acquired(0, 1, 2, 0), acquired(1, 3, 4, 0), released(0, 5, 6, 0)}, false},
		{"nobody told of a return that is over", []porcupine.Operation{acquired(0, 1, 2, 0), released(0, 3, 4, 0), refused(1, 5, 6)}, false},
		{"refused while an acquire is under way", []porcupine.Operation{acquired(0, 1, 4, 0), refused(1, 2, 3)}, true},
		{"refused with one held of one that is released at last", []porcupine.Operation{acquired(0, 1, 2, 0), refused(1, 3, 4), released(0, 5, 6, 0)}, true},
	} {
		if got := porcupine.CheckOperations(seatsModel(1), c.history); got != c.want {
			t.Errorf("%s: linearizable is %t, want %t:\n%s", c.what, got, c.want, describeHistory(1, c.history))
		}
	}
}
