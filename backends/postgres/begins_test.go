package postgres_test

import (
	"strings"
	"testing"

	"github.com/lidopool/lido/backends/postgres"
	"github.com/lidopool/lido/backends/servertest"
)

// texts are SQL texts, and whether a transaction is open after each.
var texts = []struct {
	text string
	open bool
	also bool // Begins may say yes where the server says no
}{
	{text: "BEGIN", open: true},
	{text: "begin", open: true},
	{text: "BeGiN;", open: true},
	{text: " \t\r\n\fBEGIN", open: true},
	{text: "BEGIN TRANSACTION READ ONLY", open: true},
	{text: "BEGIN--x", open: true},
	{text: "BEGIN/*x*/", open: true},
	{text: "START TRANSACTION", open: true},
	{text: "start\ntransaction isolation level serializable", open: true},
	{text: "START/*x*/TRANSACTION", open: true},
	{text: "/* a */ -- b\n BEGIN", open: true},
	{text: "--\rBEGIN", open: true},
	{text: "/* a /* nested */ ; */BEGIN", open: true},
	{text: "/***/BEGIN", open: true},
	{text: "/*/**/*/BEGIN", open: true},
	{text: ";BEGIN", open: true},
	{text: ";;  ;\n/**/;BEGIN", open: true},
	{text: "SELECT 1;BEGIN", open: true},
	{text: "SELECT '; /* '; BEGIN", open: true},
	{text: "SELECT ';-- '; BEGIN", open: true},
	{text: "SELECT $$; /* $$; BEGIN", open: true},
	{text: `SELECT E'\'; -- '; BEGIN`, open: true},
	{text: `SELECT 1 AS "; /* "; BEGIN`, open: true},
	{text: "SELECT 1 -- ; x\n; BEGIN", open: true},
	{text: "SELECT 1 /* ; /* ; */ */; BEGIN; SELECT 2", open: true},
	{text: "BEGIN; COMMIT; BEGIN", open: true},
	{text: "BEGIN; COMMIT AND CHAIN", open: true},
	{text: "BEGIN; ROLLBACK AND CHAIN", open: true},
	{text: "BEGIN; ABORT AND CHAIN", open: true},
	{text: "BEGIN; SELECT 1/0", open: true}, // failed, but open

	{text: ""},
	{text: ";"},
	{text: "SELECT 1"},
	{text: "-- name: Started :one\nSELECT 1"},
	{text: "/* BEGIN */ SELECT 1"},
	{text: "-- BEGIN\nSELECT 1"},
	{text: "SELECT 'BEGIN'"},
	{text: `SELECT 1 AS "begin"`},
	{text: "SELECT 1 AS begin"},
	{text: "SELECT 1 AS start"},
	{text: "SELECT 1;SELECT 2"},
	{text: "COMMIT"},
	{text: "COMMIT AND CHAIN"},
	{text: "ROLLBACK AND CHAIN"},
	{text: "SAVEPOINT s"},
	{text: "SET TRANSACTION READ ONLY"},
	{text: "LOCK TABLE pg_class"},
	{text: "PREPARE p AS SELECT 1; EXECUTE p"},
	{text: "BEGINNING"},
	{text: "BEGIN_"},
	{text: "BEGIN$"},
	{text: "BEGINé"},
	{text: "\u00a0BEGIN"},
	{text: "\ufeffBEGIN"},
	{text: "/* BEGIN"},
	{text: "(BEGIN)"},
	{text: "PREPARE p AS BEGIN"},
	{text: "COPY (SELECT 1) TO PROGRAM 'begin' BEGIN"},
	{text: "CREATE FUNCTION pg_temp.f() RETURNS int BEGIN ATOMIC RETURN 1; END"},

	{text: "BEGIN; COMMIT", also: true},
	{text: "SELECT ';BEGIN'", also: true},
	{text: "DO $$ BEGIN PERFORM 1; END $$"},
	{text: "DO $$ DECLARE x int; BEGIN PERFORM 1; END $$", also: true},
	{text: "START", also: true},
	{text: "BEGIN ATOMIC", also: true},
}

func TestBeginsNeverMissesATransaction(t *testing.T) {
	b := backend(t, postgres.Backend{}, servertest.Postgres(t).DSN())
	for _, tt := range texts {
		if got, want := postgres.Begins(tt.text), tt.open || tt.also; got != want {
			t.Errorf("Begins(%q) = %v, want %v", tt.text, got, want)
		}
		c := connect(t, b)
		_ = try(c, tt.text) // it may fail
		// In a failed transaction even this fails; outside of one it cannot be.
		err := try(c, "SAVEPOINT s")
		open := err == nil || strings.Contains(err.Error(), "25P02")
		if open != tt.open {
			t.Errorf("after %q the server says that a transaction is open: %v (%v), want %v", tt.text, open, err, tt.open)
		}
	}
}

func FuzzBegins(f *testing.F) {
	for _, tt := range texts {
		f.Add(tt.text, "")
		f.Add("", tt.text)
	}
	// Whatever comes before, a semicolon ends it, if it is not a string or a comment that goes on:
	// then the text is no statement that the server executes.
	f.Fuzz(func(t *testing.T, before, space string) {
		if strings.Trim(space, " \t\n\r\f") != "" {
			space = "/*" + strings.NewReplacer("/", "", "*", "").Replace(space) + "*/ --" + strings.NewReplacer("\n", "", "\r", "").Replace(space) + "\n"
		}
		for _, word := range []string{"BEGIN", "begin;", "Start TRANSACTION", "START\vTRANSACTION", "BEGIN--" + before} {
			if text := before + ";" + space + word; !postgres.Begins(text) {
				t.Errorf("Begins(%q) is false", text)
			}
			if text := space + word; !postgres.Begins(text) {
				t.Errorf("Begins(%q) is false", text)
			}
		}
	})
}

func TestBeginsAllocatesNothing(t *testing.T) {
	for _, tt := range texts {
		if n := testing.AllocsPerRun(10, func() { postgres.Begins(tt.text) }); n != 0 {
			t.Errorf("Begins(%q) allocates %v times", tt.text, n)
		}
	}
}

// One operation is one look at a text.
func BenchmarkBegins(b *testing.B) {
	for name, text := range map[string]string{
		"short":  "SELECT id, name FROM users WHERE id = $1",
		"sqlc":   "-- name: GetAuthor :one\nSELECT id, name, bio FROM authors\nWHERE id = $1 LIMIT 1;\n",
		"begins": "BEGIN",
		"10KB":   "INSERT INTO t VALUES " + strings.Repeat("($1, $2, $3), ", 700) + "($1, $2, $3)",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				postgres.Begins(text)
			}
		})
	}
}
