//! `GET /ws/dashboard/`: the legacy JSON protocol (docs/legacy.md).
//!
//! Frames are handled one after the other. The direct answers to a frame are sent as soon as its change is durable, and before the
//! events that it causes, which are queued in the outbox.

use std::sync::Arc;

use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Done, Edit, EditError, MAX_ID, NewPosition, SharedView, read_view};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::hub::{CloseKind, CloseReason, ConnectionKey, EditFailure, Hub, Outbox, Outgoing, Requester, Text};
use runtime::memory_budget::Reservation;
use runtime::metrics::{ConnectionKind, RefusalReason};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::frames::{self, Action, LegacyError, Request, encode};
use super::presence::PresenceBoard;
use super::renderings::{entry_frames, shown_total_frame, total_frame};
use crate::server::App;
use crate::server::new_position_id;
use crate::server::ws::close_codes;
use crate::server::ws::ephemeral_rate::EphemeralRateLimit;
use crate::server::ws::outbound::Outbound;
use crate::server::ws::protocol::Protocol;

/// The author of changes without a login, as in the legacy backend.
pub const DEFAULT_AUTHOR: &str = "Admin";

/// One legacy client.
pub struct LegacySocket {
    key: ConnectionKey,
    requester: Requester,
    hub: Hub,
    board: Arc<PresenceBoard>,
    document: DocumentId,
    /// The view of the document, which the socket watches.
    view: SharedView,
    /// Rate limit of frames that are broadcast: clicks and logins.
    broadcasts: EphemeralRateLimit,
}

impl LegacySocket {
    /// Joins the presence board, and watches the default document.
    ///
    /// # Errors
    /// If the document cannot be opened, or the requester may not read it.
    pub async fn begin(
        key: ConnectionKey,
        requester: Requester,
        outbox: Outbox,
        app: &App,
        board: Arc<PresenceBoard>,
    ) -> Result<Self, runtime::hub::Unavailable> {
        let (hub, document) = (app.hub.clone(), app.default_id.clone());
        board.join(key, outbox.clone());
        let view = match hub.watch(&requester, &document, key, outbox.clone()).await {
            Ok(view) => view,
            Err(error) => {
                board.leave(key);
                return Err(error);
            }
        };
        let total = total_frame(read_view(&view).plan());
        // The outbox holds only the first frame of the board, so it has room.
        if let (Some(total), Some(permit)) = (total, outbox.try_reserve(&runtime::hub::DrainListener::Connection)) {
            permit.send(Outgoing::Texts(Arc::from([total])));
        }
        let broadcasts = app.ephemeral_rate_limits.for_socket(&requester, Instant::now());
        Ok(Self { key, requester, hub, board, document, view, broadcasts })
    }

    /// Counts a broadcast. Returns false if it exceeds the rate limit: then the frame is acknowledged and dropped.
    fn allow_broadcast(&mut self) -> bool {
        let allowed = self.broadcasts.allow();
        if !allowed {
            self.hub.metrics().record_refusal(RefusalReason::Ephemeral);
        }
        allowed
    }

    fn author(&self) -> Author {
        let name = match self.requester.user() {
            Some(user) => Some(user.to_string()),
            None => self.board.name(self.key).filter(|name| !name.is_empty()),
        };
        Author { name: name.unwrap_or_else(|| DEFAULT_AUTHOR.to_owned()), now: now_ms() }
    }

    async fn handle(&mut self, request: Request) -> Vec<Text> {
        match request {
            Request::Add(row) => {
                let position = NewPosition::new(new_position_id(), row.designation)
                    .with(DEPARTMENT, row.department)
                    .with(BUDGET, row.budget)
                    .with(LOCATION, row.location);
                match self.edit(Edit::Add(position)).await {
                    Ok(_) => processed(),
                    Err(error) => failed(Action::Add, &error),
                }
            }
            Request::Delete { id } => self.delete(id).await,
            Request::Login { .. } | Request::LogoutObject { .. } if !self.allow_broadcast() => processed(),
            Request::Login { name } => {
                // An authenticated user cannot choose another name.
                let name = self.requester.user().map_or(name, |user| user.to_string()).trim().to_owned();
                self.rename(Some(name.clone()), true).await;
                self.board.mark(&Text::from(encode::login_trailer(&name)));
                processed()
            }
            Request::LogoutObject { .. } => {
                self.rename(None, false).await;
                processed()
            }
            Request::Tracking(tracking) => {
                if self.allow_broadcast() {
                    self.board.mark(&Text::from(encode::tracking(&tracking.element_id())));
                }
                processed()
            }
            Request::SetTotal { amount } => self.set_total(amount).await,
            Request::LoginObject { .. } | Request::Unknown { .. } => processed(),
        }
    }

    /// Sets or removes the name of this socket. Sends the names to all legacy sockets if the list has changed, or if `always` is set;
    /// and to automerge-repo peers if it has changed.
    async fn rename(&self, name: Option<String>, always: bool) {
        if self.board.rename(self.key, name, always) {
            self.hub.set_legacy_presence(self.board.names()).await;
        }
    }

    async fn edit(&self, edit: Edit) -> Result<Done, EditFailure> {
        self.hub.edit(&self.requester, &self.document, edit, self.author()).await
    }

    async fn delete(&self, id: String) -> Vec<Text> {
        let done = match self.edit(Edit::Delete { id: id.clone() }).await {
            // No position has an id of this length, so the deletion is not broadcast.
            Err(EditFailure::Edit(EditError::NotFound(_))) if id.chars().count() > MAX_ID => Ok(()),
            // Two users may delete a row at the same time. Both get the same answer.
            Err(EditFailure::Edit(EditError::NotFound(_))) => {
                self.board.mark(&Text::from(encode::deleted(&id)));
                Ok(())
            }
            other => other.map(|_| ()),
        };
        match done {
            Ok(()) => [vec![Text::from(encode::deleted_direct())], processed()].concat(),
            Err(error) => {
                let mut answers = failed(Action::Delete, &error);
                // Restores the row, which the client has already removed from its table.
                answers.extend(read_view(&self.view).get(&id).into_iter().flat_map(|row| entry_frames(row)));
                answers
            }
        }
    }

    /// Stores the total budget, which the document then broadcasts. If nothing was stored, the sender gets the current total.
    async fn set_total(&mut self, amount: Budget) -> Vec<Text> {
        match self.edit(Edit::SetTotalAmount(amount.as_f64())).await {
            Ok(done) if done.changed => processed(),
            Ok(_) if self.allow_broadcast() => {
                self.board.mark(&self.shown_total());
                processed()
            }
            Ok(_) => [processed(), vec![self.shown_total()]].concat(),
            Err(error) => [failed(Action::SetTotal, &error), vec![self.shown_total()]].concat(),
        }
    }

    fn shown_total(&self) -> Text {
        shown_total_frame(read_view(&self.view).plan())
    }

    /// The answers to a frame that is not a valid request.
    fn decode_error(&self, error: &LegacyError) -> Vec<Text> {
        self.hub.metrics().record_refusal(RefusalReason::Undecodable);
        let mut answers: Vec<Text> = error.frames().into_iter().map(Text::from).collect();
        if matches!(error, LegacyError::BadArgument { action: Action::SetTotal, .. }) {
            answers.push(self.shown_total());
        }
        answers
    }
}

fn processed() -> Vec<Text> {
    vec![encode::processed().into()]
}

fn failed(action: Action, error: &EditFailure) -> Vec<Text> {
    let error = format!("Failed to {} data: {error}", action.verb());
    [vec![encode::error(&error).into()], processed()].concat()
}

impl Protocol for LegacySocket {
    fn kind(&self) -> ConnectionKind {
        ConnectionKind::Legacy
    }

    fn document(&self) -> Option<&DocumentId> {
        Some(&self.document)
    }

    async fn receive(
        &mut self,
        message: Frame,
        _reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        let request = match &message {
            Frame::Text(text) => {
                let plan = read_view(&self.view).plan().clone();
                frames::decode(text, &plan.scale())
            }
            _ => Err(LegacyError::Undecodable),
        };
        let answers = match request {
            Ok(request) => self.handle(request).await,
            Err(error) => self.decode_error(&error),
        };
        for answer in answers {
            out.text(answer.bytes());
        }
        Ok(())
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason> {
        match outgoing {
            Outgoing::Texts(texts) => texts.iter().for_each(|text| out.text(text.bytes())),
            Outgoing::Presence(text) => out.text(text.bytes()),
            _ => {}
        }
        Ok(())
    }

    fn write_close_message(&self, message: &str, out: &mut Outbound) {
        out.text(&encode::error(message).into());
    }

    fn close_code(&self, kind: CloseKind) -> u16 {
        match kind {
            CloseKind::Left => 1000,
            CloseKind::BadMessage => 1008,
            CloseKind::Forbidden => close_codes::FORBIDDEN,
            CloseKind::Unauthorized => close_codes::UNAUTHORIZED,
            CloseKind::Replaced | CloseKind::TryAgainLater => close_codes::TRY_AGAIN,
            CloseKind::GoingAway => close_codes::GOING_AWAY,
        }
    }

    fn on_drained(&mut self) {
        self.board.on_drained(self.key);
    }

    async fn on_disconnected(&mut self) {
        if self.board.leave(self.key) {
            self.hub.set_legacy_presence(self.board.names()).await;
        }
        self.hub.leave(self.key, [self.document.clone()]).await;
    }
}
