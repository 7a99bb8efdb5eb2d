#!/bin/sh
# cc.sh makes sure that Go and a C compiler are here and work together:
#
#	sh internal/setup/cc.sh                 check, and install what is missing if that is possible
#	sh internal/setup/cc.sh go test ./...   the same, then run the command with the compiler found
#
# Why: the SQLite driver is C. Without a C compiler Go does not complain, it
# builds a stub whose every Open fails, and the tests that need it would only
# say so one by one, far from the cause.
#
# Quiet when all is well. Exits 2, saying what to do, when something is missing
# that it cannot or may not install. Installing is tried as root on Debian and
# Ubuntu only: elsewhere a package manager is its owner's business.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/internal/setup/system.sh"
work=''
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# at_least A B: is version A the same as B or newer? 1.26 is 1.26.0.
at_least() {
	awk -v a="$1" -v b="$2" 'BEGIN {
		split(a, x, "."); split(b, y, ".")
		for (i = 1; i <= 3; i++) if (x[i] + 0 != y[i] + 0) exit !(x[i] + 0 > y[i] + 0)
	}'
}

check_go() {
	want=$(sed -n 's/^go \([0-9.]*\).*/\1/p' "$root/go.mod")
	get="get Go $want or newer from https://go.dev/dl/ and put its bin directory in PATH"
	command -v go >/dev/null 2>&1 || stop "no go command in PATH: $get"
	# Asked inside the module, so that a go which fetches the toolchain named
	# in go.mod (GOTOOLCHAIN=auto) answers with the version it will run.
	answer=$(cd "$root" && go env GOVERSION 2>&1) || stop "the go command does not work: $answer: $get"
	# Its last line: before it may stand that the toolchain is downloaded.
	have=$(printf '%s\n' "$answer" | sed -n '$s/.*go\([0-9][0-9.]*\).*/\1/p')
	at_least "${have:-0}" "$want" ||
		stop "go is version ${have:-unknown} and Lido needs $want: $get, or let go fetch it with GOTOOLCHAIN=auto"
}

# works CC: can it compile and link a program against the C library? A compiler
# without headers (gcc without libc6-dev) is the common half-installed state.
works() {
	# Unquoted: CC may carry flags or a launcher, as in "ccache gcc".
	# shellcheck disable=SC2086
	set -- $1
	command -v "${1:-}" >/dev/null 2>&1 || return 1
	"$@" -o "$work/try" "$work/try.c" 2>"$work/why"
}

# find_cc sets cc to the first compiler that works. Go's own choice comes first:
# it is $CC if that is set, else the default of the platform.
find_cc() {
	chosen=$(cd "$root" && go env CC)
	for cc in "$chosen" gcc clang cc; do
		if works "$cc"; then
			[ "$cc" = "$chosen" ] || [ -z "${CC:-}" ] || say "CC=$CC does not work here, taking $cc"
			return 0
		fi
	done
	return 1
}

explain() {
	[ ! -s "$work/why" ] || sed 's/^/setup: the compiler says: /' "$work/why" >&2
	stop 'no working C compiler, and the SQLite driver needs one. Install it with
  Debian, Ubuntu  sudo apt-get update && sudo apt-get install -y --no-install-recommends gcc libc6-dev
  Fedora          sudo dnf install gcc glibc-devel
  Alpine          sudo apk add gcc musl-dev
  macOS           xcode-select --install
or name one that works in CC, then run this again'
}

[ "${CGO_ENABLED:-1}" != 0 ] ||
	stop 'CGO_ENABLED=0 is set in the environment, but the SQLite driver is C: unset CGO_ENABLED and run this again'
check_go

work=$(mktemp -d)
printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$work/try.c"
if ! find_cc; then
	if may_install; then
		say 'no working C compiler, installing gcc and libc6-dev with apt-get'
		install gcc libc6-dev || stop 'apt-get could not install gcc and libc6-dev: its message above says why'
	fi
	find_cc || explain
fi
rm -rf "$work"
work=''

[ $# -gt 0 ] || exit 0
export CC="$cc" CGO_ENABLED=1
exec "$@"
