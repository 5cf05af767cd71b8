//! From options to a server that listens: opens the store, finds or makes the default document, binds the addresses.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auth::{AuthError, AuthOptions, Authority, Role};
use plan::{Author, Budget, Edit, PlanPatch, read_view};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::document::Document;
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, AccessError, EditFailure, Hub, HubSettings, LegacyPresence, Requester, Unavailable};
use runtime::metrics::Metrics;
use store::disk::{Disk, RealDisk};
use store::{FileStore, OpenError, Repair, StateFile, Store, StoreError};
use sync_engine::MessageLimits;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::compression::Compression;
use super::ephemerals::EphemeralRates;
use super::guests::Guests;
use super::pace::UserPaces;
use super::renderings::{JSON_AND_CSV, renderings};
use super::sessions::Sessions;
use super::sync::PeerRegistry;
use super::{AdditionalSurface, App, Dashboard, Identity, Limits, Server, SocketTimes, Tls, TlsError, TlsFiles};

/// How a server is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// What all of them speak TLS with. None: they do not.
    pub tls: Option<TlsFiles>,
    /// The default document's file.
    pub state: PathBuf,
    /// The folder of further documents.
    pub documents: PathBuf,
    /// Origins allowed besides our own and loopback.
    pub allowed_origins: Vec<String>,
    /// Host names that are this server's, besides IP addresses and loopback names: lower case, without a port. Others are
    /// refused on loopback listeners, and on all of them where nobody is asked who they are.
    pub hosts: Vec<String>,
    /// Who is asked who they are, and by what; none: nobody is asked, and everybody may do everything.
    pub auth: Option<AuthOptions>,
    /// The least role that may make documents; none: nobody may.
    pub who_may_create: Option<Role>,
    /// Bytes in one WebSocket message.
    pub max_message: usize,
    /// A document that nobody uses for so long is unloaded.
    pub idle_after: Duration,
    /// Documents that do not exist but are waited for.
    pub max_pending: usize,
    /// How long a batch of sync messages may take to be applied.
    pub apply_budget: Duration,
    /// What clients may take.
    pub limits: Limits,
    /// The page at `/`.
    pub dashboard: Dashboard,
    /// How long the content of deleted documents stays on the disk.
    pub keep_deleted: Duration,
    /// How long sockets may take.
    pub times: SocketTimes,
    /// How long the end may take.
    pub grace: Duration,
    /// Makes a further protocol for the server.
    pub additional: Option<fn() -> Arc<dyn AdditionalSurface>>,
}

/// The defaults of the command line, except that the server listens on a free port of 127.0.0.1 and has no dashboard.
impl Default for Options {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            tls: None,
            state: PathBuf::from("state.automerge"),
            documents: PathBuf::from("documents"),
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            auth: None,
            who_may_create: Some(Role::Editor),
            max_message: usize::try_from(limits.largest_message()).unwrap_or(usize::MAX),
            idle_after: Duration::from_secs(300),
            max_pending: 10_000,
            apply_budget: APPLY_BUDGET,
            limits,
            dashboard: Dashboard::none(),
            keep_deleted: Duration::from_secs(30 * 86_400),
            times: SocketTimes::default(),
            grace: Duration::from_secs(10),
            additional: None,
        }
    }
}

/// A server that listens, and what there is to say about it.
pub struct Started {
    /// To be run.
    pub server: Server,
    /// Where it listens; ports that were 0 are known now.
    pub addresses: Vec<SocketAddr>,
    /// The default document.
    pub document: DocumentId,
    /// How many positions it holds.
    pub positions: usize,
    /// Whether there was no document before.
    pub created: bool,
    /// What was cut off its file when it was opened.
    pub repaired: Option<Repair>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The default document's file, or the folder of the others.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The default document could not be made, or not be given its id.
    #[error("the document in {} could not be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: EditFailure,
    },
    /// The default document cannot be opened.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Who may do what.
    #[error(transparent)]
    Access(AccessError),
    /// Keys, accounts, tokens.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// An address.
    #[error("cannot listen on {address}: {source}{}", bind_hint(.source))]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate, or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The names under which we speak to peers.
    #[error(transparent)]
    Identity(#[from] repo_protocol::InvalidPeerName),
}

impl From<AccessError> for StartError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(StoreError::Open(error)) => Self::Open(error),
            error => Self::Access(error),
        }
    }
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that has it, or give another address with --listen",
        io::ErrorKind::PermissionDenied => "; give a port above 1023 with --listen",
        _ => "; give another address with --listen",
    }
}

/// Opens everything, and listens. Connections are answered once the server runs.
///
/// # Errors
/// When anything of it fails; nothing is left running.
pub async fn start(options: Options) -> Result<Started, StartError> {
    start_on(Arc::new(RealDisk::default()), options).await
}

/// The same on another disk than this computer's.
///
/// # Errors
/// As for [`start`].
pub async fn start_on(disk: Arc<dyn Disk>, options: Options) -> Result<Started, StartError> {
    let tls = options.tls.map(Tls::open).transpose()?;
    let mut listeners = Vec::new();
    for address in &options.listen {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| StartError::Bind { address: *address, source })?);
    }
    let authority = options.auth.as_ref().map(Authority::open).transpose()?;
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();

    StateFile::create_folder(&*disk, &options.state)?;
    let mode = disk.mode();
    let state = StateFile::open_with_embedded_id(disk, &options.state)?;
    let repaired = state.repair().cloned();
    let carried = state.document().and_then(Document::carried_id);
    let created = state.document().is_none();
    let document = carried.clone().unwrap_or_else(|| DocumentId::from_random(rand::random()));
    // It makes the folder of the documents, which is then there to be locked.
    let identity = Identity::load(&options.documents, mode)?;
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open_with_limits(state, document.clone(), &options.documents, options.limits.open_files)?);
    let session = format!("{:032x}", u128::from_be_bytes(rand::random()));
    let surface = options.additional.map(|surface| surface());
    let additional = surface.as_deref();
    let settings = HubSettings {
        renderings: additional.map_or(JSON_AND_CSV, |surface| renderings(surface.render_position())),
        rows: additional.map_or(|_| Vec::new(), |surface| surface.render_rows()),
        legacy_presence: additional
            .map(|surface| Arc::new(LegacyPresence::new(identity.peer.as_str(), &session, surface.render_presence()))),
        limits: MessageLimits::for_documents(
            options.limits.document_changes,
            options.limits.document_bytes,
            options.limits.document_operations,
        )
        .with_actor_changes(options.limits.document_actor_changes),
        apply_budget: options.apply_budget,
        idle_after: options.idle_after,
        max_pending: options.max_pending,
        max_pending_per_connection: options.limits.pending_per_connection,
        message_memory: options.limits.message_memory,
        new_documents_per_minute: options.limits.new_documents_per_minute,
        new_documents_at_once: options.limits.new_documents_at_once,
        actors: ActorSource::default(),
        default_document: Some(document.clone()),
        may_create: options.who_may_create,
    };
    let hub = Hub::new(store, settings, Arc::new(Metrics::new()));
    if let Err(error) = hub.load_access().await {
        hub.stop().await;
        return Err(error.into());
    }
    let missing =
        carried.is_none().then(|| if created { new_plan(document.clone()) } else { Edit::CarryId(document.clone()) });
    let positions = match open_default(&hub, &document, missing, &options.state).await {
        Ok(positions) => positions,
        Err(error) => {
            hub.stop().await;
            return Err(error);
        }
    };
    let app = App {
        hub,
        default_id: document.clone(),
        identity: Arc::new(identity),
        access: Access::new(options.allowed_origins, options.hosts, authority.is_none()),
        sessions: authority.clone().map(Sessions::new),
        authority,
        times: options.times,
        max_message: options.max_message,
        keep_deleted: options.keep_deleted,
        guests: Guests::new(&options.limits),
        compression: Compression::new(),
        ephemerals: EphemeralRates::new(&options.limits, Instant::now()),
        paces: Arc::new(UserPaces::new(&options.limits, Instant::now())),
        limits: options.limits,
        dashboard: options.dashboard,
        peers: PeerRegistry::default(),
        additional: surface,
        stopping: CancellationToken::new(),
        connections: TaskTracker::new(),
    };
    let server = Server::new(Arc::new(app), listeners, tls, options.grace);
    Ok(Started { server, addresses, document, positions, created, repaired })
}

/// Opens the default document, after adding what is `missing` in it. Returns how many positions it holds.
async fn open_default(
    hub: &Hub,
    document: &DocumentId,
    missing: Option<Edit>,
    state: &Path,
) -> Result<usize, StartError> {
    if let Some(edit) = missing {
        let author = Author { name: "server".to_owned(), now: now_ms() };
        let written = hub.edit(&Requester::server(), document, edit, author).await;
        written.map_err(|source| StartError::Write { path: state.to_owned(), source })?;
    }
    Ok(hub.view(&Requester::server(), document).await?.map_or(0, |view| read_view(&view).len()))
}

/// An empty plan, in lakh of rupees until somebody says otherwise.
fn new_plan(id: DocumentId) -> Edit {
    let plan = PlanPatch {
        name: Some("New plan".to_owned()),
        currency: Some("INR".to_owned()),
        unit: Some(Budget::Int(100_000)),
        total_budget: None,
    };
    Edit::Create { id, plan, positions: Vec::new() }
}
