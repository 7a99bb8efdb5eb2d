// Package clients shows that code which was written for database/sql works unchanged over
// package manage: sqlx, GORM, bun and code as sqlc generates it, on SQLite, PostgreSQL and MariaDB. It holds
// tests only, and is a module of its own, so that users of Lido never see these
// libraries among their dependencies.
//
// Each client does one job in its own way (job_test.go): over sql.Open, over OpenDB, and, where it knows its database by an
// interface, over the DB of Open. All see the same, to the texts of the errors.
//
// All of that is done once more by drivers for which nobody here has prepared anything, and which Manager.Wrap registers:
// pgx/stdlib for PostgreSQL, and modernc.org/sqlite, which is SQLite without C.
// wrap_test.go has what is particular to them.
package clients
