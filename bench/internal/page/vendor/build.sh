#!/bin/sh
# build.sh makes echarts.min.js again, beside it, from the packages of the npm registry, to the
# byte: page_test.go knows its SHA-256. `make echarts` runs it. Nothing else needs node or npm.
#
# What comes with it stands in LICENSE and NOTICE, of Apache ECharts, and in LICENSE-zrender,
# LICENSE-d3 and LICENSE-tslib, of what it has inside. A page carries them in short, as its first
# comment.
set -eu

ECHARTS=6.1.0 # has the exact versions of zrender and tslib among its dependencies
ESBUILD=0.28.2

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
command -v npm >/dev/null 2>&1 || { echo "echarts: no npm in PATH: install Node.js 20 or newer" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

cp "$here/echarts.entry.js" "$work/"
cd "$work"
echo '{"private": true}' >package.json
# No scripts of packages run: none of these needs them.
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact "echarts@$ECHARTS" "esbuild@$ESBUILD"

cp node_modules/echarts/LICENSE "$here/LICENSE"
cp node_modules/echarts/NOTICE "$here/NOTICE"
cp node_modules/echarts/licenses/LICENSE-d3 "$here/LICENSE-d3"
cp node_modules/zrender/LICENSE "$here/LICENSE-zrender"
cp node_modules/tslib/LICENSE.txt "$here/LICENSE-tslib"

{
	echo '/*!'
	echo "A part of Apache ECharts $ECHARTS, https://echarts.apache.org"
	echo
	cat "$here/NOTICE"
	echo # the files end without one
	echo 'Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0'
	echo
	for part in zrender d3; do
		echo "It contains parts of $part, under this license:"
		echo
		cat "$here/LICENSE-$part"
		echo
		echo
	done
	echo '*/'
} >banner.js
# ascii: the file stands in pages, whatever their encoding becomes on the way.
node_modules/.bin/esbuild echarts.entry.js --log-level=warning --bundle --minify --format=iife \
	--global-name=echarts --target=es2020 --charset=ascii --legal-comments=none --outfile=bundle.js
cat banner.js bundle.js >"$here/echarts.min.js"
cd "$here"
sha256sum echarts.min.js 2>/dev/null || shasum -a 256 echarts.min.js
