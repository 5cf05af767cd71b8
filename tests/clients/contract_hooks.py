"""What schemathesis cannot make up: ids of documents, which hold a checksum."""

import os

import schemathesis

# The default document by both names, and one that is not there.
IDS = ["default", os.environ["DOCUMENT_ID"], "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Names the ids that there are. The expression in the description lets through wrong checksums, which are 400."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["schema"].get("format") == "document-id":
                    parameter["schema"] = {"type": "string", "enum": IDS}
