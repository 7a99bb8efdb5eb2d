# reap.sh ends servers and removes what they leave:
#
#	sh reap.sh wait ROOT   when stdin ends: all servers in directories below ROOT
#	sh reap.sh end DIR     at once: the server in DIR
#
# DIR/pid holds the process and the signal that ends it fast, DIR/frozen the
# processes that were stopped by a signal.
set -u

# A process that has ended is a zombie until its parent, or init, looks: that
# may be never.
alive() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

gone() {
	tries=$2
	while alive "$1"; do
		[ "$tries" -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.05
	done
}

end() {
	if [ -s "$1/pid" ] && read -r pid signal <"$1/pid"; then
		[ ! -s "$1/frozen" ] || kill -CONT $(cat "$1/frozen") 2>/dev/null
		kill -CONT "$pid" 2>/dev/null
		kill -"$signal" "$pid" 2>/dev/null
		gone "$pid" 200 || kill -KILL "$pid" 2>/dev/null
		gone "$pid" 200 || echo "process $pid cannot be killed" >&2
	fi
	# A PostgreSQL that was killed leaves this file, and the shared memory that
	# it names at the end of line 7.
	if [ -s "$1/data/postmaster.pid" ]; then
		segment=$(sed -n '7s/.* //p' "$1/data/postmaster.pid")
		[ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null
	fi
	# What is just ending may still write.
	for try in 1 2 3 4 5; do
		rm -rf "$1" 2>/dev/null && return
		sleep 0.1
	done
	rm -rf "$1"
}

case $1 in
end)
	end "$2"
	;;
wait)
	trap '' HUP INT TERM QUIT
	while read -r _; do :; done
	# Renamed first: whoever is just about to start finds no place for its pid,
	# and does not start.
	mv "$2" "$2.gone" || exit 0
	for dir in "$2.gone"/*/; do end "${dir%/}"; done
	rm -rf "$2.gone"
	;;
esac
