package target

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lidopool/lido/bench/internal/load"
	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/strategies"
)

// A Backend is where resources come from.
type Backend interface {
	// Name is what it is called in a result, without secrets: "synthetic?use=1ms", "sqlite",
	// "postgres://app@db/shop".
	Name() string
	// Target makes a pool of Lido's over it, with the strategy of c. Nothing is opened yet. The
	// result also has Drop: see Dropper.
	Target(c strategies.Config) (load.Target, error)
	// Dial opens a resource for a pool that is not Lido's, and close closes it. Both are metered by m.
	// What it opens is for one holder at a time.
	Dial(ctx context.Context, m *Meter) (c load.Conn, close func() error, err error)
	// Faults is how it is put into trouble: all that is opened over it.
	Faults() *Faults
	// Sessions is how many connections of this program the server counts; known is false if there is
	// no server to be asked.
	Sessions(ctx context.Context) (n int, known bool, err error)
	// Close ends what it needs for itself, its files and tables included. It is called after the Close of
	// all targets over it.
	Close() error
}

// A Dropper is a load.Target whose pool gets a resource back that its holder forgot. Drop acquires one,
// which ctx bounds, and forgets it.
type Dropper interface {
	Drop(ctx context.Context) error
}

// A Kind is a kind of backend.
type Kind struct{ Name, Example, About string }

// Kinds are the kinds of backends, with an example and a sentence about each, for lists and completion.
func Kinds() []Kind {
	return []Kind{
		{"synthetic", "synthetic?open=exp:5ms&use=1ms&fail=0.01", "Resources that are made up, and cost what the text says: nothing, if it says nothing."},
		{"sqlite", "sqlite", "SQLite in a file of its own, which is deleted at the end; or, as sqlite:file.db, in that file."},
		{"postgres", "postgres://user:password@host/database", "PostgreSQL, by lib/pq. A table is made, and dropped at the end."},
		{"mysql", "mysql:user:password@tcp(host:3306)/database", "MySQL or MariaDB, by go-sql-driver/mysql. A table is made, and dropped at the end."},
	}
}

// Open reads what --backend takes, and makes sure that it can be reached, which may take up to 5 s:
//
//	synthetic?open=exp:5ms&use=1ms&fail=0.01   made up: see the keys below
//	sqlite                                     a file of its own, deleted at Close
//	sqlite:file.db                             that file, which must have no tables of anybody's; one that is made is deleted at Close
//	postgres://user:password@host/db           or postgres:key=value pairs, as backends/postgres takes them
//	mysql:user:password@tcp(host)/db           as backends/mysql takes them
//
// A synthetic backend has these keys, and costs nothing if none is given. open, use, close and ping are what
// each takes, as load.ParseDist reads it; dial is what an open takes that is refused because the backend is
// down. work says how a use spends its time: sleep, the default, or spin. fail and openfail are the shares of
// uses that break the resource, and of opens that fail. max is how many may be open at once, over all pools;
// more are refused. capacity is how many uses go on at once; more wait in the server, so that more resources do not
// help. seed is what is drawn from.
//
// A real database gets a table, lidobench in a file and lidobench_ with a random number elsewhere, which is
// dropped at Close. Reading is one SELECT of one row by its key, writing one UPDATE of one, each as a text in one
// round trip.
//
// The Backend must be closed. No error shows a secret.
func Open(ctx context.Context, text string) (Backend, error) {
	kind, mark, rest := split(text)
	switch {
	case kind == "synthetic" && mark != ":":
		return openSynthetic(rest)
	case kind == "sqlite" && mark != ":":
		return backendOr(openOwnSQLite(ctx, rest))
	case kind == "sqlite" && strings.HasPrefix(rest, "//"): // where others mean a relative path, or an absolute one
		return nil, errors.New("target: backend begins with sqlite://: write the path behind the colon, as in sqlite:app.db or sqlite:/tmp/app.db")
	case kind == "sqlite":
		return backendOr(openSQLite(ctx, rest))
	case (kind == "postgres" || kind == "postgresql") && strings.HasPrefix(rest, "//"):
		return backendOr(openPostgres(ctx, text))
	case kind == "postgres" && mark == ":":
		return backendOr(openPostgres(ctx, rest))
	case kind == "mysql" && mark == ":":
		return backendOr(openMySQL(ctx, rest))
	}
	return nil, unknown(text, kind, mark)
}

// backendOr is a Backend of d, or none.
func backendOr(d *database, err error) (Backend, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// split takes a text apart at its first colon or question mark.
func split(text string) (kind, mark, rest string) {
	if i := strings.IndexAny(text, ":?"); i >= 0 {
		return text[:i], text[i : i+1], text[i+1:]
	}
	return text, "", ""
}

// unknown is the error for a text of no known kind. Of one that may be a DSN, any part may be secret.
func unknown(text, kind, mark string) error {
	known := make([]string, len(Kinds()))
	for i, k := range Kinds() {
		known[i] = k.Name
		if k.Name == kind { // as sqlite://, say
			return fmt.Errorf("target: backend is %s, but is not spelled as %s: give it like that", kind, k.Example)
		}
	}
	switch {
	case strings.Contains(text, "@tcp(") || strings.Contains(text, "@unix("):
		return errors.New("target: backend looks like a DSN of MySQL's: write mysql: before it")
	case strings.Contains(text, "host=") || strings.Contains(text, "dbname="):
		return errors.New("target: backend looks like a DSN of PostgreSQL's: write postgres: before it")
	case mark != ":" && strings.ContainsAny(kind, `/.\`):
		return errors.New("target: backend looks like a file: write sqlite: before it if it is one of SQLite's")
	case strings.Contains(kind, "@"):
		kind = "xxxxx"
	}
	return fmt.Errorf("target: backend %.64q: %s", kind, settings.Unknown(kind, known))
}
