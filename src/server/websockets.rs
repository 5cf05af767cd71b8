//! The WebSocket routes: from a request to a running connection.

use std::sync::Arc;

use auth::Refused;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use runtime::metrics::RefusalReason;

use super::authentication::{Authentication, picked};
use super::connect::{run_plain, run_repo, run_text};
use super::dismiss::{dismiss, refuse};
use super::guests::Guest;
use super::origin::SocketOrigin;
use super::refused_upgrade::RefusedUpgrade;
use super::spoken::Spoken;
use super::upgrade::Upgrade;
use super::{App, Problem, close_codes, root_socket, unknown_path};

/// The WebSocket paths. (`/` is shared with the page: see [`super::page`].)
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sync", get(|State(app), request| upgrade(app, request, Spoken::Repo)))
        .route("/sync/", get(|State(app), request| upgrade(app, request, Spoken::Repo)))
        .route("/sync/{document}", get(plain))
}

/// Whether this path has a WebSocket. (A handshake on any other is accepted as well, and refused on the socket.)
pub fn is_path(app: &App, path: &str) -> bool {
    path == "/" || path == "/sync" || path.starts_with("/sync/") || app.has_additional_socket_at(path)
}

async fn plain(State(app): State<Arc<App>>, Path(document): Path<String>, request: Request) -> Response {
    let document = if document == "default" { Ok(app.default_id.clone()) } else { document.parse() };
    upgrade(app, request, Spoken::Plain(document)).await
}

/// Answers a request for a WebSocket.
pub async fn upgrade(app: Arc<App>, mut request: Request, spoken: Spoken) -> Response {
    let mut refused = request.extensions_mut().remove::<RefusedUpgrade>();
    let guest = request.extensions().get::<Arc<Guest>>().cloned();
    let behind_proxy =
        guest.as_ref().map_or(Ok(None), |guest| app.guests.seat_behind_proxy(guest.peer, request.headers()));
    let Some(upgrade) = Upgrade::of(&mut request) else {
        let detail = "this path speaks WebSocket: connect with ws:// or wss://";
        return match spoken {
            Spoken::Text => Problem::not_found(detail).into_response(),
            _ => {
                let problem =
                    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "A WebSocket is needed", detail);
                ([(axum::http::header::UPGRADE, "websocket")], problem).into_response()
            }
        };
    };
    let seat = match behind_proxy {
        Ok(seat) => seat,
        Err(full) => {
            app.hub.metrics().record_refusal(RefusalReason::TooManyFromAddress);
            refused.get_or_insert(RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: full.to_string() });
            None
        }
    };
    // Refused above, if it is nobody.
    let authentication = request.extensions_mut().remove::<Authentication>().unwrap_or(Err(Refused::Missing));
    let origin = Arc::new(SocketOrigin::of(&app, &request));
    let (response, socket) = upgrade.accept(app.max_message, picked(request.headers()));
    let connections = app.connections.clone();
    connections.spawn(async move {
        // What it takes is given back when the socket is closed, not when the request was answered.
        let places = (guest, seat);
        let Some(socket) = socket.await else { return };
        if let Some(RefusedUpgrade { code, reason }) = refused {
            // A client without a connection permit is still told why it is refused.
            let standing = places.0.as_ref().is_some_and(|guest| guest.refused().is_some());
            let goodbye = if standing { None } else { app.guests.goodbye() };
            dismiss(&app, socket, &spoken, code, &reason, standing || goodbye.is_some(), &origin).await;
            return;
        }
        match spoken {
            Spoken::Repo => run_repo(app, socket, &authentication, None, origin).await,
            Spoken::Plain(Ok(document)) => run_plain(app, socket, &authentication, document, origin).await,
            Spoken::Plain(Err(error)) => {
                let reason = error.to_string();
                refuse(&app, socket, &Spoken::Plain(Err(error)), close_codes::BAD_ID, &reason, &origin).await;
            }
            Spoken::Text => run_text(app, socket, authentication, None, origin).await,
            Spoken::FirstFrame => root_socket::run(app, socket, &authentication, origin).await,
            Spoken::Unknown => unknown_path::run(&app, socket, &origin).await,
        }
    });
    response.into_response()
}
