//! Any document as JSON.
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ScalarValue};
use serde_json::{Value, json};

use crate::support::repo_peer::new_id;
use crate::support::{PlainPeer, TestServer};

#[tokio::test]
async fn document_that_is_no_plan_is_shown_with_its_types() {
    let server = TestServer::start().await;
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "votes", ScalarValue::counter(3)).unwrap();
    doc.put(ROOT, "due", ScalarValue::Timestamp(1_795_357_260_020)).unwrap();
    doc.put(ROOT, "$ref", ScalarValue::Bytes(vec![1, 2])).unwrap();
    let todo = doc.put_object(ROOT, "todo", ObjType::List).unwrap();
    let text = doc.insert_object(&todo, 0, ObjType::Text).unwrap();
    doc.splice_text(&text, 0, 0, "Write").unwrap();
    let id = new_id();
    let mut peer = PlainPeer::connect_as(&server, &id, doc).await;
    peer.until_acknowledged().await;

    let path = format!("/api/documents/{id}/content");
    let shown = server.get(&path).await;
    let body = shown.expect(200);
    let expected = json!({
        "votes": { "$counter": 3 }, "due": { "$date": "2026-11-22T14:21:00.020Z" }, "$$ref": { "$bytes": "AQI=" },
        "todo": ["Write"],
    });
    assert_eq!((&body["documentId"], &body["content"]), (&json!(id.as_str()), &expected));

    // The same heads show the same, also when they are earlier ones.
    let heads = body["heads"][0].as_str().unwrap().to_owned();
    peer.doc.put(ROOT, "done", true).unwrap();
    peer.until_acknowledged().await;
    let now = server.get(&path).await;
    assert_eq!(now.expect(200)["content"]["done"], json!(true));
    let earlier = server.get(&format!("{path}?at={heads}")).await;
    assert_eq!((earlier.expect(200), earlier.header("etag")), (body, shown.header("etag")));
    assert_ne!(now.header("etag"), shown.header("etag"));
    let known = server.call("GET", &format!("{path}?at={heads}"), &[("if-none-match", shown.header("etag"))], "").await;
    assert_eq!((known.status.as_u16(), known.text()), (304, ""));
}

#[tokio::test]
async fn conflicts_of_a_plan_are_in_its_content() {
    let server = TestServer::start().await;
    server.send("PATCH", "/api/documents/default", &json!({ "name": "Growth" })).await.expect(200);
    let mut one = PlainPeer::connect(&server, &server.document).await;
    one.add("cook", "Cook", "Kitchen", 1);
    one.until_acknowledged().await;
    let row = one.row("cook").unwrap();
    let mut other = one.doc.fork();
    one.doc.put(&row, "budget", 2).unwrap();
    other.put(&row, "budget", 3).unwrap();
    one.doc.merge(&mut other).unwrap();
    one.until_acknowledged().await;
    let content = server.get("/api/documents/default/content").await.expect(200)["content"].clone();
    let cook = &content["positions"]["cook"];
    let mut values = vec![cook["budget"].as_i64().unwrap()];
    values.extend(cook["$conflicts"]["budget"].as_array().unwrap().iter().filter_map(Value::as_i64));
    values.sort_unstable();
    assert_eq!((values, &content["name"]), (vec![2, 3], &json!("Growth")));
}

#[tokio::test]
async fn unknown_documents_and_heads_are_not_found() {
    let server = TestServer::start().await;
    server.get(&format!("/api/documents/{}/content", new_id())).await.problem(404);
    let never = "ab".repeat(32);
    server.get(&format!("/api/documents/default/content?at={never}")).await.problem(404);
    assert_eq!(server.get("/api/documents/default/content?at=now").await.problem(400), "at");
}
