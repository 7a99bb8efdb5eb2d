package main

import (
	"context"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lidopool/lido/bench/internal/load"
)

type pgxPool struct{ *pgxpool.Pool }

// newPgxPool is the real pool over real connections to a server at the other end of a
// net.Pipe. Nothing is sent while resources come and go, except that pgxpool pings a
// connection that was idle for more than a second.
func newPgxPool(s spec) (subject, error) {
	config, err := pgxpool.ParseConfig("host=127.0.0.1 port=5432 user=versus dbname=versus sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(s.seats)
	config.ConnConfig.Fallbacks = nil
	config.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serve(theirs)
		return ours, nil
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		r, err := s.open(ctx)
		c.PgConn().CustomData()["resource"] = r
		return err
	}
	config.BeforeClose = func(c *pgx.Conn) { resourceOf(c).close() }
	p, err := pgxpool.NewWithConfig(context.Background(), config)
	return pgxPool{p}, err
}

// serve is as much of a PostgreSQL server as that needs: everybody may come in, and every
// query is an empty one. It ends when the client does.
func serve(conn net.Conn) {
	defer conn.Close()
	server := pgproto3.NewBackend(conn, conn)
	if _, err := server.ReceiveStartupMessage(); err != nil {
		return
	}
	server.Send(&pgproto3.AuthenticationOk{})
	server.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)})
	server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for server.Flush() == nil {
		message, err := server.Receive()
		if err != nil {
			return
		}
		if _, query := message.(*pgproto3.Query); query {
			server.Send(&pgproto3.EmptyQueryResponse{})
			server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		}
	}
}

// resourceOf looks where pgx lets its users keep things of their own: in a map.
func resourceOf(c *pgx.Conn) *resource {
	return c.PgConn().CustomData()["resource"].(*resource)
}

func (p pgxPool) Cycle(ctx context.Context, n int) error {
	for range n {
		c, err := p.Acquire(ctx)
		if err != nil {
			return err
		}
		resourceOf(c.Conn()).uses++
		c.Release()
	}
	return nil
}

func (p pgxPool) Visit(ctx context.Context, during func(context.Context, load.Conn) error) error {
	c, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	r := resourceOf(c.Conn())
	r.uses++
	if err = r.lend(ctx, during); r.broken {
		_ = c.Conn().Close(context.Background()) // so that the pool does not keep it
	}
	c.Release()
	return err
}

func (p pgxPool) close() { p.Close() }
