"""Supplies document ids, which schemathesis cannot generate because they contain a checksum, and keeps requests from waiting."""

import base64
import os

import schemathesis

# The default document by both names, and a missing one.
IDS = ["default", os.environ["DOCUMENT_ID"], "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]


def cursor(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


# Places in lists, by the end of the path. Other texts that match their pattern are answered with 400.
CURSORS = {"/documents": [cursor(IDS[1])], "/positions": [cursor("1795357260000.p1"), cursor(".p1")]}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Restricts ids to these. The pattern in the description also matches wrong checksums, which are answered with 400."""
    ids = {"document-id": IDS, "scenario-id": IDS[1:]}
    parameters = [
        parameter
        for item in raw_schema["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
    ]
    for path, item in raw_schema["paths"].items():
        for parameter in item.get("get", {}).get("parameters", []):
            if parameter["name"] == "cursor":
                parameter["schema"] = {"type": "string", "enum": CURSORS["/" + path.rsplit("/", 1)[1]]}
    # A generated key would often be that of another request, which is answered with 422.
    for item in raw_schema["paths"].values():
        for operation in item.values():
            kept = [parameter for parameter in operation.get("parameters", []) if parameter["name"] != "Idempotency-Key"]
            operation["parameters"] = kept
    properties = [schema.get("properties", {}) for schema in raw_schema["components"]["schemas"].values()]
    for holder, key in [(parameter, "schema") for parameter in parameters] + [(them, name) for them in properties for name in them]:
        known = ids.get(holder[key].get("format"))
        if known:
            holder[key] = {"type": "string", "enum": known}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Requests that wait for a change would wait in vain. Invalid times stay as they are."""
    wait = str((case.query or {}).get("wait", ""))
    if wait.isascii() and wait.isdigit() and int(wait) <= 30:
        case.query["wait"] = 0
