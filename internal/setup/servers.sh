#!/bin/sh
# servers.sh makes sure that the binaries of the servers which tests start are here:
# PostgreSQL, MariaDB, PgBouncer. It starts none of them.
#
#	sh internal/setup/servers.sh                 check, and install what is missing if that is possible
#	sh internal/setup/servers.sh go test ./...   the same, then run the command
#
# Quiet when all is well. Exits 2, saying what to do, when something is missing
# that it cannot or may not install. As root on Debian and Ubuntu it installs
# packages, and sees to it that they start no server. As another user there it
# unpacks them below the user's cache, where only the tests look.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/internal/setup/system.sh"
places=$root/backends/servertest/places.txt
# LIDO_ROOT lets the test of this script play another machine.
system=${LIDO_ROOT:-}
# The same as os.UserCacheDir of Go on Linux.
prefix=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/lido/servers
created='' work=''
clean() {
	[ -z "$created" ] || rm -f $created
	[ -z "$work" ] || rm -rf "$work"
	created='' work=''
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

# placed PREFIX NAME: is the server at one of its places below PREFIX?
placed() {
	while read -r name pattern; do
		[ "$name" = "$2" ] || continue
		for file in "$1"$pattern; do
			[ ! -x "$file" ] || return 0
		done
	done <"$places"
	return 1
}

# look sets missing to the servers that are nowhere, and absent to those that
# are not in the system, and packages to what has those.
look() {
	missing='' absent='' packages=''
	for server in postgres mariadbd pgbouncer; do
		! command -v "$server" >/dev/null 2>&1 || continue
		! placed "$system" "$server" || continue
		absent="$absent $server"
		case $server in
		postgres) packages="$packages postgresql" ;;
		mariadbd) packages="$packages mariadb-server-core" ;;
		*) packages="$packages $server" ;;
		esac
		placed "$prefix" "$server" || missing="$missing $server"
	done
}

# create FILE LINE MODE makes a file for the time of the installation, unless there is one.
create() {
	[ ! -e "$1" ] || return 0
	mkdir -p "$(dirname "$1")"
	created="$created $1"
	printf '%s\n' "$2" >"$1"
	chmod "$3" "$1"
}

install_servers() {
	say "no$missing, installing$packages with apt-get"
	# Or the package makes a cluster of its own, and starts it.
	create "$system/etc/postgresql-common/createcluster.d/lido.conf" 'create_main_cluster = false' 644
	# Or others are started by their packages.
	create "$system/usr/sbin/policy-rc.d" 'exit 101' 755
	# --no-remove: a MySQL that is installed conflicts with MariaDB, and is more important than tests.
	install --no-remove $packages || return 1
	clean
	case $packages in
	# Or it starts with the next boot. PostgreSQL starts nothing without a cluster.
	*pgbouncer*) ! command -v systemctl >/dev/null 2>&1 || systemctl disable --quiet pgbouncer >&2 || : ;;
	esac
}

# fetch_servers unpacks what the system lacks, with all that it depends on.
fetch_servers() {
	say "no$missing, unpacking$packages into $prefix"
	work=$prefix.new
	unpack "$prefix" $packages
}

explain() {
	for name in LIDO_TEST_POSTGRES_DSN LIDO_TEST_MYSQL_DSN; do
		eval "value=\${$name:-}"
		[ -z "$value" ] || say "$name is set and will be used, but not by tests that kill their server: they start their own"
	done
	stop "no$missing on this machine, which tests start. Install them with
  Debian, Ubuntu  sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql mariadb-server-core pgbouncer
  Fedora          sudo dnf install postgresql-server mariadb-server pgbouncer
  macOS           brew install postgresql mariadb pgbouncer
and run this again. Nothing of it needs to run: tests start their own.
Without them \`go test ./...\` skips these tests; with LIDO_TEST_POSTGRES_DSN and LIDO_TEST_MYSQL_DSN, say
of docs/compose.yaml, it runs those that do not kill their server"
}

look
if [ -n "$missing" ]; then
	if may_install; then
		install_servers || stop "apt-get could not install$packages: its message above says why"
	elif debian_like && command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1; then
		fetch_servers || say "that did not work"
	fi
	clean
	look
	[ -z "$missing" ] || explain
fi

[ $# -gt 0 ] || exit 0
exec "$@"
