#!/bin/sh
# Runs the server as the user `happierwork`. As root, first gives that user the data folder: the volumes of some platforms
# belong to root.
set -eu
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$HAPPIERWORK_DATA_DIR"
  if [ "$(stat -c %U "$HAPPIERWORK_DATA_DIR")" != happierwork ]; then
    chown -R happierwork: "$HAPPIERWORK_DATA_DIR"
  fi
  exec setpriv --reuid happierwork --regid happierwork --init-groups --no-new-privs happierwork "$@"
fi
exec happierwork "$@"
