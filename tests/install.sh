#!/usr/bin/env bash
# Installs Debian packages: bash tests/install.sh PACKAGE...
#
# No service that they bring is started: the tests start their own, on their own addresses.
# Where there is no apt-get, or this user may not use it, it says what to run and ends with 1.
set -euo pipefail

POLICY="${POLICY:-/usr/sbin/policy-rc.d}"
export DEBIAN_FRONTEND=noninteractive

# dpkg looks for programs in directories that `su` and cron leave out.
PATH="$PATH:/usr/sbin:/sbin"

if ! command -v apt-get >/dev/null; then
    echo "$0: there is no apt-get here; install what Debian calls $*" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo --non-interactive true 2>/dev/null; then
        echo "$0: this user may not install packages; the line for who may: sudo apt-get install $*" >&2
        exit 1
    fi
    proxies=$(compgen -e | grep -iE '_PROXY$' | paste -sd, || true)
    exec sudo --non-interactive ${proxies:+--preserve-env="$proxies"} bash "$0" "$@"
fi

kept=""
restore_policy() {
    rm -f "$POLICY"
    if [ -n "$kept" ]; then mv "$kept" "$POLICY"; fi
}
if [ -e "$POLICY" ]; then
    kept="$POLICY.weighbridge"
    mv "$POLICY" "$kept"
fi
trap restore_policy EXIT
printf '#!/bin/sh\nexit 101\n' >"$POLICY"
chmod 755 "$POLICY"

echo "$0: installing $*" >&2
patience=(-o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120)
apt-get "${patience[@]}" update --quiet --quiet </dev/null
# Each package says on stdout that it is unpacked; what goes wrong is said on stderr.
apt-get "${patience[@]}" -o Dpkg::Use-Pty=0 install --quiet --quiet --yes --no-install-recommends "$@" \
    </dev/null >/dev/null
