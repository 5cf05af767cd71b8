//! Who asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use auth::Grant;
use limits::Payer;
use sync_engine::{Contributor, PeerRole, Surface};

use super::access::Right;
use super::outbox::ConnectionKey;
use super::turns::Principal;

/// Who is on the other side of a connection, or has made a request. Clones are the same: when what somebody may do
/// changes while they are connected, all who know them know.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    surface: Surface,
    who: Who,
}

#[derive(Debug)]
enum Who {
    /// The server itself.
    Server,
    /// Nobody is asked who they are. Who pays for what they use, if that can be told.
    Anybody(Option<Payer>),
    Known {
        grant: RwLock<Arc<Grant>>,
        /// Their token does not count any more.
        over: AtomicBool,
    },
}

impl Caller {
    /// The server itself, which may do everything.
    #[must_use]
    pub fn server() -> Self {
        Self(Arc::new(Inner { surface: Surface::Api, who: Who::Server }))
    }

    /// Somebody, on a server that asks nobody who they are: everybody may do everything.
    #[must_use]
    pub fn anybody(surface: Surface) -> Self {
        Self::anybody_paid_by(surface, None)
    }

    /// The same, and what they use is charged to `payer`.
    #[must_use]
    pub fn anybody_paid_by(surface: Surface, payer: Option<Payer>) -> Self {
        Self(Arc::new(Inner { surface, who: Who::Anybody(payer) }))
    }

    /// A user.
    #[must_use]
    pub fn known(surface: Surface, grant: Grant) -> Self {
        Self(Arc::new(Inner {
            surface,
            who: Who::Known { grant: RwLock::new(Arc::new(grant)), over: AtomicBool::new(false) },
        }))
    }

    /// What the user's token says; None if nobody was asked.
    #[must_use]
    pub fn grant(&self) -> Option<Arc<Grant>> {
        match &self.0.who {
            Who::Known { grant, .. } => Some(Arc::clone(&grant.read().unwrap_or_else(PoisonError::into_inner))),
            Who::Server | Who::Anybody(_) => None,
        }
    }

    /// It says something else now.
    pub fn renew(&self, now: Grant) {
        if let Who::Known { grant, .. } = &self.0.who {
            *grant.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        }
    }

    /// It does not count any more: who had it may do nothing from now on, also with what they have sent already.
    pub fn end(&self) {
        if let Who::Known { over, .. } = &self.0.who {
            over.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(&self.0.who, Who::Known { over, .. } if over.load(Ordering::Relaxed))
    }

    /// The user's name; None if nobody was asked.
    #[must_use]
    pub fn user(&self) -> Option<Arc<str>> {
        self.grant().map(|grant| Arc::clone(&grant.user))
    }

    /// Who is charged for what is used; `None` for the server itself, and where clients cannot be told apart.
    #[must_use]
    pub fn payer(&self) -> Option<Payer> {
        match &self.0.who {
            Who::Server => None,
            Who::Anybody(payer) => payer.clone(),
            Who::Known { .. } => self.user().map(Payer::User),
        }
    }

    /// Who brings in what comes from here, as far as that is known.
    #[must_use]
    pub fn bringer(&self) -> Option<Contributor> {
        Some(Contributor { user: self.user()?, surface: self.0.surface })
    }

    /// Whose share of what is scarce a connection of this caller uses.
    pub(super) fn principal(&self, key: ConnectionKey) -> Principal {
        self.payer().map_or(Principal::Connection(key), Principal::Payer)
    }

    /// Whether it speaks automerge-repo's protocol.
    pub(super) fn speaks_repo(&self) -> bool {
        self.0.surface == Surface::Sync
    }

    pub(super) fn standing(&self, right: Right) -> PeerRole {
        PeerRole { by: self.bringer(), read_only: right < Right::Write }
    }
}
