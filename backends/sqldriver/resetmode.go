package sqldriver

import "fmt"

// ResetMode says what becomes of a transaction that is still open when a
// connection is returned. The zero ResetMode, "", is Rollback.
type ResetMode string

const (
	// Rollback undoes it.
	Rollback ResetMode = "rollback"
	// Commit makes it lasting. It suits holders that only read, or that
	// rely on it knowingly: work cut short by an error is made lasting too.
	Commit ResetMode = "commit"
	// NoReset leaves it open, for the next holder to find.
	NoReset ResetMode = "none"
)

// ParseResetMode reads "rollback", "commit", "none" or "", which is Rollback.
func ParseResetMode(s string) (ResetMode, error) {
	switch m := ResetMode(s); m {
	case "":
		return Rollback, nil
	case Rollback, Commit, NoReset:
		return m, nil
	}
	return "", fmt.Errorf("sqldriver: reset mode is %q: give rollback, commit or none", s)
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
