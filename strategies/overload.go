package strategies

import (
	"fmt"

	"github.com/lidopool/lido/pool"
)

// turnAway is the answer to an acquirer who would be one more than the most that may wait in
// line; nil if it may stand there. Who has held a seat already (pool.Again) may. The caller
// holds the lock of the seating.
func (l *waiters) turnAway(waiting, most int, m pool.Mode) error {
	if most == 0 || waiting < most || m&pool.Again != 0 {
		return nil
	}
	l.shed++
	return &fullError{waiting: waiting, most: most}
}

// fullError is pool.ErrOverloaded for a line that is full. Its text is made only if somebody
// reads it: who is turned away under overload shall cost little.
type fullError struct{ waiting, most int }

func (e *fullError) Error() string {
	return fmt.Sprintf("%v: the line is full: %d waiting of at most %d", pool.ErrOverloaded, e.waiting, e.most)
}

func (e *fullError) Unwrap() error { return pool.ErrOverloaded }
