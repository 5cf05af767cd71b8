"""What a program does with the client that openapi-python-client generates: log in, list, edit, export."""

import os

from happierwork_api_client import AuthenticatedClient, Client
from happierwork_api_client.api.documents import list_documents
from happierwork_api_client.api.exports import export_automerge, export_csv, export_json
from happierwork_api_client.api.positions import change_position, create_position, delete_position, list_positions
from happierwork_api_client.api.session import log_in, log_out, read_session
from happierwork_api_client.models import LoggedIn, Login, NewPosition, PositionPatch, Problem, Role

url = os.environ["URL"]

# Without a token, the server requires authentication.
refused = list_documents.sync_detailed(client=Client(base_url=url))
assert refused.status_code == 401 and isinstance(refused.parsed, Problem), refused

login = log_in.sync(
    client=Client(base_url=url), body=Login(email=os.environ["EMAIL"], password=os.environ["PASSWORD"])
)
assert isinstance(login, LoggedIn) and isinstance(login.token, str), login
client = AuthenticatedClient(base_url=url, token=login.token)

user = read_session.sync(client=client).user
assert user.role == Role.OWNER and str(user.documents) == "*", user

documents = list_documents.sync(client=client)
assert documents[0].positions == 60, documents

new = NewPosition(designation="UX developer", department="Product", budget=11.5, location="Pune")
made = create_position.sync(client=client, document_id="default", body=new)
seen = change_position.sync_detailed(
    client=client, document_id="default", position_id=made.id, body=PositionPatch(budget=12)
)
assert seen.parsed.budget == 12, seen
assert seen.parsed.updated_at >= made.created_at, "timestamps are dates"
late = change_position.sync_detailed(
    client=client, document_id="default", position_id=made.id, body=PositionPatch(budget=13), if_match='"old"'
)
assert late.status_code == 412 and late.parsed.type_ == "changed", late

assert len(list_positions.sync(client=client, document_id="default").positions) == 61
assert len(export_json.sync(client=client, document_id="default").positions) == 61
assert "UX developer" in export_csv.sync_detailed(client=client, document_id="default").content.decode()
exported = export_automerge.sync(client=client, document_id="default")
# The magic bytes of every Automerge chunk.
assert exported.payload.read(4) == b"\x85\x6f\x4a\x83", exported

assert delete_position.sync_detailed(client=client, document_id="default", position_id=made.id).status_code == 204
log_out.sync(client=client)
assert list_documents.sync_detailed(client=client).status_code == 401
