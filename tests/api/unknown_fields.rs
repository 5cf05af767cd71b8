//! Fields and keys outside the schema: they are shown everywhere and always kept.
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ReadDoc, ScalarValue};
use primitives::DocumentId;
use serde_json::{Value, json};

use crate::support::{PlainPeer, TestServer, http_to};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";

async fn get(server: &TestServer, path: &str) -> Value {
    let (status, _, body) = server.http("GET", path, &[]).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Sends JSON. Returns the status and the answer.
async fn send(server: &TestServer, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let (status, _, answer) = http_to(server.address, method, path, &headers, body.to_string()).await;
    (status, serde_json::from_str(&answer).unwrap_or_default())
}

/// A server, and a client that has added a position with unknown fields, and a root key.
async fn with_unknown_fields() -> (TestServer, PlainPeer) {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    let row = peer.row("ui").unwrap();
    peer.doc.put(&row, "budget", "twelve").unwrap();
    peer.doc.put(&row, "headcount", 3).unwrap();
    peer.put_text(&row, "notes", "from March");
    peer.doc.put(&row, "due", ScalarValue::Timestamp(1_795_357_260_020)).unwrap();
    peer.doc.put(&row, "key", ScalarValue::Bytes(vec![1])).unwrap();
    let team = peer.doc.put_object(&row, "team", ObjType::List).unwrap();
    peer.doc.insert(&team, 0, "Anita").unwrap();
    peer.doc.put(ROOT, "scenario", "hiring freeze").unwrap();
    peer.until_acknowledged().await;
    (server, peer)
}

fn extra() -> Value {
    json!({
        "headcount": 3, "notes": "from March", "due": "2026-11-22T14:21:00.020Z", "key": { "$bytes": "AQ==" },
        "team": ["Anita"],
    })
}

#[tokio::test]
async fn exports_include_unknown_fields_and_values() {
    let (server, mut peer) = with_unknown_fields().await;
    let position = get(&server, &format!("{POSITIONS}/ui")).await;
    assert_eq!((&position["budget"], &position["extra"]), (&json!("twelve"), &extra()));
    assert_eq!(get(&server, POSITIONS).await["positions"], json!([position]));
    assert_eq!(get(&server, DOCUMENT).await["extra"], json!({ "scenario": "hiring freeze" }));
    let (_, headers, body) = server.http("GET", &format!("{DOCUMENT}/export.json"), &[]).await;
    let export: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&export["document"]["extra"], &export["positions"][0]),
        (&json!({ "scenario": "hiring freeze" }), &position)
    );
    assert_eq!(headers["happierwork-omitted"], "0");

    let (_, headers, table) = server.http("GET", &format!("{DOCUMENT}/export.csv"), &[]).await;
    let mut reader = csv::Reader::from_reader(table.trim_start_matches('\u{feff}').as_bytes());
    let names = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let cell = |name: &str| &row[names.iter().position(|head| head == name).unwrap()];
    assert_eq!((cell("budget"), cell("headcount"), cell("team")), ("twelve", "3", "[\"Anita\"]"));
    assert_eq!(headers["happierwork-omitted"], "1", "the scenario");

    let row = peer.row("ui").unwrap();
    peer.doc.put(&row, "ratio", f64::NAN).unwrap();
    peer.until_acknowledged().await;
    let position = get(&server, &format!("{POSITIONS}/ui")).await;
    assert_eq!((&position["extra"]["ratio"], &position["omitted"]), (&Value::Null, &json!(1)));
    let (_, headers, _) = server.http("GET", &format!("{DOCUMENT}/export.json"), &[]).await;
    assert_eq!(headers["happierwork-omitted"], "1");
}

#[tokio::test]
async fn edits_keep_unknown_fields() {
    let (server, mut peer) = with_unknown_fields().await;
    let path = format!("{POSITIONS}/ui");
    let (status, changed) = send(&server, "PATCH", &path, &json!({ "budget": 7, "location": "Surat" })).await;
    assert_eq!((status, &changed["budget"], &changed["extra"]), (200, &json!(7), &extra()));
    let (status, _) = send(&server, "PUT", "/data/update/ui/", &json!({ "designation": "UX" })).await;
    assert_eq!(status, 200);
    let changed = get(&server, &path).await;
    assert_eq!((&changed["designation"], &changed["extra"]), (&json!("UX"), &extra()));
    peer.until_acknowledged().await;
    let row = peer.row("ui").unwrap();
    assert!(peer.doc.get(&row, "team").unwrap().is_some_and(|(value, _)| value.is_object()));
}

#[tokio::test]
async fn etag_of_a_position_covers_unknown_fields() {
    let (server, mut peer) = with_unknown_fields().await;
    let path = format!("{POSITIONS}/ui");
    let (_, headers, _) = server.http("GET", &path, &[]).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let mut observer = server.legacy().await;
    let row = peer.row("ui").unwrap();
    let (_, team) = peer.doc.get(&row, "team").unwrap().unwrap();
    peer.doc.insert(&team, 1, "Bo").unwrap();
    peer.until_acknowledged().await;
    let (status, _, body) = server.http("GET", &path, &[("if-none-match", &tag)]).await;
    assert!(status == 200 && body.contains("Bo"), "{status}: {body}");
    // Legacy clients receive the next edit, but not that one.
    peer.add("ux", "UX", "HR", 1);
    peer.until_acknowledged().await;
    assert_eq!(observer.json().await["entry"]["id"], "ux");
}

#[tokio::test]
async fn document_without_plan_is_exported_completely() {
    let server = TestServer::start().await;
    let id = DocumentId::from_random([9; 16]);
    let mut doc = AutoCommit::new().with_actor(ActorId::from([7u8; 16]));
    let list = doc.put_object(ROOT, "todo", ObjType::List).unwrap();
    doc.insert(&list, 0, "buy milk").unwrap();
    PlainPeer::connect_as(&server, &id, doc).await.until_acknowledged().await;
    let export = get(&server, &format!("/api/documents/{id}/export.json")).await;
    assert_eq!((&export["document"]["extra"], &export["positions"]), (&json!({ "todo": ["buy milk"] }), &json!([])));
    let listed = get(&server, "/api/documents").await;
    assert!(listed.as_array().unwrap().iter().all(|document| document["extra"].is_null()), "a list is short");
}

#[tokio::test]
async fn row_that_is_not_a_map_is_handled_consistently() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let mut observer = server.legacy().await;
    let positions = peer.positions();
    peer.doc.put(&positions, "x", 5).unwrap();
    peer.until_acknowledged().await;
    let path = format!("{POSITIONS}/x");
    let position = get(&server, &path).await;
    assert_eq!((&position["value"], &position["designation"]), (&json!(5), &Value::Null));
    assert_eq!(get(&server, POSITIONS).await["positions"], json!([position]));
    for body in [json!({ "budget": 1 }), json!({})] {
        let (status, problem) = send(&server, "PATCH", &path, &body).await;
        assert!(status == 409 && problem["detail"].as_str().unwrap().contains("not a map"), "{status}: {problem}");
    }
    assert_eq!(send(&server, "PUT", "/data/update/x/", &json!({ "budget": 1 })).await.0, 409);
    assert_eq!(get(&server, "/data/").await, json!([]), "legacy clients do not see such rows");
    let (_, _, table) = server.http("GET", &format!("{DOCUMENT}/export.csv"), &[]).await;
    assert!(table.contains(",value\r\nx,") && table.ends_with(",5\r\n"), "{table}");
    assert_eq!(send(&server, "DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(server.http("GET", &path, &[]).await.0, 404);
    peer.add("ux", "UX", "HR", 1);
    peer.until_acknowledged().await;
    let first = observer.json().await;
    let entry = if first["deleted_id"] == "x" { observer.json().await } else { first };
    assert_eq!(entry["entry"]["id"], "ux");
}

#[tokio::test]
async fn position_without_budget_is_allowed() {
    let server = TestServer::start().await;
    for (id, body) in [
        ("a", json!({ "id": "a", "designation": "UI" })),
        ("b", json!({ "id": "b", "designation": "UI", "budget": null })),
    ] {
        let (status, made) = send(&server, "POST", POSITIONS, &body).await;
        assert_eq!((status, &made["budget"], made.get("extra")), (201, &Value::Null, None), "{id}");
    }
    let path = format!("{POSITIONS}/a");
    assert_eq!(send(&server, "PATCH", &path, &json!({ "budget": 4 })).await.1["budget"], 4);
    let (status, cleared) = send(&server, "PATCH", &path, &json!({ "budget": null })).await;
    assert_eq!((status, &cleared["budget"]), (200, &Value::Null));
    assert_eq!(send(&server, "PATCH", &path, &json!({ "budget": null })).await.1, cleared, "nothing to change");
    let peer = PlainPeer::connect(&server, &server.document).await;
    for id in ["a", "b"] {
        assert!(peer.doc.get(peer.row(id).unwrap(), "budget").unwrap().is_none(), "{id}: absent, and not null");
    }
    let (_, _, table) = server.http("GET", &format!("{DOCUMENT}/export.csv"), &[]).await;
    assert!(table.contains("a,UI,,,,"), "{table}");
    let listed = get(&server, "/data/").await;
    assert_eq!((&listed[0]["budget"], &listed[1]["budget"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn timestamps_have_a_fixed_width() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    for (id, ms) in [("a", 1_795_357_260_000), ("b", 1_795_357_260_020), ("c", 1_795_357_260_300)] {
        peer.add(id, "UI", "HR", 1);
        let row = peer.row(id).unwrap();
        peer.doc.put(&row, "createdAt", ScalarValue::Timestamp(ms)).unwrap();
    }
    peer.until_acknowledged().await;
    let mut times: Vec<String> = Vec::new();
    let mut add = |value: &Value| times.push(value.as_str().unwrap().to_owned());
    for position in get(&server, POSITIONS).await["positions"].as_array().unwrap() {
        add(&position["createdAt"]);
        add(&position["updatedAt"]);
    }
    for change in get(&server, &format!("{DOCUMENT}/history")).await["changes"].as_array().unwrap() {
        change["time"].as_str().iter().for_each(|time| add(&json!(time)));
        for set in change["fields"].as_array().unwrap() {
            if set["field"] == "createdAt" {
                add(&set["new"]);
            }
        }
    }
    let (_, _, table) = server.http("GET", &format!("{DOCUMENT}/export.csv"), &[]).await;
    for line in table.lines().skip(1) {
        line.split(',').skip(6).take(2).for_each(|time| add(&json!(time)));
    }
    assert!(times.len() > 15, "{times:?}");
    assert!(
        times.iter().all(|time| time.len() == "2026-11-22T14:21:00.020Z".len() && time.ends_with('Z')),
        "{times:?}"
    );
}

#[tokio::test]
async fn conflict_of_two_rows_with_one_id_can_be_settled() {
    let server = TestServer::start().await;
    let mut one = PlainPeer::connect(&server, &server.document).await;
    let mut two = PlainPeer::connect(&server, &server.document).await;
    for (peer, budget) in [(&mut one, 10), (&mut two, 20)] {
        peer.add("ui", "UI", "HR", budget);
        let row = peer.row("ui").unwrap();
        peer.doc.put(&row, "headcount", budget).unwrap();
    }
    one.until_acknowledged().await;
    two.until_acknowledged().await;
    let path = format!("{POSITIONS}/ui");
    let before = get(&server, &path).await;
    assert!(before["conflicts"]["budget"].is_array() && before["conflicts"]["headcount"].is_array(), "{before}");
    let (_, after) = send(&server, "PATCH", &path, &json!({ "budget": 15 })).await;
    assert_eq!((&after["budget"], &after["conflicts"]["budget"]), (&json!(15), &Value::Null));
    assert_eq!(after["conflicts"]["headcount"], before["conflicts"]["headcount"], "the other fields of both stay");
    let history = get(&server, &format!("{DOCUMENT}/history")).await;
    let told: Vec<&Value> =
        history["changes"][0]["fields"].as_array().unwrap().iter().filter(|set| set["field"] == "budget").collect();
    assert_eq!((told.len(), told[0]["settled"].as_array().map(Vec::len)), (1, Some(2)), "{told:?}");
}
