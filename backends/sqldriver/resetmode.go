package sqldriver

import "fmt"

// ResetMode says what becomes of a transaction that is still open when a
// connection is returned, and of the rest of its session. The zero ResetMode, "", is Rollback.
type ResetMode string

const (
	// Rollback undoes it.
	Rollback ResetMode = "rollback"
	// Commit makes it lasting. It suits holders that only read, or that
	// rely on it knowingly: work cut short by an error is made lasting too.
	Commit ResetMode = "commit"
	// Full rolls back, and brings the rest of the session back to what it was after the open,
	// where the backend can: settings, temporary tables, locks.
	Full ResetMode = "full"
	// NoReset leaves it open, for the next holder to find.
	NoReset ResetMode = "none"
)

// ParseResetMode reads "rollback", "commit", "full", "none" or "", which is Rollback.
func ParseResetMode(s string) (ResetMode, error) {
	switch m := ResetMode(s); m {
	case "":
		return Rollback, nil
	case Rollback, Commit, Full, NoReset:
		return m, nil
	}
	return "", fmt.Errorf("sqldriver: reset mode is %q: give rollback, commit, full or none", s)
}

// UnmarshalText is ParseResetMode, for JSON and its like.
func (m *ResetMode) UnmarshalText(text []byte) error {
	parsed, err := ParseResetMode(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
