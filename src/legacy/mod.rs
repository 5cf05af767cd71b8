//! The legacy protocol: that of the Django backend which this server replaces. docs/legacy.md specifies it.
//!
//! The server depends on this module only through the [`AdditionalSurface`] trait. The package builds without it:
//! `--no-default-features`.
//!
//! | module | purpose |
//! |---|---|
//! | [`frames`] | decodes and encodes the JSON frames |
//! | [`socket`] | a client on `/ws/dashboard/` |
//! | [`rest`] | `/data/…` and `/accounts/api/…` |
//! | [`presence`] | the names of logged-in users, and their clicks |
//! | `cluster` | the same of users at other servers |
//! | [`renderings`] | positions and changes as legacy clients receive them |
//! | [`import`](fn@import) | reads the backend's `data.json` |

mod cluster;
mod date_format;
pub mod frames;
mod import;
pub mod presence;
pub mod renderings;
pub mod rest;
pub mod socket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
pub use date_format::{format_date, parse_date};
use frames::encode;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
pub use import::{ImportError, ImportReport, ImportedRow, ImportedRows, InvalidRow, RowProblem, import, read_rows};
use plan::{Position, Renderings};
use presence::PresenceBoard;
use repo_protocol::presence as repo_presence;
use runtime::hub::{Hub, RenderPresence, RenderRows, Text, Unavailable};
use socket::LegacySocket;
use sync_engine::Surface;
use tokio_tungstenite::tungstenite::Message;

use crate::server::security::authentication::Authentication;
use crate::server::ws::client_info::ClientInfo;
use crate::server::ws::close_codes;
use crate::server::ws::protocol_kind::ProtocolKind;
use crate::server::ws::refuse::{RefusedUpgrade, refuse};
use crate::server::ws::routes::upgrade;
use crate::server::ws::serve::open_connection;
use crate::server::ws::upgrade::WebSocket;
use crate::server::{AdditionalSurface, App};

/// The renderings of rows for all protocols, including this one.
pub const RENDERINGS: Renderings = crate::server::renderings::renderings(renderings::listed);

/// The legacy protocol of one server.
struct Legacy {
    board: Arc<PresenceBoard>,
}

/// Creates the legacy protocol of one server.
#[must_use]
pub fn surface() -> Arc<dyn AdditionalSurface> {
    let board = PresenceBoard::new(|names| Text::from(encode::login_update(names.iter().copied())));
    Arc::new(Legacy { board: Arc::new(board) })
}

impl AdditionalSurface for Legacy {
    fn routes(&self) -> Router<Arc<App>> {
        let socket = || get(|State(app), request: Request| upgrade(app, request, ProtocolKind::Text));
        rest::router().route("/ws/dashboard", socket()).route("/ws/dashboard/", socket())
    }

    fn has_routes_below(&self, segment: &str) -> bool {
        ["accounts", "data"].contains(&segment)
    }

    /// The legacy backend accepted any path that contains its own, such as `/x/ws/dashboard/y`.
    fn has_socket_at(&self, path: &str) -> bool {
        path == "/ws/dashboard" || path.contains("ws/dashboard/")
    }

    fn refusal(&self, reason: &str) -> Text {
        encode::error(reason).into()
    }

    fn run(
        self: Arc<Self>,
        app: Arc<App>,
        socket: WebSocket,
        authentication: Authentication,
        first: Option<Message>,
        client: Arc<ClientInfo>,
    ) -> BoxFuture<'static, ()> {
        async move {
            let (connection, outbox, requester) = match open_connection(&app, &authentication, Surface::Legacy, &client)
            {
                Ok(connection) => connection,
                Err(RefusedUpgrade { code, reason }) => {
                    return refuse(&app, socket, &ProtocolKind::Text, code, &reason, &client).await;
                }
            };
            match LegacySocket::begin(connection.key, requester, outbox, &app, Arc::clone(&self.board)).await {
                Ok(mut protocol) => {
                    connection.run(socket, &mut protocol, first).await;
                }
                Err(error) => {
                    let code = match error {
                        Unavailable::Denied(_) => close_codes::FORBIDDEN,
                        Unavailable::Stopping => close_codes::GOING_AWAY,
                        _ => close_codes::TRY_AGAIN,
                    };
                    refuse(&app, socket, &ProtocolKind::Text, code, &error.to_string(), &client).await;
                }
            }
        }
        .boxed()
    }

    fn follow_others(self: Arc<Self>, hub: Hub) -> BoxFuture<'static, ()> {
        cluster::follow(Arc::clone(&self.board), hub).boxed()
    }

    fn render_position(&self) -> fn(&Position, &mut Vec<u8>) {
        renderings::listed
    }

    fn render_rows(&self) -> RenderRows {
        renderings::row_frames
    }

    fn render_presence(&self) -> RenderPresence {
        |names| match names {
            [] => repo_presence::goodbye().into(),
            names => repo_presence::snapshot(names.iter().map(String::as_str)).into(),
        }
    }
}
