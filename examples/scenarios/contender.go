package main

import (
	"context"
	"database/sql"

	"github.com/lidopool/lido/pool"
	"github.com/lidopool/lido/strategies"
)

// contender is a pool before a server of its own.
type contender struct {
	name     string
	promises bool // it fails the scenario if it breaks its word
	server   *server
	get      func(ctx context.Context) (back func(), err error)
	close    func()
}

// contenders start the pools, with the settings of a scenario: the same for both, as far as both have them.
var contenders = []func(scenario) (contender, error){startLido, startSQL}

func startLido(s scenario) (contender, error) {
	server := &server{dial: s.dial}
	p, err := pool.New(pool.Funcs[*conn]{
		OpenFunc:  server.connect,
		CloseFunc: (*conn).Close,
	}, strategies.Queue{Size: s.keep, MaxOverflow: s.most - s.keep}, s.options)
	if err != nil {
		return contender{}, err
	}
	get := func(ctx context.Context) (func(), error) {
		l, err := p.Acquire(ctx)
		return func() { _ = l.Release() }, err
	}
	return contender{"Lido", true, server, get, func() { _ = p.Close() }}, nil
}

func startSQL(s scenario) (contender, error) {
	server := &server{dial: s.dial}
	db := sql.OpenDB(connector{server})
	db.SetMaxIdleConns(s.keep)
	db.SetMaxOpenConns(s.most)
	get := func(ctx context.Context) (func(), error) {
		c, err := db.Conn(ctx)
		return func() { _ = c.Close() }, err
	}
	return contender{"database/sql", false, server, get, func() { _ = db.Close() }}, nil
}
