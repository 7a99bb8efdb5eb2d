// Package replace writes files as a whole or not at all: until all of it is on the disk the name stands
// for what was there before.
package replace
