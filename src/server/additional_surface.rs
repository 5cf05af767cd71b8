//! The extension point for a further protocol, with HTTP routes and text sockets of its own.

use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use plan::Position;
use runtime::hub::{Hub, RenderPresence, RenderRows, Text};
use tokio_tungstenite::tungstenite::Message;

use super::App;
use super::security::authentication::Authentication;
use super::ws::client_info::ClientInfo;
use super::ws::upgrade::WebSocket;

/// A protocol that the server offers in addition to sync and the JSON API. The server depends on nothing else of it.
pub trait AdditionalSurface: Send + Sync {
    /// The HTTP routes.
    fn routes(&self) -> Router<Arc<App>>;

    /// Whether routes exist below this first segment of a path.
    fn has_routes_below(&self, segment: &str) -> bool;

    /// Whether WebSockets at this path use this protocol. Text sockets at `/` use it as well.
    fn has_socket_at(&self, path: &str) -> bool;

    /// The frame that reports why a socket is refused.
    fn refusal(&self, reason: &str) -> Text;

    /// Serves a socket until it is closed. `first`: a message that was already read.
    fn run(
        self: Arc<Self>,
        app: Arc<App>,
        socket: WebSocket,
        authentication: Authentication,
        first: Option<Message>,
        client: Arc<ClientInfo>,
    ) -> BoxFuture<'static, ()>;

    /// Exchanges what is not stored with this protocol at other servers, until the server stops.
    fn follow_others(self: Arc<Self>, hub: Hub) -> BoxFuture<'static, ()>;

    /// Renders a position as [`Form::Additional`](plan::Form::Additional). Writes nothing for a position that this protocol
    /// does not show.
    fn render_position(&self) -> fn(&Position, &mut Vec<u8>);

    /// Renders changes of positions for the sockets of this protocol.
    fn render_rows(&self) -> RenderRows;

    /// Renders the names of users on this protocol's sockets, for automerge-repo peers.
    fn render_presence(&self) -> RenderPresence;
}
