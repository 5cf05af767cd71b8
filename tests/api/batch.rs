//! Many positions in one change.
use serde_json::{Value, json};

use crate::support::TestServer;

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";
const BATCH: &str = "/api/documents/default/positions:batch?author=cfo";

/// A server with the positions `a`, `b` and `c`.
async fn with_positions() -> TestServer {
    let server = TestServer::start().await;
    let add: Vec<Value> =
        ["a", "b", "c"].iter().map(|id| json!({ "id": id, "designation": "Cook", "budget": 1 })).collect();
    server.send("POST", BATCH, &json!({ "add": add })).await.expect(200);
    server
}

async fn changes(server: &TestServer) -> usize {
    server.get(&format!("{DOCUMENT}/history")).await.expect(200)["changes"].as_array().unwrap().len()
}

#[tokio::test]
async fn batch_is_one_change_and_answers_with_the_rows() {
    let server = with_positions().await;
    let before = changes(&server).await;
    let body = json!({
        "add": [{ "id": "d", "designation": "Waiter" }, { "designation": "Barkeeper", "status": "open" }],
        "change": [{ "id": "b", "budget": null, "department": "Kitchen" }, { "id": "a", "budget": 1 }],
        "delete": ["c"],
    });
    let answer = server.send("POST", BATCH, &body).await;
    let result = answer.expect(200);
    let rows = result["positions"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["designation"].as_str().unwrap()).collect();
    assert_eq!(names, ["Waiter", "Barkeeper", "Cook", "Cook"]);
    assert_eq!(
        (&rows[2]["id"], &rows[2]["budget"], &rows[2]["department"]),
        (&json!("b"), &Value::Null, &json!("Kitchen"))
    );
    assert_eq!((&result["deleted"], &rows[0]["updatedBy"]), (&json!(["c"]), &json!("cfo")));
    assert_eq!(changes(&server).await, before + 1);
    let list = server.get(POSITIONS).await;
    assert_eq!((list.header("etag"), &list.expect(200)["heads"]), (answer.header("etag"), &result["heads"]));
    assert_eq!(list.expect(200)["positions"].as_array().unwrap().len(), 4);
    // Nothing to do is no change.
    server.send("POST", BATCH, &json!({})).await.expect(200);
    assert_eq!(changes(&server).await, before + 1);
}

#[tokio::test]
async fn one_invalid_item_rejects_the_batch_and_is_named() {
    let server = with_positions().await;
    let before = server.get(POSITIONS).await;
    for (body, status, field) in [
        (json!({ "add": [{ "designation": "x" }, { "designation": "" }] }), 422, "add[1].designation"),
        (json!({ "add": [{ "designation": "x" }, { "id": "a", "designation": "x" }] }), 409, "add[1]"),
        (json!({ "add": [{ "designation": "x", "wage": 1 }] }), 422, "add[0].wage"),
        (json!({ "add": [{ "designation": "x" }], "change": [{ "id": "z", "budget": 1 }] }), 404, "change[0]"),
        (json!({ "change": [{ "budget": 1 }] }), 422, "change[0].id"),
        (json!({ "change": [{ "id": "a", "budget": -1 }] }), 422, "change[0].budget"),
        (json!({ "change": [{ "id": "a", "budget": 2 }], "delete": ["a"] }), 422, "delete[0].id"),
        (json!({ "delete": ["z"] }), 404, "delete[0]"),
        (json!({ "delete": [1] }), 422, "delete"),
        (json!({ "add": {} }), 422, "add"),
        (json!({ "replace": [] }), 422, "replace"),
    ] {
        let answer = server.send("POST", BATCH, &body).await;
        assert_eq!(answer.problem(status), field, "{body}");
    }
    let after = server.get(POSITIONS).await;
    assert_eq!((after.header("etag"), after.text()), (before.header("etag"), before.text()));
}

#[tokio::test]
async fn precondition_protects_the_whole_list() {
    let server = with_positions().await;
    let tag = server.get(POSITIONS).await.header("etag").to_owned();
    let batch = |budget: u64| json!({ "change": [{ "id": "a", "budget": budget }] }).to_string();
    let headers = [("content-type", "application/json"), ("if-match", tag.as_str())];
    server.call("POST", BATCH, &headers, batch(2)).await.expect(200);
    server.call("POST", BATCH, &headers, batch(3)).await.problem(412);
    assert_eq!(server.get(&format!("{POSITIONS}/a")).await.expect(200)["budget"], json!(2));
}

#[tokio::test]
async fn size_is_bounded_in_rows_and_bytes() {
    let server = TestServer::start().await;
    let rows = |count: usize, name: &str| -> Value {
        let add: Vec<Value> = (0..count).map(|row| json!({ "id": format!("r{row}"), "designation": name })).collect();
        json!({ "add": add })
    };
    let problem = server.send("POST", BATCH, &rows(1_001, "Cook")).await;
    problem.problem(422);
    assert_eq!(problem.json()["field"], "add");
    server.send("POST", BATCH, &rows(1_000, &"x".repeat(1_100))).await.problem(413);
    // More than an ordinary body may have.
    let made = server.send("POST", BATCH, &rows(1_000, &"x".repeat(300))).await.expect(200);
    assert_eq!(made["positions"].as_array().unwrap().len(), 1_000);
}
