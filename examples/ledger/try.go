package main

import (
	"context"
	"errors"
	"time"

	"github.com/lidopool/lido/strategies"
)

// try runs the load through one strategy, audits the books, and brings now up to date.
func (s settings) try(ctx context.Context, c strategies.Config, path string, now *books, p *progress) (result, error) {
	b, err := openBank(path, c)
	if err != nil {
		return result{}, &requestError{err}
	}
	r, committed, err := s.measure(ctx, c, b, *now, p)
	if err = errors.Join(err, b.close()); err != nil {
		return r, err
	}
	m := b.meter.read()
	r.opens, r.peak, r.open = m.opens, m.peak, m.times

	p.step(c.Kind, "audit")
	// Not under ctx: an interrupted load, too, must leave books that balance.
	after, err := inspect(context.WithoutCancel(ctx), path)
	if err == nil {
		err = after.expect(*now, committed)
	}
	if err != nil {
		return r, err
	}
	*now = after
	p.done(c.Kind, "%s operations, %s, books balance", count(r.operations), plural(committed, "transfer"))
	return r, nil
}

// measure runs the load and shows how it goes.
func (s settings) measure(ctx context.Context, c strategies.Config, b *bank, now books, p *progress) (r result, committed int, err error) {
	l := &load{db: b.db, accounts: now.accounts, goroutines: s.goroutines, duration: s.duration}
	l.lastTransfer.Store(now.lastTransfer)
	if c.Kind == "assertion" {
		l.goroutines = 1 // it would refuse the others
	}
	start := time.Now()
	finished := make(chan tally, 1)
	go func() { finished <- l.run(ctx) }()
	tick := time.NewTicker(p.interval())
	defer tick.Stop()
	var t tally
	for running := true; running; {
		select {
		case t = <-finished:
			running = false
		case <-tick.C:
			load := b.pool.Stats()
			p.step(c.Kind, "%.1f s: %s operations; %d open, %d in use, %d waiting", time.Since(start).Seconds(),
				count(int(l.operations.Load())), load.Open, load.InUse, load.Waiting)
		}
	}
	r = result{
		config: c, limits: b.pool.Limits(), goroutines: l.goroutines,
		elapsed: time.Since(start), partial: ctx.Err() != nil,
		acquire: newTimes(t.acquires), read: newTimes(t.reads), write: newTimes(t.writes),
		operations: len(t.reads) + len(t.writes), errors: t.errors, firstError: t.firstError,
	}
	if c.Kind == "assertion" && !r.partial {
		r.rivals = s.goroutines - 1
		r.refused, err = b.rivals(context.WithoutCancel(ctx), r.rivals)
	}
	return r, t.committed, err
}

// inspect audits the books through a pool of its own.
func inspect(ctx context.Context, path string) (now books, err error) {
	b, err := openBank(path, auditor())
	if err != nil {
		return now, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return audit(ctx, b.db)
}
