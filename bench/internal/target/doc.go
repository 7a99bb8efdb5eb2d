// Package target makes pools to be measured: Lido's, with any strategy, over a backend that is
// made up, SQLite, PostgreSQL, MySQL or MariaDB. It is what knows both Lido and databases; load
// knows neither.
package target
