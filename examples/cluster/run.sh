#!/usr/bin/env bash
# Starts three servers on one PostgreSQL database behind a load balancer, and stops all of them on Ctrl-C.
#
# HAPPIERWORK_BIN  the program [target/release/happierwork]
# DATABASE_URL     a PostgreSQL database, in place of a new one in a temporary folder that is removed at the end
# BALANCER_PORT    port of the load balancer [8000]; it needs HAProxy or nginx
set -euo pipefail

cd "$(dirname "$0")/../.."
program=${HAPPIERWORK_BIN:-target/release/happierwork}
port=${BALANCER_PORT:-8000}
PATH=$PATH:/usr/sbin:/usr/local/sbin
folder=$(mktemp -d -t happierwork-cluster-XXXXXX)
chmod 755 "$folder"
processes=()
stop_postgres=true

# Each process has its own process group. Ctrl-C reaches only this script, which stops the others in order.
set -m

finish() {
  trap '' INT TERM
  for process in "${processes[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
  for process in "${processes[@]}"; do wait "$process" 2>/dev/null || true; done
  $stop_postgres || true
  rm -rf "$folder"
  echo "stopped"
}
trap finish EXIT
trap 'exit 0' INT TERM

fail() {
  echo "$*" >&2
  exit 1
}

# PostgreSQL refuses to run as root.
unprivileged=()
if [ "$(id -u)" = 0 ]; then unprivileged=(setpriv --reuid postgres --regid postgres --clear-groups); fi

start_postgres() {
  local initdb bin data=$folder/postgres/data log=$folder/postgres/log
  initdb=$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1 || true)
  [ -n "$initdb" ] || fail "PostgreSQL is missing: sudo apt-get install postgresql, or set DATABASE_URL"
  bin=$(dirname "$(readlink -f "$initdb")")
  mkdir "$folder/postgres"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder/postgres"; fi
  "${unprivileged[@]}" "$bin/initdb" --auth=trust --username=plan --encoding=UTF8 --no-locale --pgdata="$data" >"$folder/initdb.log" 2>&1 ||
    fail "$(cat "$folder/initdb.log")"
  # Other users of this machine cannot log in: the server listens on a socket in the folder of its user.
  chmod 700 "$folder/postgres"
  "${unprivileged[@]}" "$bin/postgres" -D "$data" -k "$folder/postgres" -c listen_addresses= >"$folder/postgres.log" 2>&1 &
  local postgres=$!
  stop_postgres="end_postgres $postgres"
  until "${unprivileged[@]}" "$bin/pg_isready" --quiet --host="$folder/postgres"; do
    kill -0 "$postgres" 2>/dev/null || fail "$(cat "$folder/postgres.log")"
    sleep 0.1
  done
  DATABASE_URL="postgres://plan@/postgres?host=$folder/postgres"
}

end_postgres() {
  kill -INT "$1" 2>/dev/null
  wait "$1"
}

# Starts a server on a free port, and waits until it listens.
start_server() {
  local out=$folder/server-$1.out
  HAPPIERWORK_DATABASE=$DATABASE_URL "$program" --listen 127.0.0.1:0 --trusted-proxy 127.0.0.1 >"$out" 2>"$folder/server-$1.log" &
  local process=$!
  processes+=("$process")
  until grep -qs '^listening' "$out"; do
    kill -0 "$process" 2>/dev/null || fail "$(cat "$folder/server-$1.log")"
    sleep 0.1
  done
  addresses+=("$(sed -n 's|^listening http://\([^/]*\)/.*|\1|p' "$out")")
}

write_haproxy() {
  cat <<CFG
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  timeout tunnel 1h
  option redispatch
  option httpchk GET /readyz
frontend page
  bind 127.0.0.1:$port
  option forwardfor
  default_backend servers
backend servers
  balance roundrobin
CFG
  for number in "${!addresses[@]}"; do echo "  server server-$((number + 1)) ${addresses[$number]} check inter 1s"; done
}

write_nginx() {
  cat <<CFG
daemon off;
pid $folder/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path $folder/nginx-body;
  proxy_temp_path $folder/nginx-proxy;
  fastcgi_temp_path $folder/nginx-fastcgi;
  uwsgi_temp_path $folder/nginx-uwsgi;
  scgi_temp_path $folder/nginx-scgi;
  client_max_body_size 0;
  map \$http_upgrade \$connection_header { default upgrade; '' ''; }
  upstream servers {
$(printf '    server %s;\n' "${addresses[@]}")
  }
  server {
    listen 127.0.0.1:$port;
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Host \$http_host;
      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header Connection \$connection_header;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }
}
CFG
}

start_balancer() {
  if command -v haproxy >/dev/null; then
    write_haproxy >"$folder/haproxy.cfg"
    haproxy -f "$folder/haproxy.cfg" >"$folder/balancer.log" 2>&1 &
  elif command -v nginx >/dev/null; then
    write_nginx >"$folder/nginx.conf"
    nginx -e stderr -c "$folder/nginx.conf" >"$folder/balancer.log" 2>&1 &
  else
    return 1
  fi
  local process=$!
  processes=("$process" "${processes[@]}")
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$process" 2>/dev/null || fail "$(cat "$folder/balancer.log")"
    sleep 0.1
  done
}

[ -x "$program" ] || fail "$program is missing: cargo build --release, or set HAPPIERWORK_BIN"
[ -n "${DATABASE_URL:-}" ] || start_postgres
addresses=()
for number in 1 2 3; do
  start_server "$number"
  echo "server    http://${addresses[-1]}/"
done
if start_balancer; then
  echo "page      http://127.0.0.1:$port/"
else
  echo "page      http://${addresses[0]}/ (install haproxy or nginx for one address)"
fi
echo "Ctrl-C ends all of it. Logs are in $folder"
# A process that exits by itself is a failure.
wait -n "${processes[@]}" || true
fail "a process has ended: $(tail -n 3 "$folder"/*.log)"
