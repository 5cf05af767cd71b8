//! Pages and filters of lists.
use std::collections::BTreeSet;

use plan::fields::{DEPARTMENT, LOCATION, STATUS};
use plan::{Edit, NewPosition};
use serde_json::{Value, json};

use crate::support::{Answer, PlainPeer, TestServer};

const POSITIONS: &str = "/api/documents/default/positions";

/// A server whose default document has these positions, created at these times.
async fn with_positions(positions: &[(&str, i64)]) -> TestServer {
    let server = TestServer::start().await;
    let positions = positions.iter().map(|(id, created_at)| NewPosition {
        created_at: Some(*created_at),
        ..NewPosition::new(*id, "Cook").with(DEPARTMENT, "R & D")
    });
    server.edit(Edit::AddAll(positions.collect())).await;
    server
}

/// The path of the next page, as a client resolves the link of an answer.
fn next_of(path: &str, answer: &Answer) -> Option<String> {
    let link = answer.header("link").strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(format!("{}{link}", path.split('?').next().unwrap()))
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_together_are_the_whole_list() {
    let server = with_positions(&[("a", 5), ("b", 5), ("c", 3), ("d", 3), ("e", 9)]).await;
    let whole = server.get(POSITIONS).await;
    assert_eq!((whole.expect(200)["next"].clone(), whole.header("link")), (Value::Null, ""));
    assert!(whole.expect(200).get("next").is_none(), "a whole list looks as before");
    for limit in 1..=6 {
        let (mut path, mut seen) = (Some(format!("{POSITIONS}?limit={limit}")), Vec::new());
        while let Some(at) = path {
            let page = server.get(&at).await;
            let body = page.expect(200);
            let found = ids(&body["positions"]);
            assert!(found.len() == limit || page.header("link").is_empty(), "{body}");
            seen.extend(found);
            path = next_of(&at, &page);
            assert_eq!(path.is_none(), body["next"].is_null(), "{body}");
            assert_eq!(page.header("etag"), whole.header("etag"));
            let again = server.call("GET", &at, &[("if-none-match", page.header("etag"))], "").await;
            assert_eq!(again.status, 304);
        }
        assert_eq!(seen, ["e", "a", "b", "c", "d"], "{limit}");
    }
}

#[tokio::test]
async fn concurrent_changes_neither_repeat_nor_skip_positions() {
    let server = with_positions(&[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]).await;
    let first = server.get(&format!("{POSITIONS}?limit=2")).await;
    assert_eq!(ids(&first.expect(200)["positions"]), ["e", "d"]);
    // A new one before the place, and the last one of the page is deleted.
    server.send("POST", POSITIONS, &json!({ "id": "new", "designation": "Cook" })).await.expect(201);
    server.call("DELETE", &format!("{POSITIONS}/d"), &[], "").await.expect(204);
    let second = server.get(&next_of(POSITIONS, &first).unwrap()).await;
    assert_eq!(ids(&second.expect(200)["positions"]), ["c", "b"]);
    assert_ne!(second.header("etag"), first.header("etag"));
    let third = server.get(&next_of(POSITIONS, &second).unwrap()).await;
    assert_eq!((ids(&third.expect(200)["positions"]), third.header("link")), (vec!["a".to_owned()], ""));
}

#[tokio::test]
async fn filters_compare_texts_like_groups() {
    let server = TestServer::start().await;
    let position = |id: &str, department: &str, location: &str, status: &str| {
        let position = NewPosition::new(id, "Cook").with(DEPARTMENT, department).with(LOCATION, location);
        if status.is_empty() { position } else { position.with(STATUS, status) }
    };
    server
        .edit(Edit::AddAll(vec![
            position("a", "R & D", "Pune", "open"),
            position("b", "r  &  d ", "Delhi", "approved"),
            position("c", "HR", "pune", ""),
            position("d", "", "Pune", ""),
        ]))
        .await;
    for (query, expected) in [
        ("department=r+%26+d", "ab"),
        ("department=R%20%26%20D&location=PUNE", "a"),
        ("location=pune", "acd"),
        ("status=Approved", "b"),
        ("status=", "cd"),
        ("department=", "d"),
        ("department=R", ""),
        ("location=pune&limit=2", "ac"),
    ] {
        let answer = server.get(&format!("{POSITIONS}?{query}")).await;
        assert_eq!(ids(&answer.expect(200)["positions"]).concat(), expected, "{query}");
    }
    let first = server.get(&format!("{POSITIONS}?location=pune&limit=2")).await;
    let second = server.get(&next_of(POSITIONS, &first).unwrap()).await.expect(200);
    assert_eq!((ids(&second["positions"]).concat(), &second["next"]), ("d".to_owned(), &Value::Null));
}

#[tokio::test]
async fn earlier_positions_have_pages_and_filters() {
    let server = with_positions(&[("a", 1), ("b", 2), ("c", 3)]).await;
    let heads = server.get(POSITIONS).await.expect(200)["heads"][0].as_str().unwrap().to_owned();
    server.call("DELETE", &format!("{POSITIONS}/b"), &[], "").await.expect(204);
    let path = format!("{POSITIONS}?at={heads}&limit=2&department=r+%26+d");
    let first = server.get(&path).await;
    assert_eq!(ids(&first.expect(200)["positions"]), ["c", "b"]);
    let second = server.get(&next_of(&path, &first).unwrap()).await.expect(200);
    assert_eq!((ids(&second["positions"]), &second["heads"]), (vec!["a".to_owned()], &json!([heads])));
}

#[tokio::test]
async fn invalid_page_parameters_are_named() {
    let server = with_positions(&[("a", 1)]).await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=all", "limit"),
        ("cursor=", "cursor"),
        ("cursor=nothing", "cursor"),
        ("departement=HR", "departement"),
        ("limit=1&limit=2", "limit"),
    ] {
        assert_eq!(server.get(&format!("{POSITIONS}?{query}")).await.problem(400), field, "{query}");
    }
    for (query, field) in [("limit=x", "limit"), ("cursor=x", "cursor"), ("archived=maybe", "archived")] {
        assert_eq!(server.get(&format!("/api/documents?{query}")).await.problem(400), field, "{query}");
    }
}

#[tokio::test]
async fn documents_have_pages_and_filters() {
    let server = TestServer::start().await;
    let mut made = BTreeSet::from([server.document.to_string()]);
    for name in ["Growth 2027", "growth 2028", "Freeze"] {
        let document = server.send("POST", "/api/documents", &json!({ "name": name })).await.expect(201);
        made.insert(document["id"].as_str().unwrap().to_owned());
    }
    let (mut path, mut seen) = (Some("/api/documents?limit=1".to_owned()), Vec::new());
    while let Some(at) = path {
        let page = server.get(&at).await;
        seen.extend(ids(&page.expect(200)));
        path = next_of(&at, &page);
    }
    assert_eq!((seen.len(), &seen[0]), (4, &server.document.to_string()), "each once, the default document first");
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), made);

    let named = server.get("/api/documents?name=GROWTH").await.expect(200);
    assert_eq!(named.as_array().unwrap().len(), 2, "{named}");
    assert_eq!(server.get("/api/documents?archived=true").await.expect(200), json!([]));
    assert_eq!(server.get("/api/documents?archived=false&limit=3").await.expect(200).as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn link_to_a_new_page_changes_the_etag() {
    let server = TestServer::start().await;
    let first = server.get("/api/documents?limit=1").await;
    assert_eq!((first.status.as_u16(), first.header("link")), (200, ""));
    server.send("POST", "/api/documents", &json!({ "name": "Growth" })).await.expect(201);
    let again = server.call("GET", "/api/documents?limit=1", &[("if-none-match", first.header("etag"))], "").await;
    assert_eq!((again.status.as_u16(), again.body.clone()), (200, first.body.clone()));
    assert!(next_of("/api/documents", &again).is_some(), "{again:?}");
}

#[tokio::test]
async fn long_id_does_not_end_a_page() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    // Ids of positions that arrive by sync may be longer than those of the API.
    let long = "x".repeat(5_000);
    for id in ["a", &long, "z"] {
        peer.add(id, "Cook", "Kitchen", 5);
    }
    peer.until_acknowledged().await;
    let whole = ids(&server.get(POSITIONS).await.expect(200)["positions"]);
    let at = whole.iter().position(|id| *id == long).unwrap();
    let page = server.get(&format!("{POSITIONS}?limit={}", at + 1)).await.expect(200);
    assert_eq!(ids(&page["positions"]), whole[..(at + 2).min(3)]);
}
