package strategies_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// aside is the class, in the model, of those who replace.
const aside = -1

// customer is somebody in line, for the model.
type customer struct {
	class  int
	cancel context.CancelFunc
	gone   bool // its ctx has ended
	leave  func()
	out    bool // it is not in line any more
}

// classModel is a line with classes as slices say it should be.
type classModel struct {
	percents []int
	lines    [][]*customer
	front    []*customer // who replaces, the first one first
	credit   []int
	empty    []int // hand-offs since the class had nobody
	served   []int // since somebody of it waits
	waited   []int // hand-offs since
	owed     []int // the debt that it came back with
}

func newClassModel(percents []int) *classModel {
	n := len(percents)
	return &classModel{percents: percents, lines: make([][]*customer, n), credit: make([]int, n), empty: make([]int, n),
		served: make([]int, n), waited: make([]int, n), owed: make([]int, n)}
}

func (m *classModel) join(c *customer) {
	if c.class == aside {
		m.front = slices.Insert(m.front, 0, c)
		return
	}
	if len(m.lines[c.class]) == 0 {
		m.credit[c.class] = min(0, m.credit[c.class]+m.empty[c.class]*m.percents[c.class])
		m.served[c.class], m.waited[c.class], m.owed[c.class] = 0, 0, -m.credit[c.class]
	}
	m.lines[c.class] = append(m.lines[c.class], c)
}

func (m *classModel) leave(c *customer) {
	c.out = true
	line := &m.front
	if c.class != aside {
		line = &m.lines[c.class]
	}
	at := slices.Index(*line, c)
	*line = slices.Delete(*line, at, at+1)
	if c.class != aside && len(*line) == 0 {
		m.credit[c.class], m.empty[c.class] = min(0, m.credit[c.class]), 0
	}
}

// first is whom a hand-off is for: who replaces; else of the classes that are due the one with the fewest
// hand-offs left, by counting them; else the highest.
func (m *classModel) first() *customer {
	for {
		var c *customer
		if len(m.front) > 0 {
			c = m.front[0]
		} else {
			best, free := 1000, 100
			for _, p := range m.percents {
				free -= p
			}
			for i, line := range m.lines {
				if len(line) == 0 {
					continue
				}
				credit, left := m.credit[i]+m.percents[i], 0
				due := credit > free && m.percents[i] > 0
				for due && credit < 100 {
					credit += m.percents[i]
					left++
				}
				if due && left < best {
					best, c = left, line[0]
				} else if c == nil {
					c = line[0]
				}
			}
		}
		if c == nil || !c.gone {
			return c
		}
		m.leave(c)
	}
}

// serve hands off to c, and looks whether every class has got its share.
func (m *classModel) serve(t *testing.T, c *customer) {
	if c.class == aside {
		m.leave(c)
		return
	}
	free := 100
	for i, line := range m.lines {
		free -= m.percents[i]
		if m.empty[i]++; len(line) > 0 {
			m.credit[i] += m.percents[i]
			m.waited[i]++
		}
	}
	if m.credit[c.class] > free {
		m.credit[c.class] -= 100
	}
	m.served[c.class]++
	m.leave(c)
	for i, line := range m.lines {
		if len(line) > 0 && m.served[i] < (m.waited[i]*m.percents[i]-m.owed[i])/100 {
			t.Errorf("class %d of %v has got %d of %d hand-offs since somebody of it waits, with a debt of %d; want its share",
				i, m.percents, m.served[i], m.waited[i], m.owed[i])
		}
	}
}

func FuzzClassesAreServedAsSlicesAre(f *testing.F) {
	rng := rand.New(rand.NewPCG(4, 2))
	for range 300 {
		script := make([]byte, 1000)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		s := &script{bytes: bytes}
		percents := [][]int{{0, 20}, {0, 20, 10}, {50, 50}, {0, 99}, {10, 1, 33, 7}, {30, 20, 25, 25}, {0, 19, 17, 13, 11, 7, 5, 3, 2, 1, 21}, {1, 1, 1}, {34, 33, 33}, {90, 5, 5}}[s.next(10)]
		line, model := strategies.NewLine(percents...), newClassModel(percents)
		var all []*customer // in line, in both
		byWaiter := map[any]*customer{}
		busy := s.next(4) // how much more often somebody comes than goes
		for !s.over() && !t.Failed() {
			switch op := s.next(7 + busy); op {
			default:
				c := &customer{class: s.next(len(percents))}
				if s.next(16) == 0 {
					c.class = aside
				}
				var ctx context.Context
				ctx, c.cancel = context.WithCancel(pool.WithClass(context.Background(), c.class))
				w := strategies.NewWaiter(line, ctx, 0)
				c.leave = func() { strategies.Leave(line, w) }
				if c.class == aside {
					strategies.JoinInFront(line, w)
				} else {
					strategies.Join(line, w)
				}
				model.join(c)
				byWaiter[w] = c
				all = append(all, c)
			case 0, 1, 2, 3:
				w, want := strategies.First(line), model.first()
				if (w == nil) != (want == nil) || w != nil && byWaiter[w] != want {
					t.Fatalf("the next of %v is %+v, want %+v", percents, byWaiter[w], want)
				}
				if w != nil {
					model.serve(t, want)
					strategies.Serve(line, w)
				}
			case 4:
				if len(all) > 0 {
					c := all[s.next(len(all))]
					model.leave(c)
					c.leave()
				}
			case 5:
				if len(all) > 0 {
					c := all[s.next(len(all))]
					c.cancel()
					c.gone = true
				}
			}
			all = slices.DeleteFunc(all, func(c *customer) bool { return c.out })
		}
		for _, c := range byWaiter {
			c.cancel()
		}
	})
}
