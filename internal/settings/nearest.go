package settings

import "strings"

// longestName bounds the work that a hostile name can cause. No known name comes near it.
const longestName = 64

// Unknown says that name is none of the known ones, and which it may have been meant to be:
//
//	unknown; did you mean "size"? known: size, timeout
func Unknown(name string, known []string) string {
	s := "unknown; "
	if near := Nearest(name, known); near != "" {
		s += `did you mean "` + near + `"? `
	}
	return s + "known: " + strings.Join(known, ", ")
}

// Nearest returns the known name that was most likely meant, regardless of case, or "" if none is near.
// That is the only one that begins with name, of three letters at least, as assertion with assert. Else it is
// the one that differs least: one letter may be wrong, and one more for every four in name.
func Nearest(name string, known []string) string {
	if len(name) > longestName {
		return ""
	}
	name = strings.ToLower(name)
	if only := onlyWith(name, known); len(name) >= 3 && only != "" {
		return only
	}
	nearest, least := "", 2+len(name)/4
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); d < least {
			nearest, least = k, d
		}
	}
	return nearest
}

// onlyWith returns the known name that begins with a prefix, if there is but one.
func onlyWith(prefix string, known []string) string {
	only := ""
	for _, k := range known {
		switch {
		case !strings.HasPrefix(strings.ToLower(k), prefix):
		case only != "":
			return ""
		default:
			only = k
		}
	}
	return only
}

// distance counts the letters to insert, delete or replace to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // row[j]: from the letters of a so far to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
