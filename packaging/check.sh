#!/usr/bin/env bash
# Checks everything around the program, after `make dist site`: the files of a release, the Debian package on a running system,
# the container, and the monitoring rules. Uses root for the package, with sudo if necessary.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/target/packaging/tools/bin:$PWD/target/packaging/python/bin:$PATH:/usr/sbin:/sbin

step() { echo "== $*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

step "files of the release"
(cd target/dist && sha256sum --check --quiet SHA256SUMS)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xzf target/dist/happierwork-*.tar.gz -C "$folder" --strip-components=1
"$folder/happierwork" --version
# A newer version than 2.17 would not start on older systems.
newest=$(objdump -T "$folder/happierwork" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
[ "$(printf '%s\n' GLIBC_2.17 "$newest" | sort -V | tail -1)" = GLIBC_2.17 ] || { echo "needs $newest"; exit 1; }
grep -q '"bomFormat": *"CycloneDX"' target/dist/happierwork-*-dashboard.cdx.json
for bill in target/dist/*.cdx.json; do
  node -e '
    const { components } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
    if (!(components?.length > 5)) throw new Error(`${process.argv[1]} has ${components?.length} components`)
    console.log(process.argv[1], components.length, "components")' "$bill"
done

step "container and scripts"
hadolint Dockerfile
for script in packaging/*.sh packaging/debian/* examples/*/*.sh; do bash -n "$script"; done

step "monitoring rules"
promtool check rules monitoring/alerts.yml
promtool test rules packaging/alerts-test.yml
# The queries of the dashboard, as rules.
node -e '
  const { panels } = JSON.parse(require("fs").readFileSync("monitoring/grafana.json", "utf8"))
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  const rules = queries.map((expr, index) => ({
    record: `panel_${index}`,
    expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
  }))
  console.log(JSON.stringify({ groups: [{ name: "dashboard", rules }] }))' >"$folder/dashboard.json"
promtool check rules "$folder/dashboard.json"

step "Debian package, on a copy of this system"
command -v systemd-nspawn >/dev/null || as_root apt-get install --yes --no-install-recommends systemd-container
as_root packaging/check-package.sh target/dist/*.deb target/packaging/newer.deb
