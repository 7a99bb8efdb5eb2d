// Package text writes results for people at a terminal and for other programs: tables, CSV, Go's
// benchmark format, and the comparison of two files.
package text
