"""What schemathesis cannot make up: ids of documents, which hold a checksum."""

import os

import schemathesis
from hypothesis import strategies

# The default document by both names, and one that is not there.
IDS = ["default", os.environ["DOCUMENT_ID"], "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]

schemathesis.openapi.format("document-id", strategies.sampled_from(IDS))
