//! A further protocol beside the sync protocols and the JSON API, with routes and text sockets of its own.

use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use plan::Position;
use runtime::hub::{RenderPresence, RenderRows, Text};
use tokio_tungstenite::tungstenite::Message;

use super::App;
use super::authentication::Authentication;
use super::origin::SocketOrigin;
use super::upgrade::Socket;

/// A protocol that the server offers beside its own. The server knows nothing else of it.
pub trait AdditionalSurface: Send + Sync {
    /// Its routes.
    fn routes(&self) -> Router<Arc<App>>;

    /// Whether its routes are below this first segment of a path.
    fn has_routes_below(&self, segment: &str) -> bool;

    /// Whether a WebSocket at this path speaks it. Text sockets at `/` do as well.
    fn has_socket_at(&self, path: &str) -> bool;

    /// The frame that tells a client why its socket is refused.
    fn refusal(&self, reason: &str) -> Text;

    /// Runs a socket to its end. `first`: a message that was read already.
    fn run(
        self: Arc<Self>,
        app: Arc<App>,
        socket: Socket,
        authentication: Authentication,
        first: Option<Message>,
        origin: Arc<SocketOrigin>,
    ) -> BoxFuture<'static, ()>;

    /// Writes a position in the form that is kept rendered for this surface; nothing for a position that it does not show.
    fn render_position(&self) -> fn(&Position, &mut Vec<u8>);

    /// Writes changes of positions for its sockets.
    fn render_rows(&self) -> RenderRows;

    /// Writes who is logged in on its sockets, for automerge-repo peers.
    fn render_presence(&self) -> RenderPresence;
}
