package postgres

import "strings"

// Begins reports whether an SQL text may begin a transaction: whether one of its statements begins
// with the word BEGIN or START. PostgreSQL knows no other way; a transaction that COMMIT AND CHAIN
// begins needs one that was begun before.
//
// It takes every semicolon for the end of a statement, also one in a string or a function body, so
// that it may say yes where nothing begins, and the return costs a round trip; it never says no
// where something does. It allocates nothing, and takes time only for comments, and for words
// behind semicolons: 20 to 70 ns for most texts.
func Begins(query string) bool {
	for {
		statement := skipSpace(query)
		if isWord(statement, "begin") || isWord(statement, "start") {
			return true
		}
		// From query, not from statement: what was taken for a comment may have been one only if this is not
		// the middle of a string.
		i := strings.IndexByte(query, ';')
		if i < 0 {
			return false
		}
		query = query[i+1:]
	}
}

// streams reports whether a text is one of those that lib/pq executes row by row: a COPY.
func streams(query string) bool { return isWord(skipSpace(query), "copy") }

// isWord reports whether s begins with a word, given in lower case.
func isWord(s, word string) bool {
	if len(s) < len(word) || !strings.EqualFold(s[:len(word)], word) {
		return false
	}
	return len(s) == len(word) || !inWord(s[len(word)])
}

// inWord reports whether a byte is one of an identifier: all but ASCII are.
func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// skipSpace returns what follows white space and comments.
func skipSpace(s string) string {
	for {
		switch {
		case s == "":
			return ""
		case strings.IndexByte(" \t\n\r\f\v", s[0]) >= 0:
			s = s[1:]
		case strings.HasPrefix(s, "--"):
			end := strings.IndexAny(s, "\n\r")
			if end < 0 {
				return ""
			}
			s = s[end:]
		case strings.HasPrefix(s, "/*"):
			s = skipComment(s)
		default:
			return s
		}
	}
}

// skipComment returns what follows the comment with which s begins. Comments nest.
func skipComment(s string) string {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return s[i+1:]
			}
		}
	}
	return ""
}
