#!/usr/bin/env bash
# Builds the documentation as a site in target/site. Pages keep their places relative to each other, so the same links work on the
# site and in the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/target/packaging/python/bin:$PATH

book=target/packaging/book
rm -rf "$book" target/site
mkdir -p "$book/src"
cp docs/book.toml "$book/"
# Pages, and the files that they link to.
git ls-files --cached --others --exclude-standard -z -- '*.md' docs examples monitoring compose.yaml fly.toml railway.json \
  tests/fixtures/shared-maps.json ':!:docs/SUMMARY.md' ':!:docs/book.toml' ':!:*.html' |
  xargs -0 cp --parents --target-directory="$book/src"
# mdBook names the page of a README.md index.html, but does not change links to it.
find "$book/src" -name '*.md' -exec sed -i 's#\(]([^)]*\)README\.md#\1index.md#g' {} +
# Links relative to the root of the repository; and below the index of decision records, the records.
sed -e 's#](\([^.)][^)]*\))#](docs/\1)#' -e 's#](\.\./#](#' docs/SUMMARY.md >"$book/src/SUMMARY.md"
for record in docs/adr/0*.md; do
  echo "  - [$(sed -n '1s/^# //p' "$record")]($record)"
done >>"$book/src/SUMMARY.md"

mdbook build "$book"
mv "$book/book" target/site
node packaging/check-links.mjs target/site
