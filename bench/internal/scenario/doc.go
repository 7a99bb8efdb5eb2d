// Package scenario puts a pool into bad moments that users know, and records how it fares: a
// timeline of what is open, lent and waited for, of errors and of the 99th percentile of waits.
package scenario
