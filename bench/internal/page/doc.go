// Package page shows results in a browser: as a file of its own that needs no network, and live
// while a run goes on.
package page
