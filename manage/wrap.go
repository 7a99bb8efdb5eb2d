package manage

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/lidopool/lido/backends/sqldriver"
	"github.com/lidopool/lido/pool"
)

// Wrap registers any driver under a name, and returns what to give to sql.Register, as
// Driver does. If the database has a backend of its own, Register that instead: of a driver
// that it does not know the manager can tell neither which DSNs mean the same nor what in
// them is a secret. So two DSNs share a pool only if they are equal letter by letter.
// Nothing of a DSN is shown, and what an error repeats of it is masked. And a DSN of a private
// in-memory database, where each connection has data of its own, is not noticed: such a one
// needs the strategy static, or pool_size=1 without overflow (pool_max_overflow=0).
//
// What makes an idle connection unfit to be lent, the driver says by its ResetSession, if it has one:
// pgx, that a text has left a transaction open, and that the session has ended, if it was idle for a
// second. pool_ping=true asks before every use. A transaction begun by a text is not noticed otherwise.
//
// Wrapping the same driver under the same name again does nothing; another one is an
// error. Two values that the driver's package made by &Driver{} are not the same: keep
// the driver that the first Wrap returned.
func (m *Manager) Wrap(name string, d driver.Driver) (driver.Driver, error) {
	if d == nil {
		return nil, fmt.Errorf("manage: driver %q is nil: give one", name)
	}
	b := &wrapped{name: name, driver: d}
	_, _ = rand.Read(b.salt[:]) // never fails
	if err := m.Register(b); err != nil {
		return nil, err
	}
	return m.Driver(name), nil
}

// wrapped is the Backend of a driver that nobody here knows.
type wrapped struct {
	name   string
	driver driver.Driver
	salt   [32]byte
}

// Name implements Backend.
func (w *wrapped) Name() string { return w.name }

// Canonical implements Backend.
func (w *wrapped) Canonical(dsn string) (string, error) { return dsn, nil }

// Redact shows nothing of the DSN but a mark that tells it from others while the program
// runs. With a secret salt the mark cannot be used to try passwords.
func (w *wrapped) Redact(dsn string) string {
	h := hmac.New(sha256.New, w.salt[:])
	h.Write([]byte(dsn))
	return "(DSN hidden, " + hex.EncodeToString(h.Sum(nil)[:4]) + ")"
}

// Open implements Backend.
func (w *wrapped) Open(dsn string, reset sqldriver.ResetMode) (b pool.Backend[*sqldriver.Conn], err error) {
	mask := newMask(dsn)
	defer func() {
		if v := recover(); v != nil { // what it says may hold the DSN, too
			err = fmt.Errorf("the driver panicked: %s", mask.hide(fmt.Sprint(v)))
		}
	}()
	c, err := sqldriver.ConnectorOf(w.driver, dsn)
	if err != nil {
		return nil, errors.New(mask.hide(err.Error())) // not wrapped: the original holds the DSN
	}
	return sqldriver.New(c, sqldriver.Options{Reset: reset, Redact: mask.hide})
}

// mask hides a DSN and all its words.
type mask struct {
	whole []string
	words map[string]bool
}

// hidden stands for what is hidden.
const hidden = "xxxxx"

func newMask(dsn string) mask {
	m := mask{whole: []string{dsn}, words: map[string]bool{}}
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if plain, err := decode(dsn); err == nil {
			m.whole = append(m.whole, plain)
		}
	}
	m.whole = slices.DeleteFunc(slices.Compact(m.whole), func(s string) bool { return s == "" })
	for _, s := range m.whole {
		for _, word := range strings.FieldsFunc(s, notOfWord) {
			m.words[strings.ToLower(word)] = true
		}
	}
	return m
}

func notOfWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// hide masks what a text repeats of the DSN: all of it; a word of four letters or more wherever
// it stands, in any case; a shorter one where it stands alone.
func (m mask) hide(text string) string {
	for _, s := range m.whole {
		text = strings.ReplaceAll(text, s, hidden)
	}
	var b strings.Builder
	for len(text) > 0 {
		if end := strings.IndexFunc(text, notOfWord); end != 0 {
			if end < 0 {
				end = len(text)
			}
			b.WriteString(m.word(text[:end]))
			text = text[end:]
		}
		end := strings.IndexFunc(text, func(r rune) bool { return !notOfWord(r) })
		if end < 0 {
			end = len(text)
		}
		b.WriteString(text[:end])
		text = text[end:]
	}
	return b.String()
}

// word is a word of a text, masked if it holds one of the DSN.
func (m mask) word(w string) string {
	low := strings.ToLower(w)
	if m.words[low] {
		return hidden
	}
	for secret := range m.words {
		if len(secret) >= 4 && strings.Contains(low, secret) {
			return hidden
		}
	}
	return w
}
