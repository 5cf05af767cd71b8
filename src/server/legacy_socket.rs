//! `GET /ws/dashboard/`: the legacy JSON protocol, as docs/legacy.md has it.
//!
//! One frame is dealt with after the other, and its direct answers are written before anything that it causes for all:
//! they go out as soon as the document has made the change durable, and the events wait in the outbox behind them.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::clock::now_ms;
use crate::document::{Author, Edit, EditError, NewPosition};
use crate::format::{DocumentId, InvalidAuthorName, MAX_ID, MAX_TEXT, check_author_name};
use crate::hub::{Caller, ConnectionKey, EditFailure, Farewell, FarewellKind, Hub, Outbox, Outgoing, Text};
use crate::memory::Share;
use crate::metrics::{ConnectionKind, Refusal};
use crate::server::App;
use crate::server::ids::new_position_id;
use crate::server::limits::EPHEMERALS_BURST;
use crate::server::outbound::Outbound;
use crate::server::renderings::{AMOUNT_OF_ONE_CRORE, total_frame};
use crate::server::socket::Surface;
use crate::server::websockets::{CLOSE_FORBIDDEN, CLOSE_UNAUTHORIZED};
use crate::token_bucket::TokenBucket;
use crate::wire::legacy::{self, LegacyError, Request, Tracking, frames};

/// Who wrote, when nobody has logged in.
pub const NOBODY: &str = "Admin";

/// One legacy client.
pub struct LegacySocket {
    key: ConnectionKey,
    caller: Caller,
    hub: Hub,
    document: DocumentId,
    /// What it shows to all: clicks and logins.
    shows: TokenBucket,
}

impl LegacySocket {
    /// Enters the room (which says who is here), and looks at the document from now on.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn begin(
        key: ConnectionKey,
        caller: Caller,
        outbox: Outbox,
        app: &App,
    ) -> Result<Self, crate::hub::Unavailable> {
        let (hub, document) = (app.hub.clone(), app.default_id.clone());
        hub.room().enter(key, outbox.clone());
        let view = match hub.watch(&caller, &document, key, outbox.clone()).await {
            Ok(view) => view,
            Err(error) => {
                hub.leave(key, []).await;
                return Err(error);
            }
        };
        let total = total_frame(crate::document::read_view(&view).plan());
        // The room's first frame is before it in the same outbox, so there is a place.
        if let (Some(total), Some(place)) = (total, outbox.place(&crate::hub::Waiter::Room)) {
            place.fill(Outgoing::Texts(Arc::from([total])));
        }
        let rate = f64::from(app.limits.ephemerals_per_second);
        let shows = TokenBucket::new(rate, rate * EPHEMERALS_BURST, Instant::now());
        Ok(Self { key, caller, hub, document, shows })
    }

    /// Whether something may be shown to all now. It is acknowledged if not, and lost.
    fn may_show(&mut self) -> bool {
        let may = self.shows.take(1.0, Instant::now).is_ok();
        if !may {
            self.hub.metrics().refuse(Refusal::Ephemeral);
        }
        may
    }

    fn author(&self) -> Author {
        let name = match self.caller.user() {
            Some(user) => Some(user.to_string()),
            None => self.hub.room().name(self.key).filter(|name| !name.is_empty()),
        };
        Author { name: name.unwrap_or_else(|| NOBODY.to_owned()), now: now_ms() }
    }

    async fn handle(&mut self, request: Request) -> Vec<String> {
        match request {
            Request::Add(row) => {
                let position = NewPosition {
                    id: new_position_id(),
                    designation: row.designation,
                    department: row.department,
                    budget: Some(row.budget),
                    location: row.location,
                    created_at: None,
                    updated: None,
                };
                match self.hub.edit(&self.caller, &self.document, Edit::Add(position), self.author()).await {
                    Ok(_) => vec![frames::processed()],
                    Err(error) => failed("add", &error),
                }
            }
            Request::Delete { id } if id.chars().count() > MAX_ID => {
                let reason = format!("Failed to delete data: an id has at most {MAX_ID} characters");
                vec![frames::error(&reason), frames::processed()]
            }
            Request::Delete { id } => {
                match self.hub.edit(&self.caller, &self.document, Edit::Delete { id: id.clone() }, self.author()).await
                {
                    Ok(_) => {}
                    // Two people may delete one row: the second hears the same as the first.
                    Err(EditFailure::Edit(EditError::NotFound(_))) => {
                        self.hub.room().mark(&Text::from(frames::deleted(&id)));
                    }
                    Err(error) => return failed("delete", &error),
                }
                vec![frames::deleted_direct(), frames::processed()]
            }
            Request::Login { .. } | Request::LogoutObject { .. } if !self.may_show() => vec![frames::processed()],
            Request::Login { name } => {
                // Who is known is not somebody else by saying so.
                let name = self.caller.user().map_or(name, |user| user.to_string());
                let name = match check_author_name(&name) {
                    Ok(name) => name.to_owned(),
                    // Pages that do not know who uses them log in without a name.
                    Err(InvalidAuthorName::Empty) => String::new(),
                    Err(reason) => {
                        return vec![
                            frames::error(&format!("Failed to log in: the name {reason}")),
                            frames::processed(),
                        ];
                    }
                };
                self.hub.rename(self.key, Some(name.clone()), true).await;
                self.hub.room().mark(&Text::from(frames::login_trailer(&name)));
                vec![frames::processed()]
            }
            Request::LogoutObject { .. } => {
                self.hub.rename(self.key, None, false).await;
                vec![frames::processed()]
            }
            Request::Tracking(tracking) => {
                self.track(&tracking).await;
                vec![frames::processed()]
            }
            Request::LoginObject { .. } | Request::Unknown { .. } => vec![frames::processed()],
        }
    }

    /// A click is shown to all, unless it is longer than any page makes it. A total budget is stored as well, and then the document tells it to all.
    async fn track(&mut self, tracking: &Tracking) {
        if let Some(Ok(crore)) = tracking.total_budget() {
            let edit = Edit::SetTotalAmount(crore.as_f64() * AMOUNT_OF_ONE_CRORE);
            match self.hub.edit(&self.caller, &self.document, edit, self.author()).await {
                Ok(done) if done.changed => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(connection = self.key.0, %error, "the total budget was not stored");
                    return;
                }
            }
        }
        if let Some(element) = tracking.element_id()
            && element.chars().count() <= MAX_TEXT
            && self.may_show()
        {
            self.hub.room().mark(&Text::from(frames::tracking(&element)));
        }
    }
}

fn failed(what: &str, error: &EditFailure) -> Vec<String> {
    vec![frames::error(&format!("Failed to {what} data: {error}")), frames::processed()]
}

impl Surface for LegacySocket {
    const KIND: ConnectionKind = ConnectionKind::Legacy;

    async fn receive(&mut self, message: Frame, _share: Share, out: &mut Outbound) -> Result<(), Farewell> {
        let request = match &message {
            Frame::Text(text) => legacy::decode(text),
            _ => Err(LegacyError::Undecodable),
        };
        let answers = match request {
            Ok(request) => self.handle(request).await,
            Err(error) => {
                self.hub.metrics().refuse(Refusal::Undecodable);
                error.frames()
            }
        };
        for answer in answers {
            out.text(&answer.into());
        }
        Ok(())
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), Farewell> {
        if let Outgoing::Texts(texts) = outgoing {
            for text in &*texts {
                out.text(text.bytes());
            }
        }
        Ok(())
    }

    fn last_words(&self, message: &str, out: &mut Outbound) {
        out.text(&frames::error(message).into());
    }

    fn close_code(&self, kind: FarewellKind) -> u16 {
        match kind {
            FarewellKind::Left => 1000,
            FarewellKind::BadMessage => 1008,
            FarewellKind::Forbidden => CLOSE_FORBIDDEN,
            FarewellKind::Unauthorized => CLOSE_UNAUTHORIZED,
            FarewellKind::Replaced | FarewellKind::TryAgainLater => 1013,
            FarewellKind::GoingAway => 1001,
        }
    }

    async fn gone(&mut self) {
        self.hub.leave(self.key, [self.document.clone()]).await;
    }
}
