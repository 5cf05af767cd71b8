//! Every surface and operation for every kind of user: the server behaves as the table in docs/security.md says.

use std::collections::BTreeSet;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{ROOT, ReadDoc};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Edit, NewPosition, PlanPatch, ScenarioEdit, read_view};
use primitives::DocumentId;
use repo_protocol::Message;
use runtime::hub::Requester;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PlainPeer, Socket, TestServer, add, http_to, wrapped};
use crate::support::repo_peer::{PeerDocument, RepoPeer, join, new_id, receive};
use crate::support::users::{Users, bearer};

const PAGE: &str = include_str!("../../docs/security.md");

/// The columns of the table.
const WHO: [&str; 6] = ["no token", "expired", "viewer", "editor", "owner", "other document"];

struct Stage {
    server: TestServer,
    /// Legacy clients see the default document; all other requests are for this one.
    document: DocumentId,
    rows: usize,
}

impl Stage {
    fn author() -> Author {
        Author { name: "somebody".to_owned(), now: 0 }
    }

    async fn make(&self, id: &DocumentId) {
        let plan = PlanPatch { name: Some("A plan".to_owned()), ..PlanPatch::default() };
        let create = Edit::Create { id: id.clone(), plan, positions: Vec::new() };
        self.server.app.hub.edit(&Requester::server(), id, create, Self::author()).await.unwrap();
    }

    /// A new row in both documents.
    async fn row(&mut self) -> String {
        self.rows += 1;
        let id = format!("row-{}", self.rows);
        for document in [&self.document, &self.server.document] {
            let position = NewPosition::new(id.clone(), "UI")
                .with(DEPARTMENT, "Product")
                .with(BUDGET, Budget::Int(1))
                .with(LOCATION, "Pune");
            self.server
                .app
                .hub
                .edit(&Requester::server(), document, Edit::Add(position), Self::author())
                .await
                .unwrap();
        }
        id
    }

    /// A new scenario of the document, with a change of its own.
    async fn scenario(&self) -> DocumentId {
        let (hub, server, id) = (&self.server.app.hub, Requester::server(), new_id());
        let base = hub.create_scenario(&server, &self.document, &id, Self::author()).await.unwrap();
        let entry = Box::new(ScenarioEdit::Add { name: "Hiring freeze".to_owned(), base });
        let listed = Edit::Scenario { id: id.clone(), edit: entry };
        hub.edit(&server, &self.document, listed, Self::author()).await.unwrap();
        let position = NewPosition::new(format!("new in {id}"), "UI");
        hub.edit(&server, &id, Edit::Add(position), Self::author()).await.unwrap();
        id
    }

    async fn connect(&self, path: &str, token: Option<&str>) -> Socket {
        let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
        self.server.connect(&format!("{path}{query}")).await
    }

    /// Whether the server's copy of the document has this key.
    async fn holds(&self, id: &DocumentId, key: &str) -> bool {
        let bytes = self.server.app.hub.export(&Requester::server(), id).await.unwrap().unwrap_or_default();
        automerge::Automerge::load(&bytes).is_ok_and(|doc| doc.get(ROOT, key).unwrap().is_some())
    }

    /// The result of an operation for a token. `doomed`: a document that may be deleted.
    async fn run(&mut self, surface: &str, operation: &str, token: Option<&str>, doomed: &DocumentId) -> String {
        match (surface, operation) {
            ("`/sync`" | "`/` (WebSocket)", "join") => {
                let path = if surface == "`/sync`" { "/sync" } else { "/" };
                let mut socket = self.connect(path, token).await;
                socket.try_send(Frame::binary(join(&somebody(), Default::default()).encode())).await;
                match socket.next().await {
                    Some(Frame::Binary(bytes)) => match repo_protocol::decode(&bytes).unwrap() {
                        Message::Peer { .. } => "joined".to_owned(),
                        Message::Error { .. } => code(&mut socket).await,
                        other => panic!("{other:?}"),
                    },
                    _ => code(&mut socket).await,
                }
            }
            ("`/sync`", operation) => self.sync(operation, token).await,
            ("`/sync/{documentId}`", operation) => self.plain(operation, token).await,
            ("`/` (WebSocket)", "listen to rows") => {
                let row = self.row().await;
                let mut socket = self.connect("/", token).await;
                socket.try_send(wrapped(&json!(["login", "me"]))).await;
                legacy(&mut socket, operation, &row).await
            }
            ("`/ws/dashboard/`", operation) => {
                let row = self.row().await;
                let mut socket = self.connect("/ws/dashboard/", token).await;
                legacy(&mut socket, operation, &row).await
            }
            _ => self.http(request_of(operation), token, doomed).await,
        }
    }

    async fn joined(&self, token: Option<&str>) -> Result<RepoPeer, String> {
        let mut socket = self.connect("/sync", token).await;
        socket.try_send(Frame::binary(join(&somebody(), Default::default()).encode())).await;
        match receive(&mut socket).await {
            Some(Message::Peer { sender, target, .. }) => Ok(RepoPeer { id: target, server: sender, socket }),
            _ => Err(code(&mut socket).await),
        }
    }

    async fn sync(&mut self, operation: &str, token: Option<&str>) -> String {
        let mut peer = match self.joined(token).await {
            Ok(peer) => peer,
            Err(code) => return code,
        };
        let id = if operation == "make a document" { new_id() } else { self.document.clone() };
        let mut replica = PeerDocument::empty(&id);
        if operation == "fetch the document" {
            let request = peer.request(&id, replica.generate().unwrap());
            peer.send(&request).await;
            return match peer.next().await {
                Some(Message::DocUnavailable { .. }) => "not there".to_owned(),
                Some(Message::Sync { data, .. }) => {
                    replica.receive(&data);
                    // The document arrives at the latest with the answer to this peer's answer.
                    while replica.doc.get_heads().is_empty() {
                        peer.push(&mut replica).await;
                        replica.receive(&peer.next_sync(&id).await);
                    }
                    "read".to_owned()
                }
                other => panic!("{other:?}"),
            };
        }
        // A client with an empty copy sends a new document.
        self.rows += 1;
        let key = format!("key-{}", self.rows);
        replica.doc.put(ROOT, &key, 1).unwrap();
        replica.doc.commit();
        let mine = replica.doc.get_heads()[0];
        peer.push(&mut replica).await;
        loop {
            match peer.next().await {
                Some(Message::DocUnavailable { .. }) => break,
                // The reason, for people.
                Some(Message::Error { document: Some(_), .. }) => {}
                Some(Message::Sync { data, .. }) => {
                    let has_it = replica.receive(&data).heads.contains(&mine);
                    if replica.state.is_peer_read_only() || has_it {
                        break;
                    }
                    peer.push(&mut replica).await;
                }
                other => panic!("{other:?}"),
            }
        }
        match (self.holds(&id, &key).await, replica.state.is_peer_read_only()) {
            (true, false) => "stored".to_owned(),
            (false, true) => "ignored".to_owned(),
            (false, false) => "not there".to_owned(),
            (true, true) => panic!("a viewer's change was stored"),
        }
    }

    async fn plain(&mut self, operation: &str, token: Option<&str>) -> String {
        let mut socket = self.connect(&format!("/sync/{}", self.document), token).await;
        let Some(Frame::Binary(first)) = socket.next().await else { return code(&mut socket).await };
        let mut peer = PlainPeer::over(socket);
        peer.receive(&first);
        if operation == "fetch the document" {
            peer.push().await;
            // A server without the document answers an empty client with an empty message, and refuses its next
            // message.
            while peer.doc.get_heads().is_empty() {
                match timeout(Duration::from_millis(500), peer.turn()).await {
                    Ok(true) => {}
                    Ok(false) => return not_there(&mut peer.socket),
                    Err(_) => return "not there".to_owned(),
                }
            }
            return "read".to_owned();
        }
        self.rows += 1;
        let key = format!("plain-{}", self.rows);
        peer.doc.put(ROOT, &key, 1).unwrap();
        peer.doc.commit();
        peer.push().await;
        while peer.turn().await {
            let heads = peer.doc.get_heads();
            let told = peer.state.their_heads.as_ref() == Some(&heads);
            if told || peer.state.is_peer_read_only() {
                break;
            }
        }
        match (self.holds(&self.document, &key).await, peer.state.is_peer_read_only()) {
            (true, false) => "stored".to_owned(),
            (false, true) => "ignored".to_owned(),
            (false, false) => not_there(&mut peer.socket),
            (true, true) => panic!("a viewer's change was stored"),
        }
    }

    async fn http(&mut self, operation: &str, token: Option<&str>, doomed: &DocumentId) -> String {
        let (method, path) = operation.split_once(' ').unwrap();
        let row = self.row().await;
        let scenario = if operation.contains("{scenarioId}") || path.ends_with("/merge") {
            self.scenario().await.to_string()
        } else {
            String::new()
        };
        let ends = operation == "DELETE /api/documents/{documentId}" || operation.ends_with("/successor");
        let document = if ends { doomed.clone() } else { self.document.clone() };
        let view = self.server.app.hub.view(&Requester::server(), &document).await.unwrap().unwrap();
        let heads: Vec<String> = read_view(&view).heads().iter().map(ToString::to_string).collect();
        let path = path
            .replace("{heads}", &heads.join(","))
            .replace("{documentId}", document.as_str())
            .replace("{scenarioId}", &scenario)
            .replace("{positionId}", &row)
            .replace("{id}", &row)
            .replace("{user}", "auditor")
            .replace("{webhookId}", "wh_5d2f8a1b7c3e4f60918273a4");
        let merge = json!({ "scenario": scenario }).to_string();
        let body = match (method, path.contains("positions"), path.contains("/data/")) {
            ("POST", ..) if path.ends_with("/merge") => merge.as_str(),
            ("POST", ..) if path == "/api/setup" => r#"{"code":"guessed","name":"intruder","password":"long enough"}"#,
            ("PATCH", ..) if path.contains("/scenarios/") => r#"{"name":"Renamed"}"#,
            ("POST", ..) if path.ends_with("/import") => r#"[{"designation":"UI"}]"#,
            ("POST", ..) if path.ends_with(":batch") => r#"{"add":[{"designation":"UI"}]}"#,
            ("POST", true, _) | ("POST", _, true) => {
                r#"{"designation":"UI","department":"Product","budget":1,"location":""}"#
            }
            ("PATCH", true, _) | ("PUT", _, true) => r#"{"budget":2}"#,
            ("POST", ..) => r#"{"name":"Another"}"#,
            ("PATCH", ..) => r#"{"totalBudget":3}"#,
            ("PUT", ..) => r#"{"role":"viewer"}"#,
            _ => "",
        };
        let authorization = token.map(bearer);
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.as_ref().map(|(name, value)| (*name, value.as_str())));
        let (status, _, answer) = http_to(self.server.address, method, &path, &headers, body.to_owned()).await;
        match operation {
            "GET /api/documents" if status == 200 => {
                if answer.contains(self.document.as_str()) { "listed" } else { "not listed" }.to_owned()
            }
            _ => status.to_string(),
        }
    }
}

async fn legacy(socket: &mut Socket, operation: &str, row: &str) -> String {
    let frame = match operation {
        "add a row" => add("Tester"),
        "delete a row" => wrapped(&json!(["delete", row])),
        _ => {
            return match socket.next().await {
                Some(Frame::Text(text)) if text.contains("login_update") => "rows".to_owned(),
                _ => code(socket).await,
            };
        }
    };
    socket.try_send(frame).await;
    loop {
        let Some(Frame::Text(text)) = socket.next().await else { return code(socket).await };
        let json: Value = serde_json::from_str(&text).unwrap();
        if json.get("error").is_some() {
            let refused = socket.closed_with.is_none();
            match timeout(Duration::from_secs(5), socket.next()).await {
                // The error frame precedes a close.
                Ok(None) => return code(socket).await,
                _ if refused => return "error".to_owned(),
                other => panic!("{other:?}"),
            }
        }
        if json.get("entry").is_some() || json.get("deleted_id").is_some() {
            return "stored".to_owned();
        }
    }
}

/// A new peer id: the previous one may still be connected, for another user.
fn somebody() -> String {
    format!("somebody-{}", rand::random::<u32>())
}

async fn code(socket: &mut Socket) -> String {
    let close = match socket.closed_with.take() {
        Some(close) => Some(close),
        None => socket.closed().await,
    };
    close.map_or_else(|| "gone".to_owned(), |close| u16::from(close.code).to_string())
}

/// The result of a close by plain sync, which has no error messages.
fn not_there(socket: &mut Socket) -> String {
    match socket.closed_with.take() {
        Some(close) if u16::from(close.code) == 4403 => "not there".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The cells of the page's table: surface, operation, and the results of each column.
fn table() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| surface | operation |"));
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The request of an operation: its text between backticks. Empty for other operations.
fn request_of(operation: &str) -> &str {
    operation.split('`').nth(1).unwrap_or_default()
}

/// The operations of the API in a description: method and path.
fn described(description: &Value) -> BTreeSet<String> {
    let paths = description["paths"].as_object().unwrap();
    // Logging in and out needs no rights.
    let paths = paths.iter().filter(|(path, _)| path.starts_with("/api/"));
    let methods = |(path, operations): (&String, &Value)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.flat_map(methods).collect()
}

#[tokio::test]
async fn access_matrix_has_every_operation_of_the_api() {
    let server = TestServer::start().await;
    let description = server.get("/api/openapi.json").await.expect(200);
    let table = table();
    let without_query = |row: &Vec<&str>| request_of(row[1]).split('?').next().unwrap().to_owned();
    let rows: BTreeSet<String> = table[2..].iter().map(without_query).filter(|row| row.contains(" /api/")).collect();
    let mut operations = described(&description);
    // The description does not describe itself.
    operations.insert("GET /api/openapi.json".to_owned());
    assert_eq!(rows, operations);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_matrix_in_the_docs_is_enforced() {
    let table = table();
    assert_eq!(table[0][2..], WHO);

    let users = Users::new();
    let mut stage = Stage { server: users.server().await, document: new_id(), rows: 0 };
    let other = new_id();
    for id in [&stage.document.clone(), &other] {
        stage.make(id).await;
    }
    let doomed = WHO.map(|_| new_id());
    for id in &doomed {
        stage.make(id).await;
    }
    let names: Vec<&str> = doomed.iter().map(DocumentId::as_str).collect();
    let documents = format!("default,{},{}", stage.document, names.join(","));
    let tokens: Vec<Option<String>> = WHO
        .iter()
        .map(|who| match *who {
            "no token" => None,
            "expired" => Some(users.expired("old", "owner", "default")),
            "other document" => Some(users.token("stranger", "editor", other.as_str())),
            role => Some(users.token(role, role, &documents)),
        })
        .collect();

    let mut wrong = Vec::new();
    for row in &table[2..] {
        for (index, who) in WHO.iter().enumerate() {
            let seen = stage.run(row[0], row[1], tokens[index].as_deref(), &doomed[index]).await;
            if seen != row[index + 2] {
                wrong.push(format!("{} {}, {who}: {seen}, not {}", row[0], row[1], row[index + 2]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
