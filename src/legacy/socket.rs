//! `GET /ws/dashboard/`: the legacy JSON protocol, as docs/legacy.md has it.
//!
//! One frame is dealt with after the other, and its direct answers are written before anything that it causes for all:
//! they go out as soon as the document has made the change durable, and the events wait in the outbox behind them.

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
use crate::server::ephemerals::EphemeralRate;
use crate::server::ids::new_position_id;
use crate::server::outbound::Outbound;
use crate::server::protocol::Protocol;
use crate::server::{App, close_codes};

/// Who wrote, when nobody has logged in.
pub const NOBODY: &str = "Admin";

/// One legacy client.
pub struct LegacySocket {
    key: ConnectionKey,
    caller: Requester,
    hub: Hub,
    board: Arc<PresenceBoard>,
    document: DocumentId,
    /// The document's rows and plan; kept for as long as this socket watches the document.
    view: SharedView,
    /// What it shows to all: clicks and logins.
    shows: EphemeralRate,
}

impl LegacySocket {
    /// Joins the presence board, which tells it who is here, and watches the document from now on.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn begin(
        key: ConnectionKey,
        caller: Requester,
        outbox: Outbox,
        app: &App,
        board: Arc<PresenceBoard>,
    ) -> Result<Self, runtime::hub::Unavailable> {
        let (hub, document) = (app.hub.clone(), app.default_id.clone());
        board.enter(key, outbox.clone());
        let view = match hub.watch(&caller, &document, key, outbox.clone()).await {
            Ok(view) => view,
            Err(error) => {
                board.leave(key);
                return Err(error);
            }
        };
        let total = total_frame(read_view(&view).plan());
        // The board's first frame is before it in the same outbox, so there is a place.
        if let (Some(total), Some(permit)) = (total, outbox.try_reserve(&runtime::hub::DrainListener::Connection)) {
            permit.send(Outgoing::Texts(Arc::from([total])));
        }
        let shows = app.ephemerals.of_socket(&caller, Instant::now());
        Ok(Self { key, caller, hub, board, document, view, shows })
    }

    /// Whether something may be shown to all now. It is acknowledged if not, and lost.
    fn may_show(&mut self) -> bool {
        let may = self.shows.take();
        if !may {
            self.hub.metrics().record_refusal(RefusalReason::Ephemeral);
        }
        may
    }

    fn author(&self) -> Author {
        let name = match self.caller.user() {
            Some(user) => Some(user.to_string()),
            None => self.board.name(self.key).filter(|name| !name.is_empty()),
        };
        Author { name: name.unwrap_or_else(|| NOBODY.to_owned()), now: now_ms() }
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
            Request::Login { .. } | Request::LogoutObject { .. } if !self.may_show() => processed(),
            Request::Login { name } => {
                // Who is known is not somebody else by saying so.
                let name = self.caller.user().map_or(name, |user| user.to_string()).trim().to_owned();
                self.rename(Some(name.clone()), true).await;
                self.board.mark(&Text::from(encode::login_trailer(&name)));
                processed()
            }
            Request::LogoutObject { .. } => {
                self.rename(None, false).await;
                processed()
            }
            Request::Tracking(tracking) => {
                if self.may_show() {
                    self.board.mark(&Text::from(encode::tracking(&tracking.element_id())));
                }
                processed()
            }
            Request::SetTotal { amount } => self.set_total(amount).await,
            Request::LoginObject { .. } | Request::Unknown { .. } => processed(),
        }
    }

    /// Takes a name, or gives it up. All sockets are told if that changes who is here, or `always`; peers if it does.
    async fn rename(&self, name: Option<String>, always: bool) {
        if self.board.rename(self.key, name, always) {
            self.hub.set_legacy_presence(self.board.people()).await;
        }
    }

    async fn edit(&self, edit: Edit) -> Result<Done, EditFailure> {
        self.hub.edit(&self.caller, &self.document, edit, self.author()).await
    }

    async fn delete(&self, id: String) -> Vec<Text> {
        let done = match self.edit(Edit::Delete { id: id.clone() }).await {
            // An id that is too long is that of no position, and is not worth telling everybody.
            Err(EditFailure::Edit(EditError::NotFound(_))) if id.chars().count() > MAX_ID => Ok(()),
            // Two people may delete one row: the second hears the same as the first.
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
                // The client has taken the row out of its own table already.
                answers.extend(read_view(&self.view).get(&id).into_iter().flat_map(|row| entry_frames(row)));
                answers
            }
        }
    }

    /// Stores a total budget, which the document then tells to all. If nothing was stored, the sender is told the total
    /// that the others show.
    async fn set_total(&mut self, amount: Budget) -> Vec<Text> {
        match self.edit(Edit::SetTotalAmount(amount.as_f64())).await {
            Ok(done) if done.changed => processed(),
            Ok(_) if self.may_show() => {
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

    /// The answers to a frame that is no request.
    fn refused(&self, error: &LegacyError) -> Vec<Text> {
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
    const KIND: ConnectionKind = ConnectionKind::Legacy;

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
            Err(error) => self.refused(&error),
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

    fn last_words(&self, message: &str, out: &mut Outbound) {
        out.text(&encode::error(message).into());
    }

    fn close_code(&self, kind: CloseKind) -> u16 {
        match kind {
            CloseKind::Left => 1000,
            CloseKind::BadMessage => 1008,
            CloseKind::Forbidden => close_codes::FORBIDDEN,
            CloseKind::Unauthorized => close_codes::UNAUTHORIZED,
            CloseKind::Replaced | CloseKind::TryAgainLater => 1013,
            CloseKind::GoingAway => 1001,
        }
    }

    fn drained(&mut self) {
        self.board.drained(self.key);
    }

    async fn gone(&mut self) {
        if self.board.leave(self.key) {
            self.hub.set_legacy_presence(self.board.people()).await;
        }
        self.hub.leave(self.key, [self.document.clone()]).await;
    }
}
