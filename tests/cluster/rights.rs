//! Rights that are changed at one server hold at all, also where the news of it is lost.

use std::sync::Arc;

use auth::{Documents, Grant, Role};
use plan::{Edit, PlanPatch};
use runtime::hub::{Denied, EditFailure, Hub, Requester};
use store::Store;
use sync_engine::Surface;

use super::{add, author, deaf_nodes, edit, id, nodes, positions, settings};

fn user(name: &str) -> Requester {
    Requester::authenticated(
        Surface::Api,
        Grant {
            user: name.into(),
            role: Role::Editor,
            documents: Documents::none(),
            expires: i64::MAX,
            key: "key".into(),
            id: None,
            session: false,
            generation: 0,
            issued: 0,
        },
    )
}

async fn edit_as(hub: &Hub, name: &str, edit: Edit) -> Result<(), EditFailure> {
    hub.edit(&user(name), &id(), edit, author()).await.map(drop)
}

async fn set_role(hub: &Hub, name: &str, role: Option<Role>) {
    hub.set_role(&Requester::server(), &id(), &Arc::from(name), role).await.unwrap();
}

async fn stop(hubs: &[Hub]) {
    for hub in hubs {
        hub.stop().await;
    }
}

/// A plan that a user may edit, known to both servers.
async fn shared_plan(hubs: &[Hub; 2]) {
    edit(&hubs[0], add("first")).await.unwrap();
    set_role(&hubs[0], "cfo", Some(Role::Editor)).await;
    hubs[1].load_access().await.unwrap();
}

#[tokio::test]
async fn revoked_user_is_denied_by_node_that_was_not_told() {
    let (_, hubs) = deaf_nodes::<2>().await;
    shared_plan(&hubs).await;
    edit_as(&hubs[1], "cfo", add("before")).await.unwrap();
    set_role(&hubs[0], "cfo", None).await;
    let denied = edit_as(&hubs[1], "cfo", add("after")).await;
    assert!(matches!(denied, Err(EditFailure::Denied(Denied::Missing(_)))), "{denied:?}");
    assert_eq!(positions(&hubs[1]).await, 2);
    stop(&hubs).await;
}

#[tokio::test]
async fn revoked_user_is_denied_by_node_that_opens_the_document() {
    let (_, hubs) = deaf_nodes::<2>().await;
    shared_plan(&hubs).await;
    set_role(&hubs[0], "cfo", None).await;
    let denied = edit_as(&hubs[1], "cfo", add("after")).await;
    assert!(matches!(denied, Err(EditFailure::Denied(Denied::Missing(_)))), "{denied:?}");
    stop(&hubs).await;
}

#[tokio::test]
async fn role_that_a_lagging_node_believes_is_set_is_stored() {
    let (store, hubs) = deaf_nodes::<2>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    set_role(&hubs[0], "cfo", Some(Role::Editor)).await;
    // The other server believes that the user has no role.
    set_role(&hubs[1], "cfo", None).await;
    let record = store.load_access_of(&id()).await.unwrap().unwrap().record;
    assert!(!String::from_utf8(record).unwrap().contains("cfo"));
    stop(&hubs).await;
}

#[tokio::test]
async fn user_creates_a_document_through_the_api() {
    let (_, hubs) = nodes::<2>().await;
    let settings = runtime::hub::HubSettings { may_create: Some(Role::Editor), ..settings() };
    let hub = Hub::new(Arc::clone(hubs[0].store()), settings, Arc::clone(hubs[0].metrics()));
    let create = Edit::Create { id: id(), plan: PlanPatch::default(), positions: Vec::new() };
    let done = tokio::time::timeout(std::time::Duration::from_secs(10), edit_as(&hub, "ceo", create)).await;
    done.expect("it is stored at once").unwrap();
    edit_as(&hub, "ceo", add("first")).await.unwrap();
    assert_eq!(positions(&hubs[1]).await, 1);
    hub.stop().await;
    stop(&hubs).await;
}

#[tokio::test]
async fn lost_revocation_is_stored_again() {
    let (store, hubs) = deaf_nodes::<2>().await;
    shared_plan(&hubs).await;
    let granted = store.load_access_of(&id()).await.unwrap().unwrap();
    set_role(&hubs[0], "cfo", None).await;
    store.forget_batches(&id(), 1);
    store.forget_access(&id(), granted);
    // The server that has revoked the role finds its position missing.
    edit(&hubs[0], add("second")).await.unwrap();
    let record = store.load_access_of(&id()).await.unwrap().unwrap().record;
    assert!(!String::from_utf8(record).unwrap().contains("cfo"));
    let denied = edit_as(&hubs[1], "cfo", add("third")).await;
    assert!(matches!(denied, Err(EditFailure::Denied(_))), "{denied:?}");
    stop(&hubs).await;
}
