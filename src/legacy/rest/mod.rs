//! `/data/…` and `/accounts/api/…`: the REST paths of the legacy backend (docs/legacy.md).
//!
//! All paths work with and without the final slash. All responses are JSON: `{"message": …}`, or `{"error": …}` where the legacy
//! backend sent debug pages. As in the legacy backend, the content type of a body is not checked, and the author of changes is
//! `Admin` if authentication is off.

mod add;
mod authentication;
mod change;
mod list;
mod login;
mod response;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use plan::Author;
use runtime::clock::now_ms;
use runtime::hub::Requester;

use super::socket::DEFAULT_AUTHOR;
use crate::server::App;

/// The REST routes.
pub fn router() -> Router<Arc<App>> {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    router
}

fn routes() -> [(&'static str, MethodRouter<Arc<App>>); 6] {
    [
        ("/data", get(list::list).fallback(wrong_method)),
        ("/data/add", post(add::add).fallback(wrong_method)),
        ("/data/update/{id}", put(change::update).fallback(wrong_method)),
        ("/data/delete/{id}", delete(change::delete).fallback(wrong_method)),
        ("/accounts/api/login", post(login::login).fallback(login::wrong_method)),
        ("/accounts/api/logout", post(login::logout).fallback(login::wrong_method)),
    ]
}

/// Answers a method that the path does not allow. The router adds the `Allow` header.
async fn wrong_method() -> Response {
    response::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

/// The author of an edit by this caller.
fn author(caller: &Requester) -> Author {
    let name = caller.user().map_or_else(|| DEFAULT_AUTHOR.to_owned(), |user| user.to_string());
    Author { name, now: now_ms() }
}
