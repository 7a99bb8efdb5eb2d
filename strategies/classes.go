package strategies

import (
	"context"
	"strconv"
	"strings"

	"github.com/lidopool/lido/pool"
)

// Shares are the priority classes of a Queue, as one text: a number for each class, the highest
// first, such as "0,20,10". The number is the per cent of all hand-offs that the class is sure
// to get while one of it waits. What nobody has reserved, and the share of a class of which
// nobody waits, goes to the highest class that waits. Within a class it is first come, first served.
// The empty Shares has no classes.
//
// Every class but the highest needs 1 or more, and all together 100 at most, or 99 if the highest has 0:
// so nobody starves. While one of a class waits, the nth hand-off to it comes at the latest
// with hand-off n × 100/share, rounded up, since it began to wait; or up to 100/share later,
// if the class was served shortly before. Hand-offs to who has an unfit resource replaced
// go before and do not count. An open that fails is the answer to the longest waiter of all.
type Shares string

// percents are the shares in order. If they cannot be used, remedy says what could.
func (s Shares) percents() (all []int, remedy string) {
	sum := 0
	for i, text := range strings.Split(string(s), ",") {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < 0 || n > 100 || strconv.Itoa(n) != text:
			return nil, `give a per cent for each class, the highest first, such as "0,20,10"`
		case i > 0 && n == 0:
			return nil, "the class with 0 could wait for ever; give each but the first 1 or more"
		}
		all = append(all, n)
		sum += n
	}
	switch {
	case len(all) < 2:
		return nil, "one class is none; give two or more, or leave it out"
	case sum > 100:
		return nil, "that is " + strconv.Itoa(sum) + " per cent; give 100 or less in all"
	case sum == 100 && all[0] == 0:
		return nil, "nothing is left for the first class; give it 1 or more, or 99 or less in all"
	}
	return all, ""
}

// classes choose whom a hand-off is for. The lines of the classes are beside the one in order
// of arrival, which has the same waiters, but for those who replace: they stand in front of all.
//
// A class of which somebody waits is given credit, its share, with every hand-off, and pays 100 for
// one that it gets by right. It is due once its credit is more than the per cent that nobody has reserved;
// by 100 it must be served. Who is due is served, the one with the fewest hand-offs left to wait first;
// if none is, the highest class is. So the highest goes first wherever the shares of the
// others allow it.
//
// That none is late follows from: a class of share s is due for the last U/s of the 100/s hand-offs
// that it takes to earn one, U being the sum of all shares. So over that time it needs s/U of each
// hand-off, all together need no more than one of each, and then serving the earliest deadline
// first meets all (Liu and Layland, 1973). Deadlines like these, of shares, in whole hand-offs, are those of
// Baruah, Cohen, Plaxton and Varvel, "Proportionate Progress", 1996. It takes that a class which comes
// back soon still has the debt that it left with, less what it would have earned since.
type classes struct {
	all    []class
	free   int    // per cent that nobody has reserved
	handed uint64 // hand-offs to any of them
}

type class struct {
	head, tail *waiter
	n          int
	share      int // per cent
	credit     int // in hundredths of a hand-off
	emptied    uint64
}

// place is where a waiter stands in the line of its class.
type place struct {
	class      int
	next, prev *waiter
}

func newClasses(percents []int) *classes {
	c := &classes{free: 100}
	for _, share := range percents {
		c.all = append(c.all, class{share: share})
		c.free -= share
	}
	return c
}

// classOf is the class that ctx names, of those there are.
func (c *classes) classOf(ctx context.Context) int { return min(pool.ClassOf(ctx), len(c.all)-1) }

// join puts w behind those of its class.
func (c *classes) join(w *waiter) {
	if w.claim == nil {
		w.claim = &claim{place: new(place)}
	}
	*w.place = place{class: c.classOf(w.ctx)}
	k := &c.all[w.place.class]
	if k.n == 0 {
		const enough = 200 // no debt is larger
		k.credit = min(0, k.credit+k.share*int(min(c.handed-k.emptied, enough)))
		k.head = w
	} else {
		w.place.prev, k.tail.place.next = k.tail, w
	}
	k.tail = w
	k.n++
}

// leave takes w out of the line of its class. A class of which nobody waits keeps its debt, but
// no credit.
func (c *classes) leave(w *waiter) {
	k, p := &c.all[w.place.class], w.place
	if p.prev == nil {
		k.head = p.next
	} else {
		p.prev.place.next = p.next
	}
	if p.next == nil {
		k.tail = p.prev
	} else {
		p.next.place.prev = p.prev
	}
	p.next, p.prev = nil, nil
	if k.n--; k.n == 0 {
		k.credit, k.emptied = min(k.credit, 0), c.handed
	}
}

// next is who the next hand-off is for; nil if nobody waits. It costs a look at every class.
func (c *classes) next() *waiter {
	var highest, due *waiter
	soonest := 0
	for i := range c.all {
		k := &c.all[i]
		if k.n == 0 {
			continue
		}
		if highest == nil {
			highest = k.head
		}
		if credit := k.credit + k.share; credit > c.free && k.share > 0 {
			if left := (100 - credit + k.share - 1) / k.share; due == nil || left < soonest {
				due, soonest = k.head, left
			}
		}
	}
	if due != nil {
		return due
	}
	return highest
}

// ahead is how many go before somebody who came now: at least those of its class and of higher ones, unless
// the share of its class takes it there sooner. More of higher classes may come, and lower ones take their share.
func (c *classes) ahead(ctx context.Context) (n int) {
	at := c.classOf(ctx)
	for i := range at + 1 {
		n += c.all[i].n
	}
	if k := &c.all[at]; k.share > 0 {
		n = min(n, (k.n+1)*100/k.share-1)
	}
	return n
}

// handOff keeps the accounts of a hand-off to w, the one that next chose, who is still in line.
func (c *classes) handOff(w *waiter) {
	c.handed++
	for i := range c.all {
		if k := &c.all[i]; k.n > 0 {
			k.credit += k.share
		}
	}
	if k := &c.all[w.place.class]; k.credit > c.free {
		k.credit -= 100
	}
}
