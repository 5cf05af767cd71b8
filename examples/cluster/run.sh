#!/usr/bin/env bash
# Starts three servers on one PostgreSQL database, behind a load balancer, until Ctrl-C.
#
# HAPPIERWORK_BIN  the program [target/release/happierwork]
# DATABASE_URL     a PostgreSQL database to use, in place of a new one in a temporary folder that is removed at the end
# PORT             port of the load balancer [8000]; it needs HAProxy or nginx
set -euo pipefail

cd "$(dirname "$0")/../.."
program=${HAPPIERWORK_BIN:-target/release/happierwork}
port=${PORT:-8000}
unset PORT
export PATH="$PATH:/usr/sbin:/usr/local/sbin"
folder=$(mktemp -d -t happierwork-cluster-XXXXXX)
chmod 755 "$folder"
processes=()
postgres=()

finish() {
  trap - EXIT INT TERM
  echo "stopping"
  for process in "${processes[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
  wait "${processes[@]}" 2>/dev/null || true
  if [ ${#postgres[@]} -gt 0 ]; then "${postgres[@]}" -m fast -s stop >"$folder/stop.log" 2>&1 || true; fi
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM

fail() {
  echo "$1" >&2
  exit 1
}

# Runs a command as an unprivileged user: PostgreSQL refuses to run as root.
unprivileged() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi
}

start_postgres() {
  local bin data=$folder/postgres/data
  bin=$(dirname "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)")
  [ "$bin" != . ] || fail "PostgreSQL is missing: sudo apt-get install postgresql, or set DATABASE_URL"
  mkdir "$folder/postgres"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder/postgres"; fi
  unprivileged "$bin/initdb" --auth=trust --username=plan --encoding=UTF8 --no-locale --pgdata="$data" >"$folder/initdb.log" 2>&1 ||
    fail "$(cat "$folder/initdb.log")"
  local database_port
  database_port=$(free_port)
  postgres=(unprivileged "$bin/pg_ctl" -D "$data")
  # A group of its own, so that Ctrl-C reaches it after the servers.
  setsid --wait bash -c "$(declare -f unprivileged); unprivileged \"\$@\"" bash "$bin/pg_ctl" -D "$data" -w -s -l "$folder/postgres/log" \
    -o "-p $database_port -k $folder/postgres -c listen_addresses=127.0.0.1" start >"$folder/start.log" 2>&1 ||
    fail "$(cat "$folder/start.log" "$folder/postgres/log")"
  DATABASE_URL=postgres://plan@127.0.0.1:$database_port/postgres
}
