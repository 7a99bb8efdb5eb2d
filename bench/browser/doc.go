// Package browser holds tests that look at lidobench's page in a browser, and check its results against the
// published schema. It is a module of its own for the sake of what these tests need.
package browser
