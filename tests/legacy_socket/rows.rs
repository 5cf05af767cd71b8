//! Rows: legacy clients and sync clients see one document.

use automerge::ReadDoc;
use automerge::transaction::Transactable;
use plan::fields::BUDGET;
use plan::{Budget, Edit, PositionPatch};
use serde_json::{Value, json};

use super::presence::processed;
use super::support::{PlainPeer, Socket, TestServer, add, wrapped};

const ROWS: &str = r#"[
    {"id": "dev", "designation": "Dev", "department": "Engineering", "budget": 5, "location": "Pune"},
    {"id": "cook", "designation": "Cook", "department": "Kitchen", "budget": 2, "location": "Pune"},
    {"id": "seller", "designation": "Seller", "department": "Sales", "budget": 3, "location": "Pune"}
]"#;

fn deleted(id: &str) -> Value {
    json!({"status": "Data deleted successfully", "deleted_id": id})
}

fn trailer() -> Value {
    json!({"status": "Data added successfully", "elementID": null, "loginData": null})
}

async fn delete(socket: &mut Socket, id: &str) {
    socket.send(wrapped(&json!(["delete", id]))).await;
    assert_eq!(socket.json().await, json!({"status": "Data deleted successfully"}));
    processed(socket).await;
}

/// The next frame, which must be an entry.
async fn entry(socket: &mut Socket) -> Value {
    let frame = socket.json().await;
    assert_eq!(frame["status"], "Data added successfully");
    assert!(frame["entry"].is_object(), "{frame}");
    frame["entry"].clone()
}

#[tokio::test]
async fn row_author_is_the_login_of_its_socket() {
    let server = TestServer::start().await;
    let (mut jane, mut observer) = (server.legacy().await, server.legacy().await);
    let mut authors = Vec::new();
    for before in [None, Some(json!(["login", " jane doe "])), Some(json!({"action": "logout"}))] {
        if let Some(frame) = before {
            jane.send(wrapped(&frame)).await;
        }
        jane.send(add("UI")).await;
        authors.push(loop {
            let frame = observer.json().await;
            if let Some(author) = frame["entry"]["lastUpdated"][0].as_str() {
                break author.to_owned();
            }
        });
    }
    assert_eq!(authors, ["Admin", "jane doe", "Admin"]);
}

#[tokio::test]
async fn edit_is_sent_as_deletion_entry_and_trailer() {
    let server = TestServer::start().await;
    server.import(ROWS.as_bytes()).await;
    let mut observer = server.legacy().await;

    let patch = PositionPatch::set(BUDGET, Budget::Float(7.5));
    server.edit(Edit::Patch { id: "dev".to_owned(), patch }).await;
    assert_eq!(observer.json().await, deleted("dev"));
    let edited = entry(&mut observer).await;
    assert_eq!((&edited["budget"], &edited["lastUpdated"][0]), (&json!("7.5"), &json!("editor")));
    assert_eq!(observer.json().await, trailer());

    // The same by a sync client, which writes the fields one by one in one change.
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    let row = ceo.row("dev").expect("the row");
    ceo.doc.put(&row, "budget", 9).unwrap();
    ceo.put_text(&row, "updatedBy", "ceo");
    ceo.until_acknowledged().await;
    assert_eq!(observer.json().await, deleted("dev"));
    let edited = entry(&mut observer).await;
    assert_eq!((&edited["budget"], &edited["lastUpdated"][0]), (&json!("9"), &json!("ceo")));
    assert_eq!(observer.json().await, trailer());
}

#[tokio::test]
async fn restored_row_is_one_entry() {
    let server = TestServer::start().await;
    server.import(ROWS.as_bytes()).await;
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    let mut observer = server.legacy().await;
    let positions = ceo.positions();
    ceo.doc.delete(&positions, "cook").unwrap();
    ceo.until_acknowledged().await;
    assert_eq!(observer.json().await, deleted("cook"));
    ceo.add("cook", "Cook", "Other", 2);
    ceo.until_acknowledged().await;
    assert_eq!(entry(&mut observer).await["id"], "cook");
    assert_eq!(observer.json().await, trailer());
    ceo.add("waiter", "Waiter", "Other", 2);
    ceo.until_acknowledged().await;
    assert_eq!(entry(&mut observer).await["id"], "waiter", "nothing between");
}

#[tokio::test]
async fn unknown_departments_are_sent_as_other() {
    let server = TestServer::start().await;
    server.import(ROWS.as_bytes()).await;
    let mut client = server.legacy().await;
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    for (id, department, shown) in
        [("a", "Finance", "Other"), ("b", "", "Other"), ("c", " engineering ", "Engineering"), ("d", "hr", "HR")]
    {
        ceo.add(id, "Someone", department, 2);
        ceo.until_acknowledged().await;
        assert_eq!(entry(&mut client).await["department"], shown, "{department:?}");
        assert_eq!(client.json().await, trailer());
    }
    // A deletion needs no trailer, as the client can draw every row.
    delete(&mut client, "a").await;
    assert_eq!(client.json().await, deleted("a"));
    delete(&mut client, "b").await;
    assert_eq!(client.json().await, deleted("b"), "nothing between");
}

#[tokio::test]
async fn second_deletion_gets_the_same_answer() {
    let server = TestServer::start().await;
    server.import(ROWS.as_bytes()).await;
    let (mut one, mut two) = (server.legacy().await, server.legacy().await);
    delete(&mut one, "seller").await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.json().await, deleted("seller"));
    }
    delete(&mut two, "seller").await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.json().await, deleted("seller"));
    }
    assert_eq!(server.positions().await, ["dev", "cook"]);
}

#[tokio::test]
async fn legacy_and_sync_clients_see_each_others_rows() {
    let server = TestServer::start().await;
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    let mut client = server.legacy().await;

    client.send(add("UI, \"senior\"")).await;
    processed(&mut client).await;
    let row = entry(&mut client).await;
    assert_eq!(client.json().await, trailer());
    let id = row["id"].as_str().expect("an id");
    ceo.until_row(id).await;
    assert_eq!(ceo.text(id, "designation").as_deref(), Some("UI, \"senior\""));
    assert_eq!(ceo.text(id, "updatedBy").as_deref(), Some("Admin"));
    let (budget, _) = ceo.doc.get(ceo.row(id).unwrap(), "budget").unwrap().expect("a budget");
    assert!(matches!(budget.to_string().as_str(), "50000"), "stored as a number: {budget}");

    ceo.add("by-the-ceo", "CTO", "Engineering", 90);
    ceo.until_acknowledged().await;
    let row = entry(&mut client).await;
    let expected = json!({
        "id": "by-the-ceo", "designation": "CTO", "department": "Engineering", "budget": "90", "location": "Pune",
        "lastUpdated": ["ceo", "Jun 15, 2025 03:06 PM"],
    });
    assert_eq!(row, expected);
    assert_eq!(client.json().await, trailer());
}

#[tokio::test]
async fn row_with_unusual_fields_is_sent_as_a_valid_entry() {
    let server = TestServer::start().await;
    let mut client = server.legacy().await;
    let mut ceo = PlainPeer::connect(&server, &server.document).await;
    let positions = ceo.positions();
    let row = ceo.doc.put_object(&positions, "odd", automerge::ObjType::Map).unwrap();
    ceo.doc.put(&row, "designation", 7).unwrap();
    ceo.doc.put(&row, "budget", true).unwrap();
    ceo.until_acknowledged().await;
    let row = entry(&mut client).await;
    for field in ["designation", "department", "budget", "location"] {
        assert!(row[field].is_string(), "{field} of {row}");
    }
    assert!(row["lastUpdated"].as_array().is_some_and(|parts| parts.len() == 2), "{row}");
}

#[tokio::test]
async fn first_frame_selects_the_protocol_at_the_root() {
    let server = TestServer::start().await;
    let mut client = server.connect("/").await;
    client.send(add("UI")).await;
    assert_eq!(client.json().await["type"], "login_update");
    processed(&mut client).await;
    assert_eq!(entry(&mut client).await["designation"], "UI");
}
