//! `/data/…` and `/accounts/api/login/`: the REST paths of the backend that this replaces, as docs/legacy.md has them.
//!
//! All paths answer with and without the final slash, all answers are JSON: `{"message": …}`, or `{"error": …}` where
//! the original sent debug pages. What is written here is seen at once by everybody else, sockets and sync clients
//! alike. The content type of a body is not checked, as in the original. Where nobody is asked who
//! they are (see `login`), the author is `Admin`, as in the original.

mod add;
mod answer;
mod caller;
mod change;
mod list;
mod login;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use plan::Author;
use runtime::clock::now_ms;
use runtime::hub::Requester;

use super::socket::NOBODY;
use crate::server::App;

/// The legacy paths.
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

/// The `Allow` header is the router's to add.
async fn wrong_method() -> Response {
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}

fn author(caller: &Requester) -> Author {
    let name = caller.user().map_or_else(|| NOBODY.to_owned(), |user| user.to_string());
    Author { name, now: now_ms() }
}
