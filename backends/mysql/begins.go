package mysql

import "strings"

// Begins reports whether an SQL text may begin a transaction, lock tables, or change when
// transactions begin. It allocates nothing, and takes about 2 ns for each byte. It looks for words,
// wherever they stand, strings and comments too, because a comment may be code, /*!50003BEGIN*/,
// and a string may be executed:
//
//	BEGIN, START with TRANSACTION, XA               begin one
//	COMMIT, ROLLBACK                                may begin the next one (AND CHAIN)
//	AUTOCOMMIT, COMPLETION_TYPE                     decide when one begins
//	CALL, EXECUTE                                   may do anything
//	LOCK with TABLE or TABLES, FLUSH                may lock tables
//
// It errs on the side of yes: of a column named begin, say.
func Begins(query string) bool {
	var start, transaction, lock, table bool
	for i := 0; i < len(query); {
		if !letter(query[i]) {
			i++ // digits too: in /*!50003BEGIN*/ the word begins after them
			continue
		}
		from := i
		for i < len(query) && (letter(query[i]) || query[i]-'0' < 10) {
			i++
		}
		switch word := query[from:i]; len(word) {
		case 2:
			if is(word, "XA") {
				return true
			}
		case 4:
			if is(word, "CALL") {
				return true
			}
			lock = lock || is(word, "LOCK")
		case 5:
			if is(word, "BEGIN") || is(word, "FLUSH") {
				return true
			}
			start = start || is(word, "START")
			table = table || is(word, "TABLE")
		case 6:
			if is(word, "COMMIT") {
				return true
			}
			table = table || is(word, "TABLES")
		case 7:
			if is(word, "EXECUTE") {
				return true
			}
		case 8:
			if is(word, "ROLLBACK") {
				return true
			}
		case 10:
			if is(word, "AUTOCOMMIT") {
				return true
			}
		case 11:
			transaction = transaction || is(word, "TRANSACTION")
		case 15:
			if is(word, "COMPLETION_TYPE") {
				return true
			}
		}
	}
	return start && transaction || lock && table
}

// letter reports whether a name may begin with c. Bytes from 128 on do not count, though they may
// be letters: one of them is a space in latin1.
func letter(c byte) bool {
	return (c|0x20)-'a' < 26 || c == '_' || c == '$'
}

// is compares a word with a keyword of as many letters, in upper case.
func is(word, keyword string) bool {
	return word[0]&^0x20 == keyword[0] && strings.EqualFold(word, keyword)
}
