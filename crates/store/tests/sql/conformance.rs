//! The guarantees of every store.

use std::sync::Arc;

use store::Store;
use store::conformance;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::place::Place;

pub async fn guarantees_of_a_store_hold<P: Place>() {
    conformance::run(|| {
        let place = block_in_place(|| Handle::current().block_on(P::new()));
        move || -> Arc<dyn Store> { Arc::new(block_in_place(|| Handle::current().block_on(place.open()))) }
    })
    .await;
}
