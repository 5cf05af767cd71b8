//! Every field of `plan::FIELDS` through the whole API: a new field in the table needs no other code.

use automerge::transaction::Transactable;
use automerge::{ROOT, ReadDoc};
use plan::{FieldId, FieldKind};
use serde_json::{Value, json};

use crate::support::{PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";

fn example(field: FieldId) -> Value {
    serde_json::from_str(field.definition().example).unwrap()
}

async fn csv_record(server: &TestServer) -> (csv::StringRecord, csv::StringRecord) {
    let table = server.get(&format!("{DOCUMENT}/export.csv")).await;
    let mut reader = csv::Reader::from_reader(table.text().trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().unwrap().clone();
    (header, reader.records().next().unwrap().unwrap())
}

#[tokio::test]
async fn every_field_is_created_patched_exported_and_recorded() {
    let server = TestServer::start().await;
    let mut expected: Value = FieldId::all().map(|field| (field.key().to_owned(), example(field))).collect();
    let mut body = expected.clone();
    body["id"] = json!("ui");
    server.send("POST", POSITIONS, &body).await.expect(201);
    for field in FieldId::all() {
        let path = format!("{POSITIONS}/ui");
        let etag = server.get(&path).await.header("etag").to_owned();
        let value = match field.kind() {
            FieldKind::Text { .. } => json!(format!("new {field}")),
            FieldKind::Amount => json!(77),
            FieldKind::Choice(choices) => json!(choices[0]),
            FieldKind::Month => json!("2031-12"),
        };
        let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
        let patch = json!({ field.key(): value }).to_string();
        server.call("PATCH", &path, &headers, patch.clone()).await.expect(200);
        let old = std::mem::replace(&mut expected[field.key()], value.clone());

        // The precondition covers the field.
        server.call("PATCH", &path, &headers, patch).await.problem(412);
        let position = server.get(&path).await.json();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(position[key], *value, "{key} after a change of {field}");
        }
        let history = server.get(&format!("{DOCUMENT}/history?field={field}&limit=1")).await.json();
        let set = &history["changes"][0]["fields"][0];
        assert_eq!((&set["field"], &set["old"], &set["new"]), (&json!(field.key()), &old, &value));
        let (header, record) = csv_record(&server).await;
        let column = header.iter().position(|column| column == field.key()).unwrap();
        assert_eq!(record[column], value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
}

#[tokio::test]
async fn fields_are_in_table_order() {
    let server = TestServer::start().await;
    let body: Value = FieldId::all().map(|field| (field.key().to_owned(), example(field))).collect();
    server.send("POST", POSITIONS, &body).await.expect(201);
    let keys = || FieldId::all().map(FieldId::key);
    let (header, _) = csv_record(&server).await;
    // Fields that were added later come after the columns that were there before.
    let columns = header.iter().filter(|column| FieldId::from_key(column).is_some());
    assert!(columns.eq(keys()), "{header:?}");
    assert!(
        header.iter().take(8).eq("id,designation,department,budget,location,updatedBy,updatedAt,createdAt".split(','))
    );
    let rows = server.get(POSITIONS).await;
    let places: Vec<_> = keys().map(|key| rows.text().find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", rows.text());
}

#[tokio::test]
async fn optional_fields_are_absent_while_unset() {
    let server = TestServer::start().await;
    let optional = || FieldId::all().filter(|field| field.kind().is_optional());
    let set: Value = optional().map(|field| (field.key().to_owned(), example(field))).collect();
    for unset in [Value::Null, json!("")] {
        let body: Value = optional().map(|field| (field.key().to_owned(), unset.clone())).collect();
        let mut new = body.clone();
        new["designation"] = json!("UI");
        let created = server.send("POST", POSITIONS, &new).await.expect(201);
        let path = format!("{POSITIONS}/{}", created["id"].as_str().unwrap());
        let before = server.get(&path).await;
        let tag = before.header("etag").to_owned();
        assert!(optional().all(|field| before.json().get(field.key()).is_none()), "{}", before.text());
        // Nothing is written if nothing was set.
        server.send("PATCH", &path, &body).await.expect(200);
        assert_eq!(server.get(&path).await.header("etag"), tag);
        server.send("PATCH", &path, &set).await.expect(200);
        let patched = server.send("PATCH", &path, &body).await.expect(200);
        assert!(optional().all(|field| patched.get(field.key()).is_none()), "{patched}");
        let history = server.get(&format!("{DOCUMENT}/history?limit=1")).await.json();
        let message = history["changes"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("UI: no status, no start, no end"), "{message}");
    }
    let peer = PlainPeer::connect(&server, &server.document).await;
    for id in peer.doc.keys(peer.positions()) {
        let row = peer.row(&id).unwrap();
        assert!(optional().all(|field| peer.doc.get(&row, field.key()).unwrap().is_none()), "absent, and not null");
    }
}

#[tokio::test]
async fn invalid_choices_and_months_are_refused_and_shown() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    let row = peer.row("ui").unwrap();
    peer.put_text(&row, "status", "frozen");
    peer.put_text(&row, "start", "June");
    peer.doc.put(&row, "end", 2027).unwrap();
    peer.until_acknowledged().await;
    let path = format!("{POSITIONS}/ui");
    let position = server.get(&path).await.json();
    assert_eq!(
        (&position["status"], &position["start"], &position["end"]),
        (&json!("frozen"), &json!("June"), &json!(2027))
    );
    assert!(position.get("extra").is_none(), "{position}");
    let (header, record) = csv_record(&server).await;
    let cell = |name: &str| &record[header.iter().position(|column| column == name).unwrap()];
    assert_eq!((cell("status"), cell("start"), cell("end")), ("frozen", "June", "2027"));

    for (field, value) in [
        ("status", json!("frozen")),
        ("status", json!("Approved")),
        ("status", json!(1)),
        ("start", json!("June")),
        ("start", json!("2027-13")),
        ("start", json!("2027-06-01")),
        ("end", json!(202_706)),
        ("end", json!(["2027-06"])),
    ] {
        let answer = server.send("PATCH", &path, &json!({ field: value })).await;
        assert_eq!(answer.problem(422), field, "{value}");
    }
    // Other edits keep them.
    server.send("PATCH", &path, &json!({ "budget": 7 })).await.expect(200);
    assert_eq!(server.get(&path).await.json()["start"], json!("June"));
}

/// Legacy clients have four fields. They hear of a row again only because its editor and time change.
#[tokio::test]
async fn legacy_clients_do_not_notice_optional_fields() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    peer.until_acknowledged().await;
    let listed = server.get("/data/").await.text().to_owned();
    let mut observer = server.legacy().await;
    let row = peer.row("ui").unwrap();
    peer.put_text(&row, "status", "approved");
    peer.doc.put(&row, "start", 5).unwrap();
    peer.put_text(&ROOT, "yearStart", "2027-04");
    peer.until_acknowledged().await;
    assert_eq!(server.get(&format!("{POSITIONS}/ui")).await.json()["status"], json!("approved"));
    assert_eq!(server.get("/data/").await.text(), listed);
    peer.add("ux", "UX", "HR", 1);
    peer.until_acknowledged().await;
    assert_eq!(observer.json().await["entry"]["id"], "ux", "the first frame");
    let body = json!({ "status": "open", "start": "2027-06", "location": "Surat" });
    server.send("PUT", "/data/update/ui/", &body).await.expect(200);
    let position = server.get(&format!("{POSITIONS}/ui")).await.json();
    assert_eq!((&position["status"], &position["location"]), (&json!("approved"), &json!("Surat")));
}
