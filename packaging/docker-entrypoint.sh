#!/bin/sh
# Runs the server as the user `happierwork`. As root, first gives that user the data folder: the volumes of some platforms
# belong to root.
#
# HAPPIERWORK_OWNER_PASSWORD  password of HAPPIERWORK_OWNER, on platforms whose secrets are variables
set -eu
if [ -n "${HAPPIERWORK_OWNER_PASSWORD:-}" ]; then
  password=$(mktemp)
  printf '%s\n' "$HAPPIERWORK_OWNER_PASSWORD" >"$password"
  unset HAPPIERWORK_OWNER_PASSWORD
  export HAPPIERWORK_OWNER_PASSWORD_FILE="$password"
fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$HAPPIERWORK_DATA_DIR"
  if [ "$(stat -c %U "$HAPPIERWORK_DATA_DIR")" != happierwork ]; then
    chown -R happierwork: "$HAPPIERWORK_DATA_DIR"
  fi
  [ -z "${password:-}" ] || chown happierwork: "$password"
  exec setpriv --reuid happierwork --regid happierwork --init-groups --no-new-privs happierwork "$@"
fi
exec happierwork "$@"
