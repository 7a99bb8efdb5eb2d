// Package pooltest helps to test what is built on package pool.
//
//   - [Fake] is a backend that does what a test tells it to, such as to fail the third open or
//     to hang in a reset, and notices what a pool must never do to a resource. Use it to test
//     code that uses a pool.
//   - [TestStrategy] is the contract of [pool.Strategy] as a test: a new strategy that passes
//     works in every pool.
//   - [TestBackend] does the same for [pool.Backend].
//
// It is for tests only; production code has no use for it.
package pooltest
