// Package backendtest helps to test what talks to a server, and backends of databases.
//
//   - [TestBackend] tests whether a backend of a database keeps the promises of manage.Backend, against the
//     real thing.
//   - [Proxy] stands between a client and its server, and is slow, deaf, cut off or gone when a test
//     says so. Use it to see what your program does when the network fails.
//
// It is for tests only. What is not about the network, such as an open that fails or a reset that
// hangs, is easier scripted with pooltest.Fake.
package backendtest
