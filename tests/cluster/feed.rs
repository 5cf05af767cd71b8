//! Changes that another server has made reach the followers of this one.

use automerge::{Automerge, ChangeHash};
use futures_util::FutureExt;
use plan::history::MAX_PORTION;
use plan::{Edit, PlanPatch};
use primitives::DocumentId;
use runtime::hub::{Changes, Follower, Hub, RecentChange, RecentFollower, Requester};
use store::{Batch, Position, Store};

use super::{add, author, edit, id, nodes};

async fn follow(hub: &Hub) -> (Follower, Vec<ChangeHash>) {
    let follower = hub.follow(&Requester::server(), &id()).unwrap().unwrap();
    let heads = follower.heads().await.unwrap().unwrap();
    (follower, heads)
}

/// Waits for changes after these heads. Returns the designations of added positions, and the new heads.
async fn added(follower: &mut Follower, known: &[ChangeHash]) -> (Vec<String>, Vec<ChangeHash>) {
    loop {
        let Some(Changes::Portion(portion)) = follower.next(known, MAX_PORTION).await.unwrap() else {
            panic!("a reset")
        };
        let added = portion.following.entries.iter().flat_map(|entry| &entry.added);
        let names: Vec<String> = added.map(|row| row.position.to_string()).collect();
        if !names.is_empty() {
            return (names, portion.following.heads);
        }
        follower.changed().await;
    }
}

async fn next(follower: &mut RecentFollower) -> RecentChange {
    loop {
        match follower.peek() {
            Ok(Some(change)) => {
                follower.advance();
                return change;
            }
            Ok(None) => follower.grown().await,
            Err(_) => panic!("the list has lost changes"),
        }
    }
}

#[tokio::test]
async fn change_at_another_server_reaches_followers() {
    let (_store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    let (mut follower, mut known) = follow(&hubs[1]).await;
    for name in ["second", "third"] {
        edit(&hubs[0], add(name)).await.unwrap();
        let (names, heads) = added(&mut follower, &known).await;
        assert_eq!(names, [name]);
        known = heads;
    }
    edit(&hubs[1], add("fourth")).await.unwrap();
    assert_eq!(added(&mut follower, &known).await.0, ["fourth"]);
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn change_of_a_closed_document_is_announced_without_heads() {
    let (_store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    let mut follower = hubs[1].follow_recent(None).await.unwrap();
    edit(&hubs[0], add("second")).await.unwrap();
    let change = next(&mut follower).await;
    assert_eq!(change, RecentChange { document: id(), heads: None }, "it is not open there");
    let read = hubs[1].heads(&Requester::server(), &id()).await.unwrap().unwrap();
    assert_eq!(read, hubs[0].heads(&Requester::server(), &id()).await.unwrap().unwrap());
    edit(&hubs[0], add("third")).await.unwrap();
    let change = next(&mut follower).await;
    let (before, after) = change.heads.expect("it is open now");
    assert_eq!((&*before, after.len()), (&*read, 1));
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn lost_notifications_do_not_hide_a_closed_document() {
    let (store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    let mut follower = hubs[1].follow_recent(None).await.unwrap();
    // The notification is lost among too many others. Nothing yields meanwhile.
    let other = DocumentId::from_random([9; 16]);
    let mut doc = Automerge::new();
    let create = Edit::Create { id: other.clone(), plan: PlanPatch::default(), positions: Vec::new() };
    plan::edit::run(&mut doc, &create, &author()).unwrap();
    store.append(&other, Position::START, Batch::changes(doc.save(), Vec::new())).now_or_never().unwrap().unwrap();
    for _ in 0..10_000 {
        store.tell(Vec::new());
    }
    while next(&mut follower).await.document != other {}
    for hub in &hubs {
        hub.stop().await;
    }
}
