//! Values that do not fit the plan's schema: kept, and shown where somebody looks.

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use serde_json::{Value, json};

use crate::support::{FeedStream, PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const PROBLEMS: &str = "/api/documents/default/problems";

const METRIC: &str = "happierwork_schema_problems";

#[tokio::test]
async fn odd_values_of_peers_are_listed_until_they_are_corrected() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    peer.until_acknowledged().await;
    let none = server.get(PROBLEMS).await.expect(200);
    assert_eq!((&none["total"], &none["problems"]), (&json!(0), &json!([])));
    let row = peer.row("ui").unwrap();
    peer.put_text(&row, "budget", "twelve");
    peer.doc.put(&row, "status", "frozen").unwrap();
    peer.doc.put(ROOT, "totalBudget", true).unwrap();
    peer.until_acknowledged().await;
    let listed = server.get(PROBLEMS).await.expect(200);
    assert_eq!((&listed["total"], &listed["documentId"]), (&json!(3), &json!(server.document.as_str())));
    let of = |position: Option<&str>, field: &str, found: &str| {
        let problems = listed["problems"].as_array().unwrap();
        problems.iter().any(|it| it["position"] == json!(position) && it["field"] == field && it["found"] == found)
    };
    assert!(of(None, "totalBudget", "true") && of(Some("ui"), "budget", "\"twelve\""), "{listed}");
    assert!(of(Some("ui"), "status", "\"frozen\""), "{listed}");
    server.until_metric(METRIC, |count| count == 3.0).await;

    let correction = json!({ "budget": 12, "status": "open" });
    server.send("PATCH", &format!("{DOCUMENT}/positions/ui"), &correction).await.expect(200);
    server.send("PATCH", DOCUMENT, &json!({ "totalBudget": 500 })).await.expect(200);
    assert_eq!(server.get(PROBLEMS).await.expect(200)["total"], 0);
    server.until_metric(METRIC, |count| count == 0.0).await;
}

#[tokio::test]
async fn feed_and_history_name_values_that_do_not_fit() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    peer.until_acknowledged().await;
    let mut feed = FeedStream::open(server.address, &format!("{DOCUMENT}/changes"), &[]).await.unwrap();
    feed.ready().await;
    let row = peer.row("ui").unwrap();
    peer.put_text(&row, "budget", "twelve");
    peer.put_text(&row, "location", "Pune");
    peer.until_acknowledged().await;
    let problems = |change: &Value| -> Vec<(String, Value)> {
        let fields = change["fields"].as_array().unwrap().iter();
        fields.map(|field| (field["field"].as_str().unwrap().to_owned(), field["problem"].clone())).collect()
    };
    let change = feed.change().await.data["change"].clone();
    let expected =
        [("budget".to_owned(), json!("must be a number that is not negative")), ("location".to_owned(), Value::Null)];
    assert_eq!(problems(&change), expected, "{change}");
    let history = server.get(&format!("{DOCUMENT}/history?limit=1")).await.expect(200);
    assert_eq!(problems(&history["changes"][0]), expected);
}

#[tokio::test]
async fn list_of_problems_is_bounded() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.add("ui", "UI", "Engineering", 5);
    let positions = peer.positions();
    for number in 0..300 {
        peer.doc.put_object(&positions, format!("list-{number}"), ObjType::List).unwrap();
    }
    peer.until_acknowledged().await;
    let listed = server.get(PROBLEMS).await.expect(200);
    assert_eq!((listed["total"].as_u64(), listed["problems"].as_array().map(Vec::len)), (Some(300), Some(200)));
    assert_eq!(
        (&listed["problems"][0]["field"], &listed["problems"][0]["reason"]),
        (&Value::Null, &json!("must be a map"))
    );
}
