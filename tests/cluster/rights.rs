//! Rights that are changed at one server apply at all servers, even if the news is lost.

use std::sync::Arc;
use std::time::Duration;

use auth::{Documents, Grant, Role};
use plan::{Edit, NewPosition, PlanPatch};
use runtime::hub::{EditFailure, Hub, Requester, Right};
use store::Store;
use sync_engine::Surface;

use super::{add, author, budget, deaf_nodes, edit, id, nodes_with};

/// The grant of a user who may edit what they create, and what is shared with them.
fn grant(user: &str) -> Grant {
    Grant {
        user: user.into(),
        role: Role::Editor,
        documents: Documents::none(),
        expires: i64::MAX,
        key: "key".into(),
        id: None,
        session: false,
        generation: 0,
        issued: 0,
    }
}

async fn set_role(hub: &Hub, name: &str, role: Option<Role>) {
    hub.set_role(&Requester::server(), &id(), &Arc::from(name), role).await.unwrap();
}

/// A plan that a user may edit, known to both servers.
async fn shared_plan(hubs: &[Hub; 2]) {
    edit(&hubs[0], add("first")).await.unwrap();
    set_role(&hubs[0], "cfo", Some(Role::Editor)).await;
    hubs[1].load_access().await.unwrap();
}

#[tokio::test]
async fn document_is_created_by_a_user_and_shared_with_other_nodes() {
    let (store, hubs) = nodes_with::<2>(|settings| settings.may_create = Some(Role::Editor)).await;
    let [ceo, cfo] = ["ceo", "cfo"].map(|user| Requester::authenticated(Surface::Api, grant(user)));
    let create = Edit::Create { id: id(), plan: PlanPatch::default(), positions: vec![NewPosition::new("ui", "UI")] };
    hubs[0].edit(&ceo, &id(), create, author()).await.unwrap();
    assert!(hubs[1].view(&cfo, &id()).await.unwrap().is_none(), "not shared yet");
    hubs[0].set_role(&ceo, &id(), &"cfo".into(), Some(Role::Editor)).await.unwrap();
    while hubs[1].right(&cfo, &id()) < Right::Write {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hubs[1].edit(&cfo, &id(), budget("ui", 5), author()).await.unwrap();
    hubs[0].set_role(&ceo, &id(), &"cfo".into(), None).await.unwrap();
    // Nothing is stored after an acknowledged revocation, even if this node has not received it.
    let refused = hubs[1].edit(&cfo, &id(), budget("ui", 6), author()).await;
    assert!(matches!(refused, Err(EditFailure::Denied(_))), "{refused:?}");
    let stored = store.load(&id()).await.unwrap().unwrap();
    let stored = automerge::Automerge::load(&stored.bytes).unwrap();
    assert_eq!(stored.get_changes(&[]).len(), 2);
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn node_that_heard_nothing_enforces_a_revocation() {
    for is_open in [true, false] {
        let (store, hubs) = deaf_nodes::<2>(|_| {}).await;
        let cfo = Requester::authenticated(Surface::Api, grant("cfo"));
        edit(&hubs[0], add("ui")).await.unwrap();
        let set = async |role| hubs[0].set_role(&Requester::server(), &id(), &"cfo".into(), role).await.unwrap();
        set(Some(Role::Editor)).await;
        hubs[1].load_access().await.unwrap();
        if is_open {
            hubs[1].edit(&cfo, &id(), budget("ui", 5), author()).await.unwrap();
        }
        set(None).await;
        let before = store.positions(vec![id()]).await.unwrap();
        let refused = hubs[1].edit(&cfo, &id(), budget("ui", 6), author()).await;
        assert!(matches!(refused, Err(EditFailure::Denied(_))), "open: {is_open}, {refused:?}");
        assert_eq!(store.positions(vec![id()]).await.unwrap(), before, "nothing is stored");
        for hub in &hubs {
            hub.stop().await;
        }
    }
}

#[tokio::test]
async fn role_that_a_lagging_node_believes_is_unset_is_unset() {
    let (store, hubs) = deaf_nodes::<2>(|_| {}).await;
    edit(&hubs[0], add("ui")).await.unwrap();
    let (server, cfo) = (Requester::server(), Arc::from("cfo"));
    hubs[0].set_role(&server, &id(), &cfo, Some(Role::Editor)).await.unwrap();
    hubs[1].set_role(&server, &id(), &cfo, None).await.unwrap();
    let record = store.load_access_of(&id()).await.unwrap().unwrap().record;
    assert!(!String::from_utf8(record).unwrap().contains("cfo"));
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn lost_revocation_is_stored_again() {
    let (store, hubs) = deaf_nodes::<2>(|_| {}).await;
    shared_plan(&hubs).await;
    let granted = store.load_access_of(&id()).await.unwrap().unwrap();
    set_role(&hubs[0], "cfo", None).await;
    store.forget_batches(&id(), 1);
    store.forget_access(&id(), granted);
    // The server that has revoked the role finds its position missing.
    edit(&hubs[0], add("second")).await.unwrap();
    let record = store.load_access_of(&id()).await.unwrap().unwrap().record;
    assert!(!String::from_utf8(record).unwrap().contains("cfo"));
    let denied =
        hubs[1].edit(&Requester::authenticated(Surface::Api, grant("cfo")), &id(), add("third"), author()).await;
    assert!(matches!(denied, Err(EditFailure::Denied(_))), "{denied:?}");
    for hub in &hubs {
        hub.stop().await;
    }
}
