#!/bin/sh
# fuzz.sh finds every Fuzz function of the module and runs one after the other,
# each for the duration of $1 (Go duration or a count such as 1000x).
#
# One by one because `go test -fuzz` takes one target at a time.
set -eu

duration=$1
# Not piped: the exit status of go would be lost, and a package that does not
# build would look like a package with nothing to fuzz.
list=$(go test -list '^Fuzz' ./...)
# Names come first, then "ok <package>".
targets=$(printf '%s\n' "$list" | awk '
	/^Fuzz/ { names[n++] = $1 }
	/^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }')
[ -n "$targets" ] || { echo 'fuzz: no Fuzz function found'; exit 0; }

printf '%s\n' "$targets" | while read -r package name; do
	echo "fuzz: $package $name for $duration"
	# Not minimized: what a step costs can be a second, and Go tries for a minute.
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$duration" -fuzzminimizetime 1x "$package" </dev/null
done
