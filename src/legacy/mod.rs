//! The protocol of the Django backend that this server replaces: JSON frames on a WebSocket, REST paths, who is logged in, and the
//! import of its data.
//!
//! Nothing else knows this folder but the command line, which offers it to the server as an [`AdditionalSurface`]. The package
//! builds without it: `--no-default-features`.
//!
//! | module | what it does |
//! |---|---|
//! | [`frames`] | decodes and encodes the JSON frames |
//! | [`socket`] | a client on `/ws/dashboard/` |
//! | [`rest`] | `/data/…` and `/accounts/api/…` |
//! | [`presence`] | who is logged in, and what they click |
//! | [`import`](fn@import) | reads the backend's `data.json` |

pub mod frames;
mod import;
mod import_report;
pub mod presence;
pub mod renderings;
pub mod rest;
pub mod socket;
mod when;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use frames::encode;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
pub use import::{ImportError, ImportedRow, ImportedRows, import, read_rows};
pub use import_report::{ImportReport, RefusedRow, RowProblem};
use plan::{Position, Renderings};
use presence::PresenceBoard;
use repo_protocol::presence as repo_presence;
use runtime::hub::{RenderPresence, RenderRows, Text, Unavailable};
use socket::LegacySocket;
use sync_engine::Surface;
use tokio_tungstenite::tungstenite::Message;
pub use when::{format_when, parse_when};

use crate::server::authentication::Authentication;
use crate::server::connect::connection;
use crate::server::dismiss::refuse;
use crate::server::origin::SocketOrigin;
use crate::server::refused_upgrade::RefusedUpgrade;
use crate::server::spoken::Spoken;
use crate::server::upgrade::Socket;
use crate::server::websockets::upgrade;
use crate::server::{AdditionalSurface, App, close_codes};

/// The forms in which rows are kept for all surfaces, this one included.
pub const RENDERINGS: Renderings = crate::server::renderings::renderings(renderings::listed);

/// The legacy surface of one server.
struct Legacy {
    board: Arc<PresenceBoard>,
}

/// The legacy surface of a new server, on which nobody is logged in.
#[must_use]
pub fn surface() -> Arc<dyn AdditionalSurface> {
    let board = PresenceBoard::new(|names| Text::from(encode::login_update(names.iter().copied())));
    Arc::new(Legacy { board: Arc::new(board) })
}

impl AdditionalSurface for Legacy {
    fn routes(&self) -> Router<Arc<App>> {
        let socket = || get(|State(app), request: Request| upgrade(app, request, Spoken::Text));
        rest::router().route("/ws/dashboard", socket()).route("/ws/dashboard/", socket())
    }

    fn has_routes_below(&self, segment: &str) -> bool {
        ["accounts", "data"].contains(&segment)
    }

    /// The original takes any path that contains its own, such as `/x/ws/dashboard/y`.
    fn has_socket_at(&self, path: &str) -> bool {
        path == "/ws/dashboard" || path.contains("ws/dashboard/")
    }

    fn refusal(&self, reason: &str) -> Text {
        encode::error(reason).into()
    }

    fn run(
        self: Arc<Self>,
        app: Arc<App>,
        socket: Socket,
        authentication: Authentication,
        first: Option<Message>,
        origin: Arc<SocketOrigin>,
    ) -> BoxFuture<'static, ()> {
        async move {
            let (connection, outbox, caller) = match connection(&app, &authentication, Surface::Legacy, &origin) {
                Ok(connection) => connection,
                Err(RefusedUpgrade { code, reason }) => {
                    return refuse(&app, socket, &Spoken::Text, code, &reason, &origin).await;
                }
            };
            match LegacySocket::begin(connection.key, caller, outbox, &app, Arc::clone(&self.board)).await {
                Ok(surface) => connection.run(socket, surface, first).await,
                Err(error) => {
                    let is_denied = matches!(error, Unavailable::Denied(_));
                    let code = if is_denied { close_codes::FORBIDDEN } else { close_codes::TRY_AGAIN };
                    refuse(&app, socket, &Spoken::Text, code, &error.to_string(), &origin).await;
                }
            }
        }
        .boxed()
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
