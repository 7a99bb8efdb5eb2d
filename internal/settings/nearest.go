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

// Nearest returns the known name that differs least from name, regardless of case,
// or "" if none is near: one letter may be wrong, and one more for every four in name.
func Nearest(name string, known []string) string {
	if len(name) > longestName {
		return ""
	}
	name = strings.ToLower(name)
	nearest, least := "", 2+len(name)/4
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); d < least {
			nearest, least = k, d
		}
	}
	return nearest
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
