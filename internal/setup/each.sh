#!/bin/sh
# each.sh runs a command in every module of the repository that holds Go files,
# the root first, and stops at the first that fails:
#
#	sh internal/setup/each.sh go vet ./...
#
# Modules are found, not listed, so that a new one cannot be forgotten.
# internal/tools holds none: it only pins versions.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
# Cut to the directory before sorting, so that the root, ".", comes first.
modules=$(find . -name testdata -prune -o -name '.?*' -prune -o -name go.mod -print |
	sed 's,/go\.mod$,,' | LC_ALL=C sort)

for module in $modules; do
	cd "$root/$module"
	[ -n "$(find . -name '*.go' -print | head -n 1)" ] || continue
	"$@" || {
		code=$?
		# Tools print paths relative to the module: say which one.
		[ "$module" = . ] || echo "in module ${module#./}" >&2
		exit $code
	}
done
