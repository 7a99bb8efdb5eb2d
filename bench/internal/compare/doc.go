// Package compare says what differs between two results of lidobench, and whether that may be chance.
package compare
