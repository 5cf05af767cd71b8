//! The JSON API, over HTTP.
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::TestServer;

const DOCUMENT: &str = "/api/documents/default";
const POSITIONS: &str = "/api/documents/default/positions";
const JSON: (&str, &str) = ("content-type", "application/json");

fn ui() -> Value {
    json!({ "id": "ui", "designation": "UI", "department": "Engineering", "budget": 11.5, "location": "Ahmedabad" })
}

async fn with_ui() -> TestServer {
    let server = TestServer::start().await;
    server.send("POST", POSITIONS, &ui()).await.expect(201);
    server
}

#[tokio::test]
async fn documents_can_be_created_listed_read_and_changed() {
    let server = TestServer::start().await;
    let answer = server.send("POST", "/api/documents", &json!({ "name": "Growth 2027", "totalBudget": 2000 })).await;
    let made = answer.expect(201);
    let path = answer.header("location").to_owned();
    assert_eq!(path, format!("/api/documents/{}", made["id"].as_str().unwrap()));
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["url"], format!("automerge:{id}"));
    for (key, value) in [
        ("default", json!(false)),
        ("name", json!("Growth 2027")),
        ("currency", json!("INR")),
        ("unit", json!(100_000)),
        ("totalBudget", json!(2000)),
        ("positions", json!(0)),
        ("access", json!("own")),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert_eq!(made["heads"][0].as_str().unwrap().len(), 64);
    assert_eq!(server.get(&path).await.expect(200), made);

    let list = server.get("/api/documents").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!((&list[0]["default"], &list[0]["id"]), (&json!(true), &json!(server.document.as_str())));
    let mut without_sums = made.clone();
    without_sums.as_object_mut().unwrap().remove("sums");
    assert_eq!(list[1], without_sums);

    let patch = json!({ "name": "Growth 2028", "currency": "EUR", "unit": 1000, "totalBudget": 12.5 });
    let changed = server.send("PATCH", &path, &patch).await.expect(200);
    for (key, value) in patch.as_object().unwrap() {
        assert_eq!(changed[key], *value, "{key}");
    }
    assert_ne!(changed["heads"], made["heads"]);
    assert_eq!(server.send("PATCH", &path, &json!({})).await.expect(200), changed);
    assert_eq!(server.get(DOCUMENT).await.expect(200)["name"], "New plan");

    let refused = server.call("PUT", &path, &[], "").await;
    refused.problem(405);
    assert_eq!(refused.header("allow"), "GET,HEAD,PATCH,DELETE");

    // All of it is on disk.
    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, |_| {}).await;
    assert_eq!(server.get(&path).await.expect(200), changed);
}

#[tokio::test]
async fn damaged_document_does_not_break_the_list() {
    let server = TestServer::start().await;
    let made = server.send("POST", "/api/documents", &json!({ "name": "Broken" })).await.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);
    let file = folder.path().join("documents").join(format!("{id}.automerge"));
    let mut bytes = std::fs::read(&file).unwrap();
    let whole = bytes.clone();
    bytes[20] ^= 0xff;
    bytes.extend(whole);
    std::fs::write(&file, bytes).unwrap();
    let server = TestServer::start_in(folder, |_| {}).await;
    let list = server.get("/api/documents").await.expect(200);
    assert_eq!((&list[0]["positions"], &list[1]["id"]), (&json!(0), &json!(id)), "{list}");
    assert!(list[1]["error"].as_str().is_some_and(|error| !error.contains('/')), "{list}");
    server.get(&format!("/api/documents/{id}/positions")).await.problem(503);
}

#[tokio::test]
async fn positions_can_be_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let answer = server.send("POST", &format!("{POSITIONS}?author=Anita%20Rao"), &ui()).await;
    let made = answer.expect(201);
    for (key, value) in ui().as_object().unwrap() {
        assert_eq!(made[key], *value, "{key}");
    }
    assert_eq!(made["updatedBy"], "Anita Rao");
    assert_eq!(made["createdAt"], made["updatedAt"]);
    let path = answer.header("location").to_owned();
    assert_eq!(path, format!("/api/documents/{}/positions/ui", server.document));
    let read = server.get(&path).await;
    assert_eq!(read.expect(200), made);
    assert_eq!(read.header("etag"), answer.header("etag"));

    let list = server.get(POSITIONS).await.expect(200);
    assert_eq!(list["documentId"], server.document.as_str());
    assert_eq!(list["heads"], server.get(DOCUMENT).await.expect(200)["heads"]);
    assert_eq!(list["positions"], json!([made]));
    assert_eq!(server.get("/data/").await.json()[0]["budget"], 11.5);

    let changed = server.send("PATCH", &path, &json!({ "budget": 12, "location": "Pune" })).await.expect(200);
    assert_eq!((&changed["budget"], &changed["location"]), (&json!(12), &json!("Pune")));
    assert_eq!((&changed["designation"], &changed["updatedBy"]), (&json!("UI"), &json!("api")));

    let deleted = server.call("DELETE", &path, &[], "").await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    server.get(&path).await.problem(404);
    server.call("DELETE", &path, &[], "").await.problem(404);
    server.send("PATCH", &path, &json!({})).await.problem(404);
    assert_eq!(server.get(POSITIONS).await.expect(200)["positions"], json!([]));
}

#[tokio::test]
async fn ids_are_given_by_the_client_or_generated() {
    let server = TestServer::start().await;
    let made = server.send("POST", POSITIONS, &json!({ "designation": "UI", "budget": 0 })).await.expect(201);
    assert_eq!(made["id"].as_str().unwrap().len(), 14);
    assert_eq!((&made["department"], &made["location"]), (&json!(""), &json!("")));
    let odd = json!({ "id": "a&b ü%?#", "designation": "UI", "budget": 0 });
    let answer = server.send("POST", POSITIONS, &odd).await;
    let made = answer.expect(201);
    assert_eq!(server.get(answer.header("location")).await.expect(200), made);
    server.send("POST", POSITIONS, &odd).await.problem(409);
}

#[tokio::test]
async fn invalid_body_names_its_field_and_stores_nothing() {
    let server = with_ui().await;
    let before = server.get(POSITIONS).await;
    let position = format!("{POSITIONS}/ui");
    let long = "x".repeat(1_001);
    let row = |body: &str| body.replace('\'', "\"");
    for (method, path, body, status, field) in [
        ("POST", POSITIONS, row("{'budget': 1}"), 422, "designation"),
        ("POST", POSITIONS, row("{'designation': ' ', 'budget': 1}"), 422, "designation"),
        ("POST", POSITIONS, row("{'designation': 5, 'budget': 1}"), 422, "designation"),
        ("POST", POSITIONS, row("{'designation': null, 'budget': 1}"), 422, "designation"),
        ("POST", POSITIONS, row(&format!("{{'designation': '{long}', 'budget': 1}}")), 422, "designation"),
        (
            "POST",
            POSITIONS,
            row(&format!("{{'designation': 'UI', 'budget': 1, 'location': '{long}'}}")),
            422,
            "location",
        ),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': -1}"), 422, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': 1e300}"), 422, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': 1e999}"), 422, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': '5'}"), 422, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': NaN}"), 400, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': 1, 'id': ''}"), 422, "id"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': 1, 'color': 'red'}"), 422, "color"),
        ("POST", POSITIONS, row("{'designation': 'UI', 'budget': 1, 'budget': 2}"), 422, "budget"),
        ("POST", POSITIONS, row("{'designation': 'UI',"), 400, ""),
        ("POST", POSITIONS, row("[]"), 422, ""),
        ("POST", POSITIONS, String::new(), 400, ""),
        ("PATCH", &position, row("{'designation': ''}"), 422, "designation"),
        ("PATCH", &position, row("{'budget': true}"), 422, "budget"),
        ("PATCH", &position, row("{'id': 'x'}"), 422, "id"),
        ("PATCH", &position, row("{bad"), 400, ""),
        ("PATCH", DOCUMENT, row("{'name': ''}"), 422, "name"),
        ("PATCH", DOCUMENT, row("{'currency': 'rupees'}"), 422, "currency"),
        ("PATCH", DOCUMENT, row("{'unit': 0}"), 422, "unit"),
        ("PATCH", DOCUMENT, row("{'totalBudget': -1}"), 422, "totalBudget"),
        ("PATCH", DOCUMENT, row("{'positions': {}}"), 422, "positions"),
        ("POST", "/api/documents", row("{}"), 422, "name"),
        ("POST", "/api/documents", row("{'name': 'x', 'unit': 'lakh'}"), 422, "unit"),
    ] {
        let answer = server.call(method, path, &[JSON], body.clone()).await;
        assert_eq!(answer.problem(status), field, "{method} {path} {body}");
    }
    let answer = server.call("POST", POSITIONS, &[JSON], "{\n \"designation\": oops}").await;
    assert_eq!(answer.problem(400), "designation");
    assert!(answer.json()["detail"].as_str().unwrap().contains("line 2 column 17"), "{}", answer.text());
    for size in [70_000, 900_000, 3_000_000] {
        server.call("POST", POSITIONS, &[JSON], "x".repeat(size)).await.problem(413);
    }
    server.call("POST", POSITIONS, &[("content-type", "text/plain")], "{}").await.problem(415);
    server.call("POST", POSITIONS, &[], "{}").await.problem(415);
    let long = "x".repeat(201);
    for author in ["", "%20", "a%00b", &long] {
        let path = format!("{POSITIONS}?author={author}");
        assert_eq!(server.send("POST", &path, &ui()).await.problem(422), "author");
    }

    let after = server.get(POSITIONS).await;
    assert_eq!((before.body, before.headers["etag"].clone()), (after.body, after.headers["etag"].clone()));
    assert_eq!(server.get("/api/documents").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_paths_answer_404() {
    let server = TestServer::start().await;
    for below in ["", "/positions", "/positions/x", "/export.json", "/export.csv", "/export.automerge"] {
        let mistyped = format!("/api/documents/4NMNnkMhL8jXrdJ9jamS58PAVdXv{below}");
        assert_eq!(server.get(&mistyped).await.problem(400), "documentId");
        server.get(&format!("/api/documents/4NMNnkMhL8jXrdJ9jamS58PAVdXu{below}")).await.problem(404);
    }
    // Writing to a missing document does not create it.
    let unknown = "/api/documents/4NMNnkMhL8jXrdJ9jamS58PAVdXu";
    server.send("POST", &format!("{unknown}/positions"), &ui()).await.problem(404);
    server.send("PATCH", unknown, &json!({ "name": "x" })).await.problem(404);
    server.get(unknown).await.problem(404);
    server.get(&format!("{POSITIONS}/%ff")).await.problem(400);
    for nothing in ["/api/nothing", "/api/documents/default/nothing", "/api/documents/"] {
        server.get(nothing).await.problem(404);
    }
}

#[tokio::test]
async fn unchanged_resource_answers_304() {
    let server = with_ui().await;
    let row = format!("{POSITIONS}/ui");
    let exports = ["json", "csv", "automerge"].map(|kind| format!("{DOCUMENT}/export.{kind}"));
    for path in [DOCUMENT, POSITIONS, &row, &exports[0], &exports[1], &exports[2]] {
        let full = server.get(path).await;
        let tag = full.header("etag").to_owned();
        assert!(!tag.is_empty() && !full.body.is_empty(), "{path}");
        let strong = tag.trim_start_matches("W/");
        for condition in [strong.to_owned(), format!("W/{strong}"), "*".to_owned(), format!("\"x\", {strong}")] {
            for method in ["GET", "HEAD"] {
                let again = server.call(method, path, &[("if-none-match", &condition)], "").await;
                assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{method} {path} {condition}");
                assert_eq!(again.header("etag"), tag);
            }
        }
        let head = server.call("HEAD", path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
        for header in ["etag", "content-type", "content-disposition", "content-length"] {
            assert_eq!(head.header(header), full.header(header), "{path}");
        }
        server.send("PATCH", &row, &json!({ "location": path })).await.expect(200);
        let after = server.call("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!(after.status, 200, "{path}");
    }
}

#[tokio::test]
async fn stale_if_match_answers_412() {
    let server = with_ui().await;
    let row = format!("{POSITIONS}/ui");
    let other = json!({ "id": "other", "designation": "Other", "budget": 1 });
    server.send("POST", POSITIONS, &other).await.expect(201);
    let (document, seen) = (server.get(DOCUMENT).await, server.get(&row).await);
    let (document, seen) = (document.header("etag").to_owned(), seen.header("etag").to_owned());

    // A change of another row does not affect this row.
    server.send("PATCH", &format!("{POSITIONS}/other"), &json!({ "budget": 2 })).await.expect(200);
    let patch = |budget: u32| json!({ "budget": budget }).to_string();
    let first = server.call("PATCH", &row, &[JSON, ("if-match", &seen)], patch(21)).await;
    first.expect(200);
    server.call("PATCH", &row, &[JSON, ("if-match", &seen)], patch(22)).await.problem(412);
    server.call("DELETE", &row, &[("if-match", &seen)], "").await.problem(412);
    server.call("PATCH", DOCUMENT, &[JSON, ("if-match", &document)], "{\"name\":\"x\"}").await.problem(412);
    let new = json!({ "designation": "UI", "budget": 1 }).to_string();
    server.call("POST", POSITIONS, &[JSON, ("if-match", &document)], new).await.problem(412);
    assert_eq!(server.get(&row).await.json()["budget"], 21);
    server.call("PATCH", &row, &[JSON, ("if-match", "*")], patch(23)).await.expect(200);
    let weak = format!("W/{}", server.get(&row).await.header("etag"));
    assert_eq!(server.call("DELETE", &row, &[("if-match", &weak)], "").await.status, 204);
    server.call("PATCH", &row, &[JSON, ("if-match", "*")], patch(24)).await.problem(404);
}

#[tokio::test]
async fn one_of_two_concurrent_conditional_writes_wins() {
    let server = with_ui().await;
    let row = format!("{POSITIONS}/ui");
    for round in 0..20 {
        let seen = server.get(&row).await.header("etag").to_owned();
        let headers = [JSON, ("if-match", seen.as_str())];
        let patch = |budget: u32| json!({ "budget": 100 * (round + 1) + budget }).to_string();
        let (one, two) = tokio::join!(
            server.call("PATCH", &row, &headers, patch(1)),
            server.call("PATCH", &row, &headers, patch(2))
        );
        let statuses = BTreeSet::from([one.status.as_u16(), two.status.as_u16()]);
        assert_eq!(statuses, BTreeSet::from([200, 412]), "round {round}");
    }
}

#[tokio::test]
async fn exports_are_downloadable_files() {
    let server = with_ui().await;
    server.send("PATCH", DOCUMENT, &json!({ "name": "../Größe \"2027\"" })).await.expect(200);
    server.send("POST", POSITIONS, &json!({ "designation": "=1+1, \"x\"", "budget": 7 })).await.expect(201);
    let export = |kind: &str| format!("{DOCUMENT}/export.{kind}");
    for (kind, content_type) in
        [("json", "application/json"), ("csv", "text/csv; charset=utf-8"), ("automerge", "application/octet-stream")]
    {
        let answer = server.get(&export(kind)).await;
        assert_eq!(answer.header("content-type"), content_type);
        let disposition = answer.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"_Gr__e _2027_."), "{disposition}");
        assert!(disposition.ends_with(&format!("filename*=UTF-8''_Gr%C3%B6%C3%9Fe%20_2027_.{kind}")), "{disposition}");
    }
    let json = server.get(&export("json")).await.expect(200);
    // The same for all exports.
    let mut document = server.get(DOCUMENT).await.json();
    assert_eq!(document.as_object_mut().unwrap().remove("access"), Some(json!("own")));
    assert_eq!(json["document"], document);
    assert_eq!(json["positions"], server.get(POSITIONS).await.json()["positions"]);

    let csv = server.get(&export("csv")).await;
    let table = csv.text().strip_prefix('\u{feff}').unwrap();
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(table.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let formula = rows.iter().find(|row| &row[0] != "ui").unwrap();
    assert_eq!((&formula[1], &formula[3]), ("'=1+1, \"x\"", "7"));

    let file = server.get(&export("automerge")).await;
    let document = automerge::Automerge::load(&file.body).unwrap();
    let heads: Vec<String> = document.get_heads().iter().map(ToString::to_string).collect();
    assert_eq!(json!(heads), server.get(DOCUMENT).await.json()["heads"]);
    assert_eq!(file.header("etag"), format!("W/{}", server.get(POSITIONS).await.header("etag")));
}

#[tokio::test]
async fn answers_are_compressed_on_request() {
    let server = TestServer::start().await;
    for index in 0..50 {
        let row = json!({ "id": format!("row-{index}"), "designation": "Engineer", "budget": index });
        server.send("POST", POSITIONS, &row).await.expect(201);
    }
    let plain = server.get(POSITIONS).await;
    let tag = plain.header("etag").to_owned();
    assert_eq!((plain.header("content-encoding"), tag.starts_with('"')), ("", true));
    for encoding in ["gzip", "br"] {
        let packed = server.call("GET", POSITIONS, &[("accept-encoding", encoding)], "").await;
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(packed.header("vary").to_ascii_lowercase().contains("accept-encoding"), "{packed:?}");
        assert!(packed.body.len() < plain.body.len() / 2);
        assert_eq!(packed.header("etag"), format!("W/{tag}"));
        if encoding == "gzip" {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain.body);
        }
        let condition = [("accept-encoding", encoding), ("if-none-match", packed.header("etag"))];
        assert_eq!(server.call("GET", POSITIONS, &condition, "").await.status, 304);
    }
    let identity = server.call("GET", POSITIONS, &[("accept-encoding", "identity")], "").await;
    assert_eq!((identity.body, identity.headers.get("content-encoding")), (plain.body, None));
}

#[tokio::test]
async fn large_export_is_compressed_in_portions() {
    let server = TestServer::start().await;
    for index in 0..150 {
        // Text that hardly compresses.
        let designation: String = (0..30).map(|_| format!("{:032x}", rand::random::<u128>())).collect();
        let row = json!({ "id": format!("row-{index}"), "designation": designation, "budget": index });
        server.send("POST", POSITIONS, &row).await.expect(201);
    }
    let portions = async || {
        let metrics = String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix("happierwork_compressed_portions_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let plain = server.get(&format!("{DOCUMENT}/export.json")).await;
    assert!(plain.body.len() > 2 * (64 << 10));
    assert_eq!(portions().await, 0);
    for (encoding, so_far) in [("br", 3), ("gzip", 6)] {
        let packed = server.call("GET", &format!("{DOCUMENT}/export.json"), &[("accept-encoding", encoding)], "").await;
        assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, encoding));
        let mut unpacked = Vec::new();
        match encoding {
            "br" => brotli::Decompressor::new(&packed.body[..], 4_096).read_to_end(&mut unpacked).unwrap(),
            _ => flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap(),
        };
        assert_eq!(unpacked, plain.body);
        assert_eq!(portions().await, so_far);
    }
    // Static files take no portion: they are compressed once.
    for path in ["/api/swagger-ui.css", "/api/openapi.json"] {
        let first = server.call("GET", path, &[("accept-encoding", "br")], "").await;
        assert_eq!((first.status.as_u16(), first.header("content-encoding")), (200, "br"), "{path}");
        assert_eq!(first.header("content-length"), first.body.len().to_string(), "{path}");
        let again = server.call("GET", path, &[("accept-encoding", "br")], "").await;
        assert_eq!(again.body, first.body, "{path}");
    }
    assert_eq!(portions().await, 6);
}
