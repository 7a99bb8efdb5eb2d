// Package words says results in words and figures as people read them, for the terminal and for the
// page: which pool did best where, who could not take part, and what to doubt.
package words
