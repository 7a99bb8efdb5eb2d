# system.sh is what the scripts that look for programs share. They read it with
# "." and have set root, the directory of the repository.

# LIDO_OS_RELEASE lets the tests of these scripts play another system.
os_release=${LIDO_OS_RELEASE:-/etc/os-release}

say() { printf 'setup: %s\n' "$*" >&2; }

stop() {
	say "$@"
	exit 2
}

# distributions is what the system is and what it is like, between spaces.
distributions() {
	[ -r "$os_release" ] || return 0
	# ID and ID_LIKE are shell assignments, values quoted or not.
	printf ' %s ' "$(sed -n 's/^ID\(_LIKE\)\{0,1\}=//p' "$os_release" | tr '"\n' '  ')"
}

debian_like() {
	case $(distributions) in
	*\ debian\ * | *\ ubuntu\ *) return 0 ;;
	esac
	return 1
}

ubuntu_like() {
	case $(distributions) in
	*\ ubuntu\ *) return 0 ;;
	esac
	return 1
}

# may_install: is this a system where a script may install packages?
may_install() { [ "$(id -u)" = 0 ] && debian_like && command -v apt-get >/dev/null 2>&1; }

# install PACKAGES, or options of apt-get install before them.
install() {
	export DEBIAN_FRONTEND=noninteractive
	# To stderr: stdout belongs to the command that runs afterwards.
	# A failed update is no reason to stop: one broken source among many, or the
	# lock of the daily update, leaves lists that may do.
	apt-get update -q >&2 || say 'apt-get update failed, trying to install all the same'
	# A machine just booted installs its updates, and holds the lock meanwhile.
	apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >&2
}

# unpack PREFIX PACKAGES unpacks what the system lacks of packages, and of all that they depend on,
# as PREFIX, without being root. It works in PREFIX.new, which may be left behind when it fails.
unpack() {
	to=$1
	shift
	rm -rf "$to.new" && mkdir -p "$to.new/packages" || return 1
	names=$(apt-get install -s --no-install-recommends "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p')
	[ -n "$names" ] || return 1
	# shellcheck disable=SC2086 # a list, split on purpose
	(cd "$to.new/packages" && apt-get download -q $names >&2) || return 1
	for package in "$to.new"/packages/*.deb; do
		dpkg -x "$package" "$to.new" || return 1
	done
	rm -rf "$to.new/packages" "$to" && mv "$to.new" "$to"
}
