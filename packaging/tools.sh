#!/usr/bin/env bash
# Installs the tools of dist.sh and check.sh below target/packaging, if they are not on the PATH. Unoptimized, as they run for
# seconds and compile for minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

python=target/packaging/python
if [ packaging/requirements.txt -nt "$python/installed" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check --requirement packaging/requirements.txt
  touch "$python/installed"
fi
export PATH=$PWD/target/packaging/tools/bin:$PWD/$python/bin:$PATH CARGO_PROFILE_DEV_DEBUG=0
for tool in cargo-deb@3.8.0 cargo-cyclonedx@0.5.9; do
  command -v "${tool%@*}" >/dev/null || cargo install --locked --debug --root target/packaging/tools "$tool"
done

# Only its promtool, without the service of the package.
if ! command -v promtool >/dev/null; then
  folder=$(mktemp -d)
  (cd "$folder" && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb .)
  install "$folder/usr/bin/promtool" target/packaging/python/bin/
  rm -r "$folder"
fi
