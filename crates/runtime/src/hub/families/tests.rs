use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use store::{Appended, Batch, MemoryStore};
use sync_engine::Surface;

use super::*;

fn id(seed: u8) -> DocumentId {
    DocumentId::from_random([seed; 16])
}

fn by(user: &str, surface: Surface) -> Contributor {
    Contributor { user: user.into(), surface }
}

/// The next change of an actor in a document, and the document with it.
fn next(doc: &AutoCommit, actor: &str, value: i64) -> (Change, AutoCommit) {
    let mut doc = doc.clone().with_actor(ActorId::from(actor.as_bytes()));
    let before = doc.get_heads();
    doc.put(ROOT, "value", value).unwrap();
    doc.commit();
    (doc.get_changes(&before).remove(0), doc)
}

/// A line of the authors file.
fn line(user: &str, change: &Change) -> Vec<u8> {
    let (hash, actor) = (change.hash(), change.actor_id().to_hex_string());
    let line = format!(r#"{{"user":"{user}","surface":"sync","time":1,"changes":["{hash}"],"actors":["{actor}"]}}"#);
    format!("{line}\n").into_bytes()
}

/// A line of a change that another user has merged.
fn merged_line(user: &str, change: &Change) -> Vec<u8> {
    let hash = change.hash();
    let line =
        format!(r#"{{"user":"{user}","surface":"sync","time":1,"changes":["{hash}"],"mergedBy":"coo","mergedAt":2}}"#);
    format!("{line}\n").into_bytes()
}

async fn append(store: &MemoryStore, id: &DocumentId, lines: Vec<u8>, changes: &[&Change]) {
    let chunks = changes.iter().flat_map(|change| change.raw_bytes().to_vec()).collect();
    let end = store.positions(vec![id.clone()]).await.unwrap().pop().map(|(_, end)| end).unwrap_or_default();
    let appended = store.append(id, end, Batch::changes(chunks, lines)).await.unwrap();
    assert!(matches!(appended, Appended::Stored { .. }));
}

/// What is known of a plan (document 1) and a scenario (document 2), both read from the store.
async fn read(store: &MemoryStore) -> Known {
    let mut known = Known::default();
    known.read_whole(&id(1), store).await.unwrap();
    known.read_lines(&id(2), store).await.unwrap();
    known
}

#[tokio::test]
async fn one_change_has_an_actor_and_number() {
    let store = MemoryStore::new();
    let (first, doc) = next(&AutoCommit::new(), "cfo's device", 1);
    append(&store, &id(1), line("cfo", &first), &[&first]).await;
    let mut known = read(&store).await;
    let (genuine, _) = next(&doc, "cfo's device", 2);
    let (other, _) = next(&AutoCommit::new(), "cfo's device", 3);
    let cfo = by("cfo", Surface::Sync);
    for (change, document, expected) in [
        (&other, id(2), true),
        // Automerge refuses it there.
        (&other, id(1), false),
        (&first, id(2), false),
        (&genuine, id(2), false),
        (&genuine, id(1), false),
    ] {
        let found = known.is_contradicted(change, Some(&cfo), &document, &store).await.unwrap();
        assert_eq!(found, expected, "{} in {document}", change.seq());
    }
    // Changes of unknown users, and those that another server relays, are not checked.
    for by in [None, Some(by("peer:office", Surface::Peer))] {
        assert!(!known.is_contradicted(&other, by.as_ref(), &id(2), &store).await.unwrap());
    }
}

#[tokio::test]
async fn log_is_read_when_another_document_was_first() {
    let store = MemoryStore::new();
    let (first, doc) = next(&AutoCommit::new(), "scenario of the cfo", 1);
    append(&store, &id(2), line("cfo", &first), &[&first]).await;
    let mut known = read(&store).await;
    let cfo = by("cfo", Surface::Sync);
    assert!(known.members[&id(2)].sequences.is_none());
    let (own, _) = next(&doc, "scenario of the cfo", 2);
    assert!(!known.is_contradicted(&own, Some(&cfo), &id(2), &store).await.unwrap());
    assert!(known.members[&id(2)].sequences.is_none(), "a change of the document's own actor");

    let (other, _) = next(&AutoCommit::new(), "scenario of the cfo", 3);
    assert!(known.is_contradicted(&other, Some(&cfo), &id(1), &store).await.unwrap());
    assert!(!known.is_contradicted(&own, Some(&cfo), &id(1), &store).await.unwrap());
    // What the document stores later counts, too.
    known.note(&id(2), &line("cfo", &own), std::slice::from_ref(&own));
    let (again, _) = next(&doc, "scenario of the cfo", 4);
    assert!(known.is_contradicted(&again, Some(&cfo), &id(1), &store).await.unwrap());
}

#[tokio::test]
async fn merged_changes_make_no_document_the_first() {
    let store = MemoryStore::new();
    let (first, _) = next(&AutoCommit::new(), "scenario of the cfo", 1);
    append(&store, &id(2), line("cfo", &first), &[&first]).await;
    append(&store, &id(1), merged_line("cfo", &first), &[&first]).await;
    let known = read(&store).await;
    let actor = first.actor_id();
    assert!(known.is_first_in(&id(2), actor) && !known.is_first_in(&id(1), actor));
    assert_eq!(known.others_with(actor, &id(1)).collect::<Vec<_>>(), [&id(2)]);
}

#[tokio::test]
async fn pending_change_and_actors_of_the_server_are_reserved() {
    let store = MemoryStore::new();
    let mut known = read(&store).await;
    let (cfo, ceo) = (by("cfo", Surface::Sync), by("ceo", Surface::Sync));
    let (one, _) = next(&AutoCommit::new(), "a new device", 1);
    let (other, _) = next(&AutoCommit::new(), "a new device", 2);
    let claimed = known.claimed_by(&one, Some(&cfo)).unwrap();
    known.pending.insert(id(1), [(claimed, one.hash())].into());
    assert!(known.is_contradicted(&other, Some(&cfo), &id(2), &store).await.unwrap());
    assert!(!known.is_contradicted(&one, Some(&cfo), &id(2), &store).await.unwrap(), "the same change");
    assert!(!known.is_contradicted(&other, Some(&cfo), &id(1), &store).await.unwrap());

    let (server, _) = next(&AutoCommit::new(), "the server", 1);
    known.servers.insert(id(1), server.actor_id().clone());
    assert!(known.is_contradicted(&server, Some(&cfo), &id(2), &store).await.unwrap());
    // A change under an actor of somebody else is refused, and reserves nothing.
    known.note(&id(1), &line("cfo", &one), std::slice::from_ref(&one));
    assert_eq!(known.claimed_by(&other, Some(&ceo)), None);
    assert!(known.claimed_by(&other, Some(&cfo)).is_some());
    assert_eq!(known.claimed_by(&one, Some(&cfo)), None, "the family has it");
}

#[tokio::test]
async fn news_of_other_processes_are_read() {
    let store = MemoryStore::new();
    let (first, doc) = next(&AutoCommit::new(), "cfo's device", 1);
    append(&store, &id(1), line("cfo", &first), &[&first]).await;
    append(&store, &id(2), merged_line("cfo", &first), &[&first]).await;
    let mut known = read(&store.share()).await;
    let (second, _) = next(&doc, "cfo's device", 2);
    let (in_scenario, _) = next(&doc, "ceo's device", 3);
    append(&store, &id(1), line("cfo", &second), &[&second]).await;
    append(&store, &id(2), line("ceo", &in_scenario), &[&in_scenario]).await;
    assert!(!known.authors.knows(&second.hash()));
    known.read_news(&store.share()).await.unwrap();
    for change in [&second, &in_scenario] {
        assert!(known.authors.knows(&change.hash()));
    }
    assert!(known.is_first_in(&id(2), in_scenario.actor_id()));
    let (other, _) = next(&doc, "cfo's device", 4);
    let cfo = by("cfo", Surface::Sync);
    assert!(known.is_contradicted(&other, Some(&cfo), &id(2), &store).await.unwrap(), "the plan has its second change");
}

#[tokio::test]
async fn families_are_shared_while_a_document_is_open() {
    let families = Families::default();
    let family = families.get(&id(1));
    assert!(Arc::ptr_eq(&family, &families.get(&id(1))));
    assert!(!Arc::ptr_eq(&family, &families.get(&id(2))), "another plan");
    assert!(families.existing(&id(1)).is_some() && families.existing(&id(3)).is_none());
    drop(family);
    assert!(families.existing(&id(1)).is_none());
    assert!(families.existing(&id(2)).is_none());
    let _other = families.get(&id(3));
    assert_eq!(families.0.lock().len(), 1, "unused ones are removed");
}

#[tokio::test]
async fn actor_that_a_user_has_claimed_is_lost_to_the_server() {
    let families = Families::default();
    let family = families.get(&id(1));
    let (change, _) = next(&AutoCommit::new(), "the server", 1);
    let actor = change.actor_id().clone();
    assert!(!family.has_lost_actor(&actor).await);
    family.known.lock().await.note(&id(2), &line("cfo", &change), std::slice::from_ref(&change));
    assert!(family.has_lost_actor(&actor).await);
}
