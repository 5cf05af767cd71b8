//! Several servers on one store: each shows the changes of the others, and all checks hold across them.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod feed;
mod healing;
mod presence;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use happierwork::legacy::RENDERINGS;
use plan::fields::BUDGET;
use plan::{Author, Budget, Condition, Edit, EditError, NewPosition, PositionPatch, read_view};
use primitives::DocumentId;
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, EditFailure, Hub, HubSettings, Requester};
use runtime::metrics::Metrics;
use store::{After, MemoryStore, Position, Store};
use sync_engine::MessageLimits;

const DOCUMENT: [u8; 16] = [3; 16];

fn settings() -> HubSettings {
    HubSettings {
        renderings: RENDERINGS,
        rows: happierwork::legacy::renderings::row_frames,
        legacy_presence: None,
        limits: MessageLimits::default(),
        apply_budget: APPLY_BUDGET,
        idle_after: Duration::from_secs(100),
        max_pending: 100,
        max_pending_per_connection: 100,
        new_documents_per_minute: 0,
        new_documents_at_once: 0,
        message_memory: 0,
        default_document: None,
        may_create: None,
        actors: ActorSource::default(),
    }
}

/// Servers that share one store.
async fn nodes<const N: usize>() -> (Arc<MemoryStore>, [Hub; N]) {
    nodes_with(|_| {}).await
}

async fn nodes_with<const N: usize>(adjust: impl Fn(&mut HubSettings)) -> (Arc<MemoryStore>, [Hub; N]) {
    let (store, hubs) = deaf_nodes(adjust).await;
    hubs.iter().for_each(Hub::follow_news);
    (store, hubs)
}

/// Servers that share one store, and receive no news of each other.
async fn deaf_nodes<const N: usize>(adjust: impl Fn(&mut HubSettings)) -> (Arc<MemoryStore>, [Hub; N]) {
    let store = Arc::new(MemoryStore::new());
    let hubs = std::array::from_fn(|_| {
        let mut settings = settings();
        adjust(&mut settings);
        Hub::new(Arc::new(store.share()), settings, Arc::new(Metrics::new()))
    });
    for hub in &hubs {
        hub.load_access().await.unwrap();
    }
    (store, hubs)
}

fn id() -> DocumentId {
    DocumentId::from_random(DOCUMENT)
}

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_795_357_260_000 }
}

async fn edit(hub: &Hub, edit: Edit) -> Result<(), EditFailure> {
    hub.edit(&Requester::server(), &id(), edit, author()).await.map(|_| ())
}

fn add(name: &str) -> Edit {
    Edit::Add(NewPosition::new(name, name))
}

fn budget(name: &str, budget: u64) -> Edit {
    Edit::Patch { id: name.to_owned(), patch: PositionPatch::set(BUDGET, Budget::Int(budget)) }
}

async fn heads(hub: &Hub) -> Vec<automerge::ChangeHash> {
    let view = hub.view(&Requester::server(), &id()).await.unwrap();
    view.map(|view| read_view(&view).heads().to_vec()).unwrap_or_default()
}

async fn positions(hub: &Hub) -> usize {
    let view = hub.view(&Requester::server(), &id()).await.unwrap();
    view.map_or(0, |view| read_view(&view).len())
}

/// Waits until all servers show the same heads, which are those of the store.
async fn converged(store: &MemoryStore, hubs: &[Hub]) {
    let stored = store.load(&id()).await.unwrap().unwrap();
    let stored = automerge::Automerge::load(&stored.bytes).unwrap().get_heads();
    for hub in hubs {
        while heads(hub).await != stored {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn counter(hub: &Hub, name: &str) -> u64 {
    let text = hub.metrics().render();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn concurrent_edits_at_three_nodes_are_all_stored() {
    let (store, hubs) = nodes::<3>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    for hub in &hubs {
        assert_eq!(positions(hub).await, 1);
    }
    let edits = hubs.iter().enumerate().flat_map(|(node, hub)| {
        (0..20).map(move |number| async move { edit(hub, add(&format!("{node} {number}"))).await })
    });
    for done in join_all(edits).await {
        done.unwrap();
    }
    converged(&store, &hubs).await;
    for hub in &hubs {
        assert_eq!(positions(hub).await, 61);
    }
    let After::Batches(batches) = store.after(&id(), Position::START).await.unwrap() else { panic!("nothing stored") };
    let mut at = Position::START;
    for (position, batch) in &batches {
        at = at.next(batch);
        assert_eq!(at, *position, "the chain has no gap");
    }
    assert!(hubs.iter().any(|hub| counter(hub, "happierwork_appends_behind_total") > 0), "nothing was concurrent");
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn of_two_conditional_edits_at_two_nodes_one_wins() {
    let (store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("ui")).await.unwrap();
    converged(&store, &hubs).await;
    for round in 0..20 {
        let seen = heads(&hubs[0]).await;
        let conditional = |hub, value| {
            let condition = Condition::Heads(seen.clone());
            let only_if = Edit::OnlyIf { condition, edit: Box::new(budget("ui", value)) };
            async move { edit(hub, only_if).await }
        };
        let (one, two) = tokio::join!(conditional(&hubs[0], 2 * round + 1), conditional(&hubs[1], 2 * round + 2));
        let lost = [&one, &two].into_iter().find_map(|done| done.as_ref().err());
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert!(matches!(lost, Some(EditFailure::Edit(EditError::Changed))), "{lost:?}");
        converged(&store, &hubs).await;
    }
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn position_is_added_at_one_of_two_nodes_only() {
    let (store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("ui")).await.unwrap();
    converged(&store, &hubs).await;
    let (one, two) = tokio::join!(edit(&hubs[0], add("db")), edit(&hubs[1], add("db")));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    for hub in &hubs {
        hub.stop().await;
    }
}
