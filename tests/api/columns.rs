//! Columns that people have added to a plan, in the JSON API.
use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ReadDoc};
use serde_json::{Value, json};

use crate::support::{PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const COOK: &str = "/api/documents/default/positions/cook";
const KEY: &str = "col3f9a81b2c4d5";

/// A server, and a client that has added a column and a position with a value in it.
async fn with_column() -> (TestServer, PlainPeer) {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("cook", "Cook", "Kitchen", 5);
    let columns = peer.doc.put_object(ROOT, "columns", ObjType::Map).unwrap();
    let column = peer.doc.put_object(&columns, KEY, ObjType::Map).unwrap();
    peer.put_text(&column, "title", "Grade");
    peer.put_text(&column, "type", "text");
    peer.doc.put(&column, "order", 8).unwrap();
    let row = peer.row("cook").unwrap();
    peer.put_text(&row, KEY, "A");
    peer.until_acknowledged().await;
    (server, peer)
}

#[tokio::test]
async fn columns_are_shown_and_are_no_unknown_field() {
    let (server, mut peer) = with_column().await;
    let export = server.get(&format!("{DOCUMENT}/export.json")).await;
    assert_eq!(export.header("happierwork-omitted"), "0");
    for document in [server.get(DOCUMENT).await.expect(200), export.expect(200)["document"].clone()] {
        assert_eq!(document["columns"], json!({ KEY: { "title": "Grade", "type": "text", "order": 8 } }));
        assert_eq!(document["extra"], Value::Null, "{document}");
    }
    assert_eq!(server.get("/api/documents").await.expect(200)[0]["columns"], Value::Null);
    let csv = server.get(&format!("{DOCUMENT}/export.csv")).await;
    assert!(csv.text().lines().next().is_some_and(|head| head.ends_with(KEY)), "{}", csv.text());

    // A change inside an entry is shown as well.
    let (_, columns) = peer.doc.get(ROOT, "columns").unwrap().unwrap();
    let (_, column) = peer.doc.get(&columns, KEY).unwrap().unwrap();
    peer.put_text(&column, "title", "Band");
    peer.until_acknowledged().await;
    assert_eq!(server.get(DOCUMENT).await.expect(200)["columns"][KEY]["title"], json!("Band"));
}

#[tokio::test]
async fn values_in_columns_are_kept_and_not_edited() {
    let (server, _peer) = with_column().await;
    server.send("PATCH", COOK, &json!({ "budget": 7 })).await.expect(200);
    let position = server.get(COOK).await.expect(200);
    assert_eq!((&position["budget"], &position["extra"]), (&json!(7), &json!({ KEY: "A" })));
    let refused = server.send("PATCH", COOK, &json!({ KEY: "B" })).await.expect(422);
    assert_eq!(refused["field"], json!(KEY));
}
