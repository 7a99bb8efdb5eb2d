package manage

import (
	"container/list"
	"database/sql/driver"
	"sync"
	"sync/atomic"
)

// shelf keeps the prepared statements of one connection, so that a text that comes again, from
// whomever, need not be prepared again. It is guarded by its guard's mu, and calls no driver:
// what is to be closed is left in over.
//
// A statement has one user at a time. If its text is prepared again meanwhile, that is a second
// statement, as it would be without the shelf.
type shelf struct {
	room   int // for statements that nobody uses; 0: none is kept
	counts *statementCounts
	hits   *atomic.Int64

	all    list.List            // of *prepared, those last put on the shelf first
	byText map[string]*prepared // of each text one
	idle   int                  // how many nobody uses
	over   []driver.Stmt        // to be closed
}

// prepared is a statement that a driver has prepared on one connection.
type prepared struct {
	query  string
	raw    driver.Stmt // nil once it is over and nobody uses it
	shelf  *shelf
	at     *list.Element // nil once it is over
	second bool          // there was one of its text already
	busy   bool          // somebody uses it
	failed bool          // it gave an error: it is not kept, since the error may lie in it
}

// statementCounts count what the shelves of a pool did. Hits, of which there is one for each use of a statement, are
// counted by each shelf for itself, lest all processors write to one place.
type statementCounts struct {
	misses, evicted, open atomic.Int64

	mu   sync.Mutex
	hits map[*atomic.Int64]struct{} // of open connections; guarded by mu, as is the next
	past int64                      // of the others
}

// newShelf makes a shelf with room for so many statements that nobody uses.
func (c *statementCounts) newShelf(room int) shelf {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hits == nil {
		c.hits = map[*atomic.Int64]struct{}{}
	}
	n := new(atomic.Int64)
	c.hits[n] = struct{}{}
	return shelf{room: room, counts: c, hits: n}
}

// forget is for the shelf of a connection that is closed.
func (c *statementCounts) forget(s *shelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hits, s.hits)
	c.past += s.hits.Load()
}

// Statements are the counters of the prepared statements that the connections of a pool keep.
type Statements struct {
	Hits    uint64 // a statement that was there already
	Misses  uint64 // prepared by the driver
	Evicted uint64 // closed because others came, and there was no more room
	Open    int    // prepared, and not closed
}

// HitRate is the share of hits, from 0 to 1.
func (s Statements) HitRate() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

func (c *statementCounts) read() Statements {
	c.mu.Lock()
	defer c.mu.Unlock()
	hits := c.past
	for n := range c.hits {
		hits += n.Load()
	}
	return Statements{
		Hits: uint64(hits), Misses: uint64(c.misses.Load()),
		Evicted: uint64(c.evicted.Load()), Open: int(c.open.Load()),
	}
}

// take takes the statement of a text; nil if there is none that nobody uses. last, where the caller knows one, is the
// one of that text that it had before, and saves the search if it is here still.
func (s *shelf) take(query string, last *prepared) *prepared {
	p := last
	if p == nil || p.shelf != s || p.at == nil || p.second {
		p = s.byText[query]
	}
	if p == nil || p.busy {
		return nil
	}
	p.busy = true
	s.idle--
	s.hits.Add(1)
	return p
}

// add is for a statement that was just prepared, for somebody to use.
func (s *shelf) add(query string, raw driver.Stmt) *prepared {
	p := &prepared{query: query, raw: raw, shelf: s, busy: true}
	p.at = s.all.PushFront(p)
	if p.second = s.byText[query] != nil; !p.second {
		if s.byText == nil {
			s.byText = map[string]*prepared{}
		}
		s.byText[query] = p
	}
	s.counts.misses.Add(1)
	s.counts.open.Add(1)
	return p
}

// give puts a statement on the shelf.
func (s *shelf) give(p *prepared) {
	if p.at == nil { // it was emptied meanwhile
		p.raw = nil
		return
	}
	p.busy = false
	s.idle++
	if p.failed || p.second || s.room == 0 {
		s.discard(p)
		return
	}
	s.all.MoveToFront(p.at)
	for at := s.all.Back(); s.idle > s.room; {
		old := at.Value.(*prepared)
		at = at.Prev()
		if !old.busy {
			s.counts.evicted.Add(1)
			s.discard(old)
		}
	}
}

// discard has a statement closed.
func (s *shelf) discard(p *prepared) {
	if !p.second {
		delete(s.byText, p.query)
	}
	s.all.Remove(p.at)
	p.at = nil
	s.over = append(s.over, p.raw)
	if !p.busy {
		s.idle--
		p.raw = nil // lest who remembers it keep a connection from being collected that is closed
	}
	s.counts.open.Add(-1)
}

// clear has all closed that nobody uses.
func (s *shelf) clear() {
	for at := s.all.Front(); at != nil; {
		p := at.Value.(*prepared)
		at = at.Next()
		if !p.busy {
			s.discard(p)
		}
	}
}

// empty has all closed.
func (s *shelf) empty() {
	for at := s.all.Front(); at != nil; at = s.all.Front() {
		s.discard(at.Value.(*prepared))
	}
}
