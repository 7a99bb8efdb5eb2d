package manage

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// countedStmt is a statement that knows how often it was closed.
type countedStmt struct {
	driver.Stmt
	query  string
	closed int
}

func (s *countedStmt) Close() error { s.closed++; return nil }

// shelfModel is a shelf as a slice of idle statements, the one last put there first.
type shelfModel struct {
	room         int
	idle         []*countedStmt
	busy         []*prepared
	firstOf      map[string]driver.Stmt // the one of each text that may be kept
	hits, misses int
	evicted      int
	over         []driver.Stmt
}

func (m *shelfModel) drop(raw driver.Stmt) {
	m.over = append(m.over, raw)
	for query, first := range m.firstOf {
		if first == raw {
			delete(m.firstOf, query)
		}
	}
}

func FuzzAShelfDoesWhatASliceDoes(f *testing.F) {
	f.Add([]byte{2, 0, 1, 2, 64, 65, 66, 0, 1, 128, 64, 0, 0, 64, 64})
	f.Add([]byte{0, 0, 64, 0, 64})
	f.Add([]byte{1, 0, 0, 64, 129, 1, 64, 200, 0, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		var counts statementCounts
		m := shelfModel{room: int(script[0] % 4), firstOf: map[string]driver.Stmt{}}
		s := counts.newShelf(m.room)
		var all []*countedStmt
		// What users had last: of one text it is always a statement of another shelf.
		elsewhere := shelf{room: 1, counts: new(statementCounts)}
		last := map[string]*prepared{"q0": elsewhere.add("q0", &countedStmt{query: "q0"})}
		elsewhere.give(last["q0"])
		for at, b := range script[1:] {
			query := fmt.Sprint("q", b%5)
			switch {
			case b < 64: // somebody wants a statement
				p := s.take(query, last[query])
				i := slices.IndexFunc(m.idle, func(c *countedStmt) bool { return c.query == query })
				if (p != nil) != (i >= 0) || p != nil && p.raw != m.idle[i] {
					t.Fatalf("step %d: take of %s gave %v, the model has it at %d", at, query, p, i)
				}
				if p != nil {
					m.hits++
					m.idle = slices.Delete(m.idle, i, i+1)
				} else {
					m.misses++
					raw := &countedStmt{query: query}
					all = append(all, raw)
					if m.firstOf[query] == nil {
						m.firstOf[query] = raw
					}
					p = s.add(query, raw)
				}
				m.busy = append(m.busy, p)
				if query != "q0" {
					last[query] = p
				}
			case b < 192 && len(m.busy) > 0: // it is given back, by 128 and above after an error
				i := int(b) % len(m.busy)
				p := m.busy[i]
				m.busy = slices.Delete(m.busy, i, i+1)
				p.failed = b >= 128
				raw := p.raw.(*countedStmt)
				if p.failed || m.room == 0 || m.firstOf[raw.query] != raw {
					m.drop(raw)
				} else {
					m.idle = slices.Insert(m.idle, 0, raw)
					for len(m.idle) > m.room {
						m.evicted++
						m.drop(m.idle[len(m.idle)-1])
						m.idle = m.idle[:len(m.idle)-1]
					}
				}
				s.give(p)
			case b >= 250: // the connection is closed
				for _, c := range m.idle {
					m.drop(c)
				}
				for _, p := range m.busy {
					m.drop(p.raw)
				}
				m.idle = nil
				s.empty()
				for _, p := range m.busy {
					s.give(p) // comes too late, and does nothing
				}
				m.busy = nil
			case b >= 240: // a full reset
				for _, c := range m.idle {
					m.drop(c)
				}
				m.idle = nil
				s.clear()
			}
			over := s.over
			s.over = nil
			for _, raw := range over {
				_ = raw.Close()
			}
			if len(over) != len(m.over) {
				t.Fatalf("step %d: %d are to be closed, the model has %d", at, len(over), len(m.over))
			}
			for _, raw := range m.over {
				if raw.(*countedStmt).closed != 1 {
					t.Fatalf("step %d: a statement that is over was closed %d times", at, raw.(*countedStmt).closed)
				}
			}
			m.over = nil
			got, want := counts.read(), Statements{uint64(m.hits), uint64(m.misses), uint64(m.evicted), len(m.idle) + len(m.busy)}
			if got != want || s.idle != len(m.idle) {
				t.Fatalf("step %d: counts are %+v with %d idle, the model has %+v with %d", at, got, s.idle, want, len(m.idle))
			}
			for _, p := range m.busy {
				if p.raw.(*countedStmt).closed != 0 {
					t.Fatalf("step %d: a statement was closed under its user", at)
				}
			}
			for _, p := range last {
				if p.at == nil && p.raw != nil && !slices.Contains(m.busy, p) {
					t.Fatalf("step %d: a statement that is over is still held by who had it", at)
				}
			}
		}
		s.empty()
		for _, raw := range s.over {
			_ = raw.Close()
		}
		for _, c := range all {
			if c.closed != 1 {
				t.Fatalf("in the end a statement was closed %d times, want once", c.closed)
			}
		}
	})
}

func TestHitRateIsTheShareOfHits(t *testing.T) {
	for want, s := range map[float64]Statements{0: {}, 0.75: {Hits: 3, Misses: 1}, 1: {Hits: 7}} {
		if got := s.HitRate(); got != want {
			t.Errorf("hit rate of %+v is %v, want %v", s, got, want)
		}
	}
}

func TestAStatementsErrorOfCloseIsNobodys(t *testing.T) {
	if !closeQuietly(failingStmt{}) {
		t.Error("an error of Close was taken for a panic")
	}
}

type failingStmt struct{ driver.Stmt }

func (failingStmt) Close() error { return errors.New("no") }
