package sqldriver

import (
	"errors"
	"strconv"
)

// redactedError shows a text without secrets in place of its error's own. It
// has no Unwrap, so that what prints a chain of errors link by link does not
// get at the original's text.
type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *redactedError) GoString() string {
	return "sqldriver.redactedError(" + strconv.Quote(e.text) + ")"
}

func (e *redactedError) Is(target error) bool { return errors.Is(e.err, target) }

func (e *redactedError) As(target any) bool { return errors.As(e.err, target) }
