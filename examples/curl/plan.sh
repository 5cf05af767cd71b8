#!/usr/bin/env bash
# Adds a position, changes it, shows its line of the CSV export, and deletes it, with curl.
set -euo pipefail
server=${HAPPIERWORK_URL:-http://127.0.0.1:8000}
positions=$server/api/documents/default/positions
token=

# Secrets do not become arguments, which other users of this machine can see.
api() {
  curl --silent --show-error --fail-with-body --header "content-type: application/json" \
    --config <(if [ -n "$token" ]; then echo "header = \"authorization: Bearer $token\""; fi) "$@"
}
quoted() { local text=${1//\\/\\\\}; printf '"%s"' "${text//\"/\\\"}"; }
# The value of a text in a JSON object: jq would be shorter.
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

if [ -n "${HAPPIERWORK_USER:-}" ]; then
  token=$(printf '{"email": %s, "password": %s}' "$(quoted "$HAPPIERWORK_USER")" "$(quoted "$HAPPIERWORK_PASSWORD")" |
    api --data @- "$server/accounts/api/login/" | text token)
fi
id=$(api "$positions" --data '{"designation": "Data Analyst", "department": "Product", "budget": 18, "location": "Pune"}' | text id)
api --request PATCH "$positions/$id" --data '{"budget": 21, "status": "approved"}'
echo
api "$server/api/documents/default/export.csv" | grep "^$id,"
api --request DELETE "$positions/$id"
