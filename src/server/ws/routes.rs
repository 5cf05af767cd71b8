//! The WebSocket routes, and the upgrade of their requests.

use std::sync::Arc;

use auth::Refused;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use runtime::metrics::RefusalReason;

use super::client_info::ClientInfo;
use super::close_codes;
use super::first_message::serve_by_first_message;
use super::protocol_kind::ProtocolKind;
use super::refuse::{RefusedUpgrade, refuse, refuse_with};
use super::serve::{serve_plain, serve_repo, serve_text};
use super::unknown_path::refuse_unknown_path;
use super::upgrade::WebSocketUpgrade;
use crate::server::security::authentication::{Authentication, selected_subprotocol};
use crate::server::transport::client_connection::ClientConnection;
use crate::server::{App, Problem};

/// The sync routes. (`/` also serves the dashboard: see [`about`](crate::server::about).)
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sync", get(|State(app), request| upgrade(app, request, ProtocolKind::Repo)))
        .route("/sync/", get(|State(app), request| upgrade(app, request, ProtocolKind::Repo)))
        .route("/sync/{document}", get(plain))
}

/// Whether this path has a WebSocket. Handshakes on other paths are accepted as well, and refused on the socket.
pub fn is_websocket_path(app: &App, path: &str) -> bool {
    path == "/" || path == "/sync" || path.starts_with("/sync/") || app.has_additional_socket_at(path)
}

async fn plain(State(app): State<Arc<App>>, Path(document): Path<String>, request: Request) -> Response {
    let document = if document == "default" { Ok(app.default_id.clone()) } else { document.parse() };
    upgrade(app, request, ProtocolKind::Plain(document)).await
}

/// Answers the handshake of a WebSocket, and spawns a task that serves the socket.
pub async fn upgrade(app: Arc<App>, mut request: Request, protocol: ProtocolKind) -> Response {
    let mut refused = request.extensions_mut().remove::<RefusedUpgrade>();
    let connection = request.extensions().get::<Arc<ClientConnection>>().cloned();
    let behind_proxy = connection
        .as_ref()
        .map_or(Ok(None), |connection| app.connection_limiter.acquire_behind_proxy(connection.peer, request.headers()));
    let Some(upgrade) = WebSocketUpgrade::from_request(&mut request) else {
        let detail = "this path is a WebSocket: connect with ws:// or wss://";
        return match protocol {
            ProtocolKind::Text => Problem::not_found(detail).into_response(),
            _ => {
                let problem =
                    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "WebSocket required", detail);
                ([(axum::http::header::UPGRADE, "websocket")], problem).into_response()
            }
        };
    };
    let proxied_permit = match behind_proxy {
        Ok(permit) => permit,
        Err(limit) => {
            app.hub.metrics().record_refusal(RefusalReason::TooManyFromAddress);
            refused.get_or_insert(RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: limit.to_string() });
            None
        }
    };
    // The middleware has refused unauthenticated requests.
    let authentication = request.extensions_mut().remove::<Authentication>().unwrap_or(Err(Refused::Missing));
    let client = Arc::new(ClientInfo::of(&app, &request));
    let (response, socket) = upgrade.accept(app.max_message, selected_subprotocol(request.headers()));
    let connections = app.connections.clone();
    connections.spawn(async move {
        // Held until the socket is closed, not only until the request is answered.
        let permits = (connection, proxied_permit);
        let Some(socket) = socket.await else { return };
        if let Some(RefusedUpgrade { code, reason }) = refused {
            // A rejected connection already holds a close permit.
            let is_rejected = permits.0.as_ref().is_some_and(|connection| connection.rejection().is_some());
            let close_permit = if is_rejected { None } else { app.connection_limiter.try_close_permit() };
            let graceful = is_rejected || close_permit.is_some();
            refuse_with(&app, socket, &protocol, code, &reason, graceful, &client).await;
            return;
        }
        match protocol {
            ProtocolKind::Repo => serve_repo(app, socket, &authentication, None, client).await,
            ProtocolKind::Plain(Ok(document)) => serve_plain(app, socket, &authentication, document, client).await,
            ProtocolKind::Plain(Err(error)) => {
                let reason = error.to_string();
                let protocol = ProtocolKind::Plain(Err(error));
                refuse(&app, socket, &protocol, close_codes::BAD_ID, &reason, &client).await;
            }
            ProtocolKind::Text => serve_text(app, socket, authentication, None, client).await,
            ProtocolKind::FirstMessage => serve_by_first_message(app, socket, &authentication, client).await,
            ProtocolKind::Unknown => refuse_unknown_path(&app, socket, &client).await,
        }
    });
    response.into_response()
}
