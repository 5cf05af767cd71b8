#!/usr/bin/env bash
# Installs, uses, upgrades, removes and purges a Debian package under systemd, in a container on an overlay of this system's files.
# Usage: check-package.sh PACKAGE NEWER-PACKAGE, as root. This system stays as it is.
set -euo pipefail
here=$(dirname "$(realpath "$0")")

stage=$(mktemp -d -t happierwork-package-XXXXXX)
mount -t tmpfs tmpfs "$stage"
trap 'umount --lazy "$stage/root" "$stage"; rmdir "$stage"' EXIT
mkdir "$stage/upper" "$stage/work" "$stage/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$stage/upper,workdir=$stage/work" "$stage/root"

root=$stage/root
mkdir "$root/check"
cp "$1" "$root/check/package.deb"
cp "$2" "$root/check/newer.deb"
cp "$here/check-package-inside.sh" "$here/docker-entrypoint.sh" "$root/check/"
# It keeps packages from starting services on some development machines.
rm -f "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/systemd/system/package-check.service" <<UNIT
[Unit]
SuccessAction=exit
FailureAction=exit
FailureActionExitStatus=1
[Service]
Type=oneshot
ExecStart=/check/check-package-inside.sh
StandardOutput=file:/check/output
StandardError=inherit
TimeoutStartSec=300
UNIT

code=0
# No network but loopback, and only the services that the check needs.
systemd-nspawn --quiet --keep-unit --register=no --private-network --directory="$root" --boot -- \
  --unit=package-check.service >"$root/check/boot" 2>&1 </dev/null || code=$?
cat "$root/check/output" || cat "$root/check/boot"
exit "$code"
