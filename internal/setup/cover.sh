#!/bin/sh
# cover.sh measures how many statements of pool, strategies and manage the tests
# of all three run, and fails if one of them is below the per cent of $1.
# The profile is left in $2 for `go tool cover`.
set -eu

least=$1 profile=$2

# Each package is measured by the tests of all: a line of pool that only the
# tests of strategies reach is a tested line.
packages=''
for dir in pool strategies manage; do
	if [ -n "$(find "$dir" -name '*.go' -print | head -n 1)" ]; then
		packages="$packages ./$dir/..."
	fi
done
# shellcheck disable=SC2086 # a list, split on purpose
go test -coverpkg="$(echo $packages | tr ' ' ',')" -coverprofile="$profile" $packages

# A line is "file:range statements count", once for each test binary that knows
# the block. A package is the directory of the file, so that pool/pooltest, the
# public test kit, neither lifts nor sinks pool.
awk -v least="$least" '
	NR > 1 {
		block = $1; size[block] = $2
		if ($3 > 0) hit[block] = 1
	}
	END {
		for (block in size) {
			dir = block; sub(/\/[^\/]*$/, "", dir); sub(/^github\.com\/[^\/]*\/[^\/]*\//, "", dir)
			all[dir] += size[block]; if (block in hit) ran[dir] += size[block]
		}
		n = split("pool strategies manage", must, " ")
		for (i = 1; i <= n; i++) {
			dir = must[i]; asked[dir] = 1
			share = all[dir] ? 100 * ran[dir] / all[dir] : 0
			verdict = "ok"
			if (share < least) { verdict = "BELOW " least "%"; bad = 1 }
			printf "cover: %-20s %5.1f%% of %4d statements  %s\n", dir, share, all[dir], verdict
		}
		for (dir in all) if (!(dir in asked))
			printf "cover: %-20s %5.1f%% of %4d statements  (no minimum)\n", dir, 100 * ran[dir] / all[dir], all[dir]
		exit bad
	}' "$profile"
