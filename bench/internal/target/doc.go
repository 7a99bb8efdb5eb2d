// Package target makes pools to be measured: Lido's, with any strategy, over a backend that is made
// up, SQLite, PostgreSQL, MySQL or MariaDB. It is what knows both Lido and databases; load knows
// neither. Open has the backends, Backend.Target makes a pool of Lido's over one, and Backend.Dial
// opens resources for pools of others.
//
// A lease of a connection that has nothing to reset is ended by ReleaseClean, as package manage does it
// for an *sql.DB; else a reset would cost a goroutine. All other settings are those that pool.New has by default.
package target
