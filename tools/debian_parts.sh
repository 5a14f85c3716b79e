# For bash: Debian packages unpacked in build/NAME/root. Installs nothing and needs no root.
#
# The script that sources this file calls begin, download and complete, in the root of the checkout.
# It returns quickly if the parts are there. Exit status 3: not possible on this machine; the reason is
# in build/NAME/missing.

say() { printf '%s\n' "-- $*" >&2; }
try() { "$@" >> "$log" 2>&1; }

cannot() { # REASON
  rm -rf "$new"
  printf '%s\n' "$1" | tee "$parts/missing" | sed "s/^/${parts##*/}: /" >&2
  exit 3
}

begin() { # NAME PACKAGE: ends the script if build/NAME is complete; PACKAGE: one that apt must know
  parts=build/$1 new=build/$1/new log=build/$1/new/log
  mkdir -p "$parts"
  exec 9> "$parts/lock"
  flock 9 # one caller at a time in a checkout
  local done=$parts/root/.complete
  [ ! "$done" -nt "$0" ] || [ ! "$done" -nt "${BASH_SOURCE[0]}" ] || exit 0
  rm -rf "$parts/missing" "$new"
  mkdir -p "$new/debs"
  [ "$(uname -m)" = x86_64 ] || cannot "its programs are for x86-64, this machine is $(uname -m)"
  command -v apt-get dpkg-deb > /dev/null || cannot "apt-get or dpkg-deb is missing: it consists of Debian packages"
  apt-cache show "$2" > /dev/null 2>&1 || [ "$(id -u)" != 0 ] || try apt-get update || true
  apt-cache show "$2" > /dev/null 2>&1 ||
    cannot "apt knows no $2; run 'sudo apt-get update' once, then repeat the command"
}

to_install() { # [OPTION OF APT…] PACKAGE…: prints these packages and those that they need, if not installed
  apt-get install --simulate --no-install-recommends -o Debug::NoLocking=1 "$@" 2>> "$log" |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

download() { # [OPTION OF APT…] PACKAGE…
  (cd "$new/debs" && timeout 900 apt-get download -o APT::Sandbox::User=root "$@") >> "$log" 2>&1 ||
    cannot "apt-get download failed: $(tail -n 1 "$log")"
}

complete() { # the files in $new are what the script needs
  rm -rf "$new/debs" "$parts/root"
  mv "$new" "$parts/root"
  touch "$parts/root/.complete"
  say "$parts is ready: $(du -sh "$parts" | cut -f 1)"
}
