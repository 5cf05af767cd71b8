"""What schemathesis cannot make up: ids of documents, which hold a checksum."""

import os

import schemathesis
from hypothesis import strategies

# The default document by both names, and one that is not there.
IDS = ["default", os.environ["DOCUMENT_ID"], "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]

schemathesis.openapi.format("document-id", strategies.sampled_from(IDS))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Makes up ids by their format alone: the expression beside it lets through wrong checksums, which are 400."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["schema"].get("format") == "document-id":
                    parameter["schema"].pop("pattern", None)
