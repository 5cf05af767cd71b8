#!/usr/bin/env bash
# The part of check-package.sh that runs inside the container, as root.
set -Eeuo pipefail
cd /check
export DEBIAN_FRONTEND=noninteractive
data=/var/lib/happierwork
ready() { curl --silent --show-error --fail --retry 60 --retry-delay 1 --retry-connrefused --max-time 5 "http://127.0.0.1:8000/readyz"; }
# `! command` does not end the script.
fails() { if "$@"; then return 1; fi; }
trap 'echo "line $LINENO: $BASH_COMMAND"; journalctl --no-pager --unit happierwork | tail -n 40' ERR

# A fresh installation runs, and only with its own rights.
dpkg --install package.deb
systemctl is-active happierwork
systemctl is-enabled happierwork
ready
test "$(stat -c '%U %a' $data)" = "happierwork 700"
process=$(systemctl show --property MainPID --value happierwork)
grep -E '^(CapEff|CapBnd):\s0+$' "/proc/$process/status" | wc -l | grep -qx 2
grep -qE '^NoNewPrivs:\s1$' "/proc/$process/status"
grep -qE '^Seccomp:\s2$' "/proc/$process/status"
test "$(ps -o user= -p "$process")" = happierwork
systemd-analyze verify happierwork.service
systemd-analyze security --threshold=15 --no-pager happierwork.service | tail -n 1
gzip --test /usr/share/man/man1/happierwork.1.gz /usr/share/man/man1/happierwork-user-add.1.gz
bash -c '. /usr/share/bash-completion/completions/happierwork && complete -p happierwork'

happierwork health
journalctl --unit happierwork | grep -q 'setup .*#setup='

login() {
  curl --silent --show-error --fail "http://127.0.0.1:8000/accounts/api/login/" --header "content-type: application/json" \
    --data "{\"email\": \"ceo@example.com\", \"password\": \"$1\"}" | sed 's/.*"token":"\([^"]*\)".*/\1/'
}
positions() {
  curl --silent --show-error --fail "http://127.0.0.1:8000/api/documents/default/positions" \
    --header "authorization: Bearer $(login "$password")" --header "content-type: application/json" "$@"
}

# The first account comes from the settings.
install -D --mode 600 /dev/stdin /etc/credstore/happierwork.owner-password <<<"another horse"
sed -i 's/^#\(HAPPIERWORK_OWNER\)/\1/' /etc/default/happierwork
grep -c '^HAPPIERWORK_OWNER' /etc/default/happierwork | grep -qx 2
systemctl restart happierwork
ready
password="another horse"
positions --data '{"designation": "Packager", "department": "Other", "budget": 1, "location": "Pune"}'

# Commands of root keep the owner of the files.
echo "correct horse" | happierwork user passwd ceo@example.com --data-dir $data
password="correct horse"
positions | grep -q Packager
test "$(find $data ! -user happierwork | wc -l)" = 0
systemctl reload happierwork
systemctl is-active happierwork

# An upgrade restarts it, and keeps settings and data.
echo "HAPPIERWORK_LOG_FORMAT=json" >>/etc/default/happierwork
process=$(systemctl show --property MainPID --value happierwork)
dpkg --install newer.deb
ready
test "$(systemctl show --property MainPID --value happierwork)" != "$process"
grep -q LOG_FORMAT /etc/default/happierwork
positions | grep -q Packager

# Invalid settings end it, without restarts.
echo "HAPPIERWORK_LISTEN=nonsense" >>/etc/default/happierwork
systemctl restart happierwork || true
timeout 30 sh -c 'until systemctl is-failed --quiet happierwork; do sleep 0.1; done'
test "$(systemctl show --property ExecMainStatus --value happierwork)" = 2
test "$(systemctl show --property NRestarts --value happierwork)" = 0
sed -i '/nonsense/d' /etc/default/happierwork
systemctl restart happierwork
ready

# The container's entry point gives a volume of root to the user of the server.
mkdir volume && touch volume/file
HAPPIERWORK_DATA_DIR=/check/volume sh docker-entrypoint.sh --version
test "$(stat -c %U volume volume/file | sort -u)" = happierwork

# Removing it stops it, and keeps settings and data. Purging keeps the data.
dpkg --remove happierwork
fails systemctl is-active happierwork
test -e /etc/default/happierwork
test ! -e /usr/bin/happierwork
dpkg --purge happierwork
test ! -e /etc/default/happierwork
test -e $data/auth/users.json

# Installing it again serves the same data.
dpkg --install package.deb
ready
positions | grep -q Packager
echo "the package was installed, used, upgraded, removed, purged and installed again"
