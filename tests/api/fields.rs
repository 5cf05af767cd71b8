//! Every field of `plan::FIELDS` through the whole API: a new field in the table needs no other code.

use plan::{FieldId, FieldKind};
use serde_json::{Value, json};

use crate::support::TestServer;

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
    server.send("POST", POSITIONS, &json!({ "designation": "UI" })).await.expect(201);
    let keys = || FieldId::all().map(FieldId::key);
    let (header, _) = csv_record(&server).await;
    assert!(header.iter().skip(1).zip(keys()).all(|(column, key)| column == key), "{header:?}");
    let rows = server.get(POSITIONS).await;
    let places: Vec<_> = keys().map(|key| rows.text().find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", rows.text());
}
