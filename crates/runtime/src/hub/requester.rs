//! The identity behind a connection or request, for authorization.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth::{DocumentName, Documents, Grant};
use limits::Payer;
use parking_lot::RwLock;
use primitives::DocumentId;
use sync_engine::{Contributor, PeerRole, Surface};

use super::access::Right;
use super::fair_permits::PermitKey;
use super::outbox::ConnectionKey;

/// The party that makes a request or holds a connection: the server itself, an anonymous client, a user, or another server, with
/// the surface that it uses.
///
/// Clones share their state, so a renewed or revoked token takes effect everywhere at once.
#[derive(Debug, Clone)]
pub struct Requester(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    surface: Surface,
    identity: Identity,
}

#[derive(Debug)]
enum Identity {
    /// The server itself. Has all rights.
    Server,
    /// A client of a server without authentication. Holds the payer that is charged for its use, if it can be identified.
    Anonymous(Option<Payer>),
    /// An authenticated user.
    User {
        grant: RwLock<Arc<Grant>>,
        /// Set when the user's token has expired or was revoked.
        revoked: AtomicBool,
    },
    /// Another server that this server has dialled.
    Peering {
        /// Its name, to which its changes are attributed.
        name: Arc<str>,
        /// The documents that it may read and write.
        documents: Documents,
    },
}

impl Requester {
    /// The server itself. It has all rights.
    #[must_use]
    pub fn server() -> Self {
        Self(Arc::new(Inner { surface: Surface::Api, identity: Identity::Server }))
    }

    /// A client of a server without authentication, where every client has all rights.
    #[must_use]
    pub fn anonymous(surface: Surface) -> Self {
        Self::anonymous_charged_to(surface, None)
    }

    /// Like [`anonymous`](Self::anonymous); its use is charged to `payer`.
    #[must_use]
    pub fn anonymous_charged_to(surface: Surface, payer: Option<Payer>) -> Self {
        Self(Arc::new(Inner { surface, identity: Identity::Anonymous(payer) }))
    }

    /// An authenticated user.
    #[must_use]
    pub fn authenticated(surface: Surface, grant: Grant) -> Self {
        Self(Arc::new(Inner {
            surface,
            identity: Identity::User { grant: RwLock::new(Arc::new(grant)), revoked: AtomicBool::new(false) },
        }))
    }

    /// Another server that this server has dialled, which reads and writes these documents. `name` is recorded as the contributor
    /// of its changes, and charged for its use.
    #[must_use]
    pub fn peering(name: impl Into<Arc<str>>, documents: Documents) -> Self {
        Self(Arc::new(Inner { surface: Surface::Peer, identity: Identity::Peering { name: name.into(), documents } }))
    }

    /// Whether this is another server that this server has dialled.
    #[must_use]
    pub fn is_peering(&self) -> bool {
        matches!(self.0.identity, Identity::Peering { .. })
    }

    /// Whether a document is among those of a peering; `default` is the id of the server's default document. `None` for all other
    /// requesters.
    pub(super) fn peering_includes(&self, id: &DocumentId, default: Option<&DocumentId>) -> Option<bool> {
        match &self.0.identity {
            Identity::Peering { documents, .. } => Some(documents.include(id, default)),
            Identity::Server | Identity::Anonymous(_) | Identity::User { .. } => None,
        }
    }

    /// The documents that a peering names one by one.
    pub(super) fn named_documents(&self) -> Vec<DocumentId> {
        match &self.0.identity {
            Identity::Peering { documents: Documents::Named(names), .. } => {
                let id = |name: &DocumentName| match name {
                    DocumentName::Id(id) => Some(id.clone()),
                    DocumentName::Default => None,
                };
                names.iter().filter_map(id).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The grant of the user's token. `None` for servers and for anonymous clients.
    #[must_use]
    pub fn grant(&self) -> Option<Arc<Grant>> {
        match &self.0.identity {
            Identity::User { grant, .. } => Some(Arc::clone(&grant.read())),
            Identity::Server | Identity::Anonymous(_) | Identity::Peering { .. } => None,
        }
    }

    /// Replaces the grant, after the user's token was renewed or the user's role has changed.
    pub fn update_grant(&self, new: Grant) {
        if let Identity::User { grant, .. } = &self.0.identity {
            *grant.write() = Arc::new(new);
        }
    }

    /// Withdraws all rights, after the user's token has expired or was revoked. This includes messages that are
    /// already queued.
    pub fn revoke(&self) {
        if let Identity::User { revoked, .. } = &self.0.identity {
            revoked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether all rights were withdrawn.
    pub(super) fn is_revoked(&self) -> bool {
        matches!(&self.0.identity, Identity::User { revoked, .. } if revoked.load(Ordering::Relaxed))
    }

    /// The user's name. `None` for servers and for anonymous clients.
    #[must_use]
    pub fn user(&self) -> Option<Arc<str>> {
        self.grant().map(|grant| Arc::clone(&grant.user))
    }

    /// The payer that is charged for this client's use. `None` for the server, and for clients that cannot be distinguished.
    #[must_use]
    pub fn payer(&self) -> Option<Payer> {
        match &self.0.identity {
            Identity::Server => None,
            Identity::Anonymous(payer) => payer.clone(),
            Identity::User { .. } => self.user().map(Payer::User),
            Identity::Peering { name, .. } => Some(Payer::User(Arc::clone(name))),
        }
    }

    /// The contributor that changes from here are attributed to. `None` where users are unknown.
    #[must_use]
    pub fn contributor(&self) -> Option<Contributor> {
        let user = match &self.0.identity {
            Identity::Peering { name, .. } => Arc::clone(name),
            Identity::Server | Identity::Anonymous(_) | Identity::User { .. } => self.user()?,
        };
        Some(Contributor { user, surface: self.0.surface })
    }

    /// The key under which this connection waits for permits.
    pub(super) fn permit_key(&self, key: ConnectionKey) -> PermitKey {
        self.payer().map_or(PermitKey::Connection(key), PermitKey::Payer)
    }

    /// Whether the client or server speaks automerge-repo's protocol.
    pub(super) fn speaks_repo(&self) -> bool {
        matches!(self.0.surface, Surface::Sync | Surface::Peer)
    }

    /// The role of this client as a peer of a document.
    pub(super) fn peer_role(&self, right: Right) -> PeerRole {
        PeerRole { by: self.contributor(), read_only: right < Right::Write }
    }
}
