//! Ids that a URL does not preserve: refused where positions are created, shown and reachable where they arrive by
//! sync.

use plan::fields::BUDGET;
use plan::{Author, Budget, Edit, EditError, NewPosition};
use runtime::hub::{EditFailure, Requester};
use serde_json::json;

use crate::support::{PlainPeer, TestServer};

const POSITIONS: &str = "/api/documents/default/positions";

/// Path segments that clients and proxies rewrite.
const LOST: [&str; 9] = ["", ".", "..", "%2e", "%2E.", "a/b", "a\\b", "a\tb", "\u{0}"];

#[tokio::test]
async fn dot_segment_ids_are_rejected_over_http() {
    let server = TestServer::start().await;
    for id in LOST {
        let row = json!({ "id": id, "designation": "UI", "budget": 1 });
        let (status, problem) = server.post(POSITIONS, &row).await;
        assert_eq!((status, &problem["field"]), (422, &json!("id")), "{id:?}");
        let (status, problem) = server.post("/data/add/", &row).await;
        assert!(status == 400 && problem["error"].as_str().is_some_and(|text| text.starts_with("id: ")), "{id:?}");
    }
    assert!(server.positions().await.is_empty());
}

#[tokio::test]
async fn dot_segment_ids_are_rejected_by_edits() {
    let server = TestServer::start().await;
    let position = |id: &str| NewPosition::new(id, "UI").with(BUDGET, Budget::Int(1));
    for id in LOST {
        for edit in [Edit::Add(position(id)), Edit::AddAll(vec![position("good"), position(id)])] {
            let author = Author { name: "editor".to_owned(), now: 0 };
            let refused = server.app.hub.edit(&Requester::server(), &server.document, edit, author).await;
            assert!(matches!(refused, Err(EditFailure::Edit(EditError::Invalid { field: "id", .. }))), "{id:?}");
        }
    }
    assert!(server.positions().await.is_empty());
}

#[tokio::test]
async fn synced_positions_with_dot_segment_ids_are_usable() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    for id in [".", "..", "%2e", "a/b", "a\\b"] {
        peer.add(id, "UI", "Engineering", 1);
    }
    peer.until_acknowledged().await;
    let (_, list) = server.get_json(POSITIONS).await;
    assert_eq!(list["positions"].as_array().map(Vec::len), Some(5), "{list}");
    let (_, rows) = server.get_json("/data/").await;
    assert_eq!(rows.as_array().map(Vec::len), Some(5), "{rows}");
    // As sent by clients that do not rewrite paths.
    for (id, segment) in [(".", "%2E"), ("..", ".."), ("%2e", "%252e"), ("a/b", "a%2Fb"), ("a\\b", "a%5Cb")] {
        let (status, row) = server.get_json(&format!("{POSITIONS}/{segment}")).await;
        assert_eq!((status, &row["id"]), (200, &json!(id)), "{segment}");
        let history = format!("/api/documents/default/history?position={}", segment.replace("..", "%2E%2E"));
        assert_eq!(server.get_json(&history).await.0, 200, "{history}");
        let (status, _, _) = server.http("DELETE", &format!("{POSITIONS}/{segment}"), &[]).await;
        assert_eq!(status, 204, "{segment}");
    }
    assert!(server.positions().await.is_empty());
}
