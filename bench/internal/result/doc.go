// Package result is what lidobench finds out, as it stands in a file: docs/lidobench.schema.json
// describes the same for other programs. Everything that measures writes it, everything that
// shows reads it, and so they need not know each other.
//
// Durations are nanoseconds, as float64 where they are means. A figure that was not measured is
// absent from the JSON, and zero here.
package result
