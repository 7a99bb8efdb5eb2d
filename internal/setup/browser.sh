#!/bin/sh
# browser.sh makes sure that a Chromium is here, in which tests look at lidobench's page. It starts none.
#
#	sh internal/setup/browser.sh                 check, and install what is missing if that is possible
#	sh internal/setup/browser.sh go test ./...   the same, then run the command
#
# Quiet when all is well. Exits 2, saying what to do, when there is none and it
# cannot or may not install one. As root on Debian it installs the package. As
# another user there it unpacks it below the user's cache, where only the tests look.
# On Ubuntu the package is a stub for a snap, which runs neither in a container
# nor without its daemon: there root gets Google Chrome, from Google, and
# others are told so.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/internal/setup/system.sh"
places=$root/bench/browser/places.txt
# LIDO_ROOT lets the test of this script play another machine.
system=${LIDO_ROOT:-}
# The same as os.UserCacheDir of Go on Linux.
prefix=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/lido/browser
# The font is for machines that have none: a page without text is not what tests should see.
packages='chromium fonts-dejavu-core'
chrome=https://dl.google.com/linux/direct/google-chrome-stable_current_amd64.deb
work=''
clean() {
	[ -z "$work" ] || rm -rf "$work"
	work=''
}
trap clean EXIT
trap 'exit 130' HUP INT TERM

# snap FILE: is this only the stub for a snap? It is a short script that names snap. Browsers are not read.
snap() {
	[ -z "$(find -L "$1" -size +20k 2>/dev/null)" ] && grep -q snap "$1" 2>/dev/null
}

# placed PREFIX: is there one at one of its places below PREFIX?
placed() {
	while read -r place; do
		case $place in
		/*) [ ! -x "$1$place" ] || return 0 ;;
		esac
	done <"$places"
	return 1
}

found() {
	for name in chromium chromium-browser google-chrome google-chrome-stable chrome chrome-headless-shell; do
		file=$(command -v "$name" 2>/dev/null) || continue
		snap "$file" || return 0
	done
	placed "$system" || placed "$prefix"
}

# fetch unpacks what the system lacks, and says where the fonts are.
fetch() {
	say "no Chromium, unpacking $packages into $prefix"
	work=$prefix.new
	unpack "$prefix" $packages || return 1
	cat >"$prefix/fonts.conf" <<-'END'
		<?xml version="1.0"?>
		<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
		<fontconfig>
			<dir prefix="relative">usr/share/fonts</dir>
			<dir>/usr/share/fonts</dir>
			<cachedir prefix="xdg">fontconfig</cachedir>
		</fontconfig>
	END
}

# install_chrome installs the package that Google has for Ubuntu, but not the source of updates that it comes with.
install_chrome() {
	[ "$(dpkg --print-architecture)" = amd64 ] || return 1
	say "no Chromium, installing Google Chrome: Ubuntu's own is a snap"
	command -v curl >/dev/null 2>&1 || install curl ca-certificates || return 1
	work=$(mktemp -d) && curl -fsSL --retry 3 -o "$work/chrome.deb" "$chrome" >&2 || return 1
	[ -e "$system/etc/default/google-chrome" ] || {
		mkdir -p "$system/etc/default" && echo 'repo_add_once="false"' >"$system/etc/default/google-chrome" || return 1
	}
	install "$work/chrome.deb" fonts-dejavu-core
}

explain() {
	stop "no Chromium on this machine, in which tests look at lidobench's page. Install one with
  Debian   sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages
  Ubuntu   curl -fLO $chrome &&
           sudo apt-get install -y ./google-chrome-stable_current_amd64.deb
           (its own package chromium is a snap)
  Fedora   sudo dnf install chromium
  Alpine   sudo apk add chromium font-dejavu
  macOS    brew install --cask google-chrome
  any      npx @puppeteer/browsers install chrome-headless-shell@stable
or name one in LIDO_TEST_CHROMIUM, and run this again.
Without it \`go test ./...\` in bench/browser skips its tests"
}

if [ -n "${LIDO_TEST_CHROMIUM:-}" ]; then
	[ -x "$LIDO_TEST_CHROMIUM" ] ||
		stop "LIDO_TEST_CHROMIUM=$LIDO_TEST_CHROMIUM is no program: name a Chromium, or unset it"
elif ! found; then
	if ubuntu_like; then
		! may_install || install_chrome || say "that did not work"
	elif may_install; then
		say "no Chromium, installing $packages with apt-get"
		install $packages || stop "apt-get could not install $packages: its message above says why"
	elif debian_like && command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1; then
		fetch || say "that did not work"
	fi
	clean
	found || explain
fi

[ $# -gt 0 ] || exit 0
exec "$@"
