package manage

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unique"
)

// Key names a pool: a backend and the canonical form of a DSN. Keys are equal, by ==
// too, exactly if both are. Manager.Key makes them.
//
// A Key shows its DSN redacted, whichever way it is printed, logged or encoded.
type Key struct {
	backend string
	// A handle, because fmt prints the fields of a Key in somebody's unexported field without
	// asking the Key: then this is a pointer, and no secret.
	dsn   unique.Handle[string]
	shown string
}

func newKey(b Backend, dsn string) (Key, error) {
	name := b.Name()
	canonical, err := b.Canonical(dsn)
	if err != nil {
		if strings.HasPrefix(err.Error(), name+": ") { // a backend's errors begin with its own name, which often is this
			return Key{}, fmt.Errorf("manage: %w", err)
		}
		return Key{}, fmt.Errorf("manage: %s: %w", name, err)
	}
	return Key{name, unique.Make(canonical), strings.TrimSpace(name + " " + b.Redact(canonical))}, nil
}

// Backend is the name of the backend.
func (k Key) Backend() string { return k.backend }

// id is unlike that of every other key. It shows no secret.
func (k Key) id() string {
	sum := sha256.Sum256([]byte(strconv.Quote(k.backend) + k.dsn.Value()))
	return string(sum[:])
}

// String is the backend's name and the redacted DSN.
func (k Key) String() string { return k.shown }

// GoString is String in a form that looks like Go.
func (k Key) GoString() string { return "manage.Key(" + strconv.Quote(k.shown) + ")" }

// Format prints String for every verb, by the rules of a string.
func (k Key) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		_, _ = f.Write([]byte(k.GoString()))
		return
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), k.shown)
}

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.shown) }

// MarshalText is String, for JSON and its like.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.shown), nil }

// UnmarshalText always fails: what MarshalText wrote lacks the secrets.
func (k *Key) UnmarshalText([]byte) error {
	return errors.New("manage: a key cannot be read from text, which has no secrets: ask Manager.Key for it")
}
