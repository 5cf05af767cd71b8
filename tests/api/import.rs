//! Imports over HTTP: what the exports give can be imported again.
use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use happierwork::server::Limits;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";
const IMPORT: &str = "/api/documents/import";
const INTO: &str = "/api/documents/default/import?author=cfo";

async fn import(server: &TestServer, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
    server.call("POST", path, &[("content-type", kind)], body).await
}

/// A server whose default document has settings, columns, unknown fields and two positions.
async fn with_plan() -> TestServer {
    let server = TestServer::start().await;
    let settings = json!({ "name": "Growth", "currency": "EUR", "unit": 1000, "totalBudget": 12.5, "yearStart": "2027-04",
        "departmentBudgets": { "Kitchen": 40 } });
    server.send("PATCH", DOCUMENT, &settings).await.expect(200);
    let cook = json!({ "id": "cook", "designation": "=Cook, \"senior\"", "department": "Kitchen", "budget": 5.5, "status": "open",
        "start": "2027-06" });
    server.send("POST", &format!("{POSITIONS}?author=Anita%20Rao"), &cook).await.expect(201);
    server.send("POST", POSITIONS, &json!({ "id": "waiter", "designation": "Waiter" })).await.expect(201);
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.until_row("waiter").await;
    let columns = peer.doc.put_object(ROOT, "columns", ObjType::Map).unwrap();
    let column = peer.doc.put_object(&columns, "colgrade", ObjType::Map).unwrap();
    peer.put_text(&column, "title", "Grade");
    let row = peer.row("cook").unwrap();
    peer.put_text(&row, "colgrade", "A");
    peer.doc.put(&row, "headcount", 3).unwrap();
    peer.put_text(&ROOT, "motto", "Grow");
    peer.until_acknowledged().await;
    server
}

/// The positions of a document as they are listed.
async fn positions(server: &TestServer, id: &str) -> Value {
    server.get(&format!("/api/documents/{id}/positions")).await.expect(200)["positions"].clone()
}

fn id_of(answer: &Answer) -> String {
    let id = answer.expect(201)["document"]["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/api/documents/{id}"));
    id
}

#[tokio::test]
async fn json_export_is_imported_whole() {
    let server = with_plan().await;
    let export = server.get(&format!("{DOCUMENT}/export.json")).await;
    let made = import(&server, IMPORT, "application/json", export.body.clone()).await;
    let id = id_of(&made);
    assert_eq!((&made.expect(201)["added"], &made.expect(201)["skipped"]), (&json!(2), &json!(0)));
    let again = server.get(&format!("/api/documents/{id}/export.json")).await.expect(200);
    let mut expected = export.json();
    for key in ["id", "url", "default", "heads"] {
        expected["document"][key] = again["document"][key].clone();
    }
    assert_eq!(again, expected);
    assert_eq!(again["document"]["extra"], json!({ "motto": "Grow" }));
}

#[tokio::test]
async fn list_and_csv_export_are_imported() {
    let server = with_plan().await;
    let list = server.get(POSITIONS).await;
    let csv = server.get(&format!("{DOCUMENT}/export.csv")).await;
    for (kind, body) in [("application/json", list.body.clone()), ("text/csv; charset=utf-8", csv.body)] {
        let made = import(&server, &format!("{IMPORT}?name=Copy"), kind, body).await;
        let id = id_of(&made);
        assert_eq!(positions(&server, &id).await, list.json()["positions"], "{kind}");
        assert_eq!(made.expect(201)["document"]["name"], json!("Copy"));
    }
}

#[tokio::test]
async fn automerge_file_keeps_its_history_under_a_new_id() {
    let server = with_plan().await;
    let file = server.get(&format!("{DOCUMENT}/export.automerge")).await.body;
    let id = id_of(&import(&server, IMPORT, "application/octet-stream", file).await);
    assert_ne!(id, server.document.as_str());
    assert_eq!(positions(&server, &id).await, positions(&server, "default").await);
    let content = server.get(&format!("/api/documents/{id}/content")).await.expect(200);
    assert_eq!(content["content"]["documentId"], json!(id));
    let history = server.get(&format!("/api/documents/{id}/history")).await.expect(200);
    assert!(history.to_string().contains("Anita Rao: added"), "{history}");
}

#[tokio::test]
async fn automerge_file_is_merged_into_its_document() {
    let server = with_plan().await;
    let file = server.get(&format!("{DOCUMENT}/export.automerge")).await.body;
    let mut copy = AutoCommit::load(&file).unwrap();
    let (_, rows) = automerge::ReadDoc::get(&copy, ROOT, "positions").unwrap().unwrap();
    let (_, cook) = automerge::ReadDoc::get(&copy, &rows, "cook").unwrap().unwrap();
    copy.put(&cook, "budget", 9).unwrap();
    server.send("PATCH", &format!("{POSITIONS}/waiter"), &json!({ "budget": 2 })).await.expect(200);
    for _ in 0..2 {
        let merged = import(&server, INTO, "application/vnd.automerge", copy.save()).await;
        assert_eq!(merged.expect(200)["document"]["positions"], json!(2));
    }
    for (row, budget) in [("cook", 9), ("waiter", 2)] {
        assert_eq!(server.get(&format!("{POSITIONS}/{row}")).await.expect(200)["budget"], json!(budget));
    }
}

#[tokio::test]
async fn rows_update_positions_with_their_id_and_add_others() {
    let server = with_plan().await;
    let before = server.get(&format!("{POSITIONS}/cook")).await.expect(200);
    let rows = json!([
        { "id": "cook", "budget": 7, "extra": { "headcount": 4 } },
        { "id": "new", "designation": "Barkeeper", "createdAt": "2020-01-02T03:04:05.000Z", "updatedBy": "cfo" },
        { "designation": "Porter" },
    ]);
    let result = import(&server, INTO, "application/json", rows.to_string()).await.expect(200);
    assert_eq!(
        (&result["added"], &result["updated"], &result["document"]["positions"]),
        (&json!(2), &json!(1), &json!(4))
    );
    let cook = server.get(&format!("{POSITIONS}/cook")).await.expect(200);
    assert_eq!((&cook["budget"], &cook["designation"]), (&json!(7), &before["designation"]));
    assert_eq!(cook["extra"], json!({ "colgrade": "A", "headcount": 4 }));
    assert_eq!(
        server.get(&format!("{POSITIONS}/new")).await.expect(200)["createdAt"],
        json!("2020-01-02T03:04:05.000Z")
    );
    let csv = "id,budget\ncook,\nwaiter,3\n";
    import(&server, INTO, "text/csv", csv).await.expect(200);
    let budgets: Vec<Value> =
        positions(&server, "default").await.as_array().unwrap().iter().map(|row| row["budget"].clone()).collect();
    assert_eq!(budgets.iter().filter(|budget| **budget == json!(3)).count(), 1, "{budgets:?}");
    assert_eq!(server.get(&format!("{POSITIONS}/cook")).await.expect(200)["budget"], Value::Null);
    // The settings stay, also those that the file has.
    let export = server.get(&format!("{DOCUMENT}/export.json")).await.text().replace("Growth", "Other");
    import(&server, INTO, "application/json", export).await.expect(200);
    assert_eq!(server.get(DOCUMENT).await.expect(200)["name"], json!("Growth"));
}

#[tokio::test]
async fn invalid_rows_are_reported_with_their_lines() {
    let server = with_plan().await;
    let before = server.get(POSITIONS).await;
    let csv = "id,designation,budget\nx,Porter,1\ncook,,\ny,Porter,twelve\nx,Porter,2\n";
    for path in [INTO, IMPORT] {
        let refused = import(&server, path, "text/csv", csv).await;
        refused.problem(422);
        let body = refused.json();
        let lines: Vec<&Value> = body["invalidRows"].as_array().unwrap().iter().map(|row| &row["line"]).collect();
        assert_eq!(lines, [3, 4, 5], "{body}");
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.starts_with("3 of 4 rows cannot be imported as is: line 3 (row 2): designation: "), "{detail}");
    }
    assert_eq!(server.get(POSITIONS).await.header("etag"), before.header("etag"));
    assert_eq!(server.get("/api/documents").await.expect(200).as_array().unwrap().len(), 1);

    let imported = import(&server, &format!("{INTO}&skipInvalid=true"), "text/csv", csv).await.expect(200);
    assert_eq!((&imported["added"], &imported["skipped"]), (&json!(1), &json!(3)));
    assert_eq!(imported["invalidRows"][1]["problems"], json!(["budget: must be a number"]));
}

#[tokio::test]
async fn unusable_files_store_nothing() {
    let server = with_plan().await;
    let file = server.get(&format!("{DOCUMENT}/export.automerge")).await.body;
    let (cut, etag) = (file.slice(..file.len() - 1), server.get(POSITIONS).await.header("etag").to_owned());
    for (kind, body, status) in [
        ("application/octet-stream", cut, 422),
        ("application/octet-stream", Bytes::new(), 422),
        ("application/json", Bytes::from("{}"), 422),
        ("application/json", Bytes::from("5"), 422),
        ("text/csv", Bytes::from("a,b\n1,2\n"), 422),
        ("text/csv", Bytes::from(&b"id\n\xff\n"[..]), 422),
        ("application/xml", Bytes::from("<a/>"), 415),
    ] {
        for path in [IMPORT, INTO] {
            import(&server, path, kind, body.clone()).await.problem(status);
        }
    }
    assert_eq!(server.get(POSITIONS).await.header("etag"), etag);
    assert_eq!(server.get("/api/documents").await.expect(200).as_array().unwrap().len(), 1);
    assert_eq!(
        import(&server, &format!("{IMPORT}?skipInvalid=x"), "text/csv", "id\n").await.problem(400),
        "skipInvalid"
    );
}

#[tokio::test]
async fn precondition_and_key_protect_imports() {
    let server = with_plan().await;
    let etag = server.get(DOCUMENT).await.header("etag").to_owned();
    let headers = [("content-type", "text/csv"), ("if-match", etag.as_str())];
    server.call("POST", INTO, &headers, "id,budget\ncook,1\n").await.expect(200);
    server.call("POST", INTO, &headers, "id,budget\ncook,2\n").await.problem(412);
    let headers = [("content-type", "text/csv"), ("idempotency-key", "import-1")];
    let first = id_of(&server.call("POST", IMPORT, &headers, "designation\nCook\n").await);
    assert_eq!(id_of(&server.call("POST", IMPORT, &headers, "designation\nCook\n").await), first);
    assert_eq!(server.get("/api/documents").await.expect(200).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn large_import_is_one_request() {
    let server = TestServer::start().await;
    let mut csv = "id,designation,department,budget\n".to_owned();
    (0..5_000).for_each(|row| csv.push_str(&format!("r{row},Cook number {row},Kitchen,{row}\n")));
    let made = import(&server, IMPORT, "text/csv", csv).await;
    assert_eq!(made.expect(201)["document"]["positions"], json!(5_000));
}

/// A text takes one operation for each character, so a short compressed file could make a very large document.
#[tokio::test]
async fn long_texts_count_in_the_limit_of_a_document() {
    let limits = Limits { document_operations: 10_000, ..Limits::default() };
    let server = TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| options.limits = limits).await;
    server.send("PATCH", DOCUMENT, &json!({ "name": "Growth" })).await.expect(200);
    let etag = server.get(POSITIONS).await.header("etag").to_owned();
    let row = json!([{ "id": "a", "designation": "Cook", "extra": { "notes": "x".repeat(20_000) } }]);
    for path in [IMPORT, INTO] {
        import(&server, path, "application/json", row.to_string()).await.problem(507);
    }
    let rows: Vec<Value> = (0..20).map(|_| json!({ "designation": "x".repeat(1_000) })).collect();
    server.send("POST", &format!("{POSITIONS}:batch"), &json!({ "add": rows })).await.problem(507);
    assert_eq!(server.get(POSITIONS).await.header("etag"), etag);
    assert_eq!(server.get("/api/documents").await.expect(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn own_export_settles_no_conflict() {
    let server = with_plan().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.until_row("cook").await;
    let row = peer.row("cook").unwrap();
    let mut other = peer.doc.fork();
    peer.doc.put(&row, "budget", 40).unwrap();
    other.put(&row, "budget", 45).unwrap();
    peer.doc.merge(&mut other).unwrap();
    peer.put_text(&row, "zip", "12345");
    let bare = peer.doc.get(ROOT, "positions").unwrap().unwrap().1;
    let bare = peer.doc.put_object(&bare, "bare", ObjType::Map).unwrap();
    peer.put_text(&bare, "designation", "Bare");
    peer.until_acknowledged().await;
    let tag = server.get(POSITIONS).await.header("etag").to_owned();
    let cook = format!("{POSITIONS}/cook");
    let before = server.get(&cook).await.expect(200);
    assert!(before["conflicts"]["budget"].is_array(), "{before}");
    for (kind, form) in [("text/csv", "csv"), ("application/json", "json")] {
        let export = server.get(&format!("{DOCUMENT}/export.{form}")).await.body;
        import(&server, INTO, kind, export).await.expect(200);
        assert_eq!(server.get(&cook).await.expect(200), before, "{form}");
        assert_eq!(server.get(POSITIONS).await.header("etag"), tag, "{form} changes nothing");
    }
}

#[tokio::test]
async fn numbers_are_taken_exactly() {
    let server = with_plan().await;
    let cook = format!("{POSITIONS}/cook");
    for number in ["11.700000000000001", "4503599627370495.5", "0.1", "9007199254740991"] {
        let body = format!("{{\"budget\":{number}}}");
        server.call("PATCH", &cook, &[("content-type", "application/json")], body).await.expect(200);
        let shown = server.get(&cook).await;
        assert!(shown.text().contains(&format!("\"budget\":{number},")), "{}", shown.text());
    }
}

#[tokio::test]
async fn last_edit_is_taken_as_far_as_it_is_known() {
    let server = TestServer::start().await;
    let (by, at) = ("Anita Rao", "2026-11-22T14:21:00.020Z");
    for (id, given, expected) in [
        ("both", json!({ "updatedBy": by, "updatedAt": at }), json!([by, at])),
        ("time", json!({ "updatedAt": at }), json!([null, at])),
        ("name", json!({ "updatedBy": by }), json!([by, null])),
        ("created", json!({ "updatedBy": by, "createdAt": at }), json!([by, at])),
    ] {
        let mut row = json!({ "id": id, "designation": "Cook" });
        row.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        import(&server, INTO, "application/json", json!([row]).to_string()).await.expect(200);
        let shown = server.get(&format!("{POSITIONS}/{id}")).await.expect(200);
        assert_eq!(json!([shown["updatedBy"], shown["updatedAt"]]), expected, "{id}");
    }
    import(&server, INTO, "application/json", r#"[{"id":"none","designation":"Cook"}]"#).await.expect(200);
    assert_eq!(server.get(&format!("{POSITIONS}/none")).await.expect(200)["updatedBy"], json!("cfo"));
}

#[tokio::test]
async fn extra_does_not_replace_fields() {
    let server = with_plan().await;
    for extra in [json!({ "budget": 7 }), json!({ "designation": "Chef" }), json!({ "updatedBy": "ceo" })] {
        for id in ["cook", "new"] {
            let row = json!([{ "id": id, "designation": "Cook", "extra": extra }]);
            import(&server, INTO, "application/json", row.to_string()).await.problem(422);
        }
    }
    for extra in [json!({ "budget": "twelve" }), json!({ "designation": "" }), json!({ "createdAt": "2026-01-01" })] {
        let row = json!([{ "id": "cook", "extra": extra }]);
        import(&server, INTO, "application/json", row.to_string()).await.problem(422);
    }
    // A time of the wrong type, as exports show it.
    let row = json!([{ "id": "odd", "designation": "Cook", "createdAt": null, "extra": { "createdAt": "today" } }]);
    import(&server, INTO, "application/json", row.to_string()).await.expect(200);
    import(&server, INTO, "application/json", row.to_string()).await.expect(200);
    assert_eq!(server.get(&format!("{POSITIONS}/odd")).await.expect(200)["extra"]["createdAt"], json!("today"));
}
