//! Command-line flags and environment variables, parsed by clap and validated once at startup.
//!
//! [`Cli`] is the whole command line. [`ServeArgs::options`] turns the server's flags into [`Options`]. The doc comments of
//! the fields are the texts of `--help`.

mod auth;
mod backup;
mod command_line;
mod config_file;
mod data_dir;
mod database;
mod document;
mod duration;
mod export;
mod generate;
mod health;
mod identity_provider;
mod import;
mod limits;
mod migrate;
mod peers;
mod storage;
mod tls;
mod webhook;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use auth::{
    AccountArgs, AccountsArgs, AuthArgs, FolderArgs, KeyArgs, KeyCommand, TokenArgs, UserAddArgs, UserArgs,
    UserCommand, UserSetArgs, WhoMayCreate,
};
pub use backup::{BackupArgs, BackupScheduleArgs, RestoreArgs};
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};
use data_dir::has_default_auth;
pub use database::DatabaseArgs;
pub use document::{DocumentArgs, DocumentCommand};
pub use export::{ExportArgs, ExportFormat};
pub use generate::GenerateArgs;
pub use health::HealthArgs;
pub use import::ImportArgs;
pub use limits::LimitArgs;
pub use migrate::MigrateArgs;
pub use peers::PeerArgs;
use runtime::hub::APPLY_BUDGET;
pub use storage::{DatabaseChoice, DocumentChoice, StorageArgs};
use store::FileMode;
pub use tls::TlsArgs;
pub use webhook::{WebhookAddArgs, WebhookArgs, WebhookChoice, WebhookCommand};

use crate::server::{Dashboard, Options, SocketTimeouts};

/// The ports that the legacy backend used.
const DEFAULT_PORTS: [u16; 2] = [8000, 8001];

/// Collaborative planning of positions and salary budgets, online and offline.
///
/// Without a command, runs the server: it opens ./state.automerge and listens on 127.0.0.1:8000 and 127.0.0.1:8001.
#[derive(Debug, Parser)]
#[command(name = "happierwork", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// Read flags of the server from this TOML file (docs/configuration.md). Flags and variables come first
    #[arg(long, global = true, value_name = "FILE", env = "HAPPIERWORK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Keep everything below this folder: state.automerge, documents and auth. A flag that names one of them comes first
    #[arg(long, global = true, value_name = "DIR", env = "HAPPIERWORK_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The subcommand; `None` runs the server.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of the server, if there is no subcommand.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default)
    Serve(Box<ServeArgs>),
    /// Export positions to standard output or a file; safe while a server is running
    Export(ExportArgs),
    /// Import the legacy backend's data.json into a new or existing document, or all documents of a stock automerge-repo server
    ///
    /// FILE is data.json, or the folder that the server's NodeFSStorageAdapter writes to. Documents of a folder keep their URLs. What the
    /// target holds already is skipped, so an interrupted import can be repeated. Exit codes: 0 everything is imported, 1 not everything.
    Import(ImportArgs),
    /// Check whether a document file, or every document of a database, is intact; changes nothing
    ///
    /// Reports what the server would truncate. Exit codes: 0 intact, 3 not intact, 1 the file or the database cannot be read.
    Check(CheckArgs),
    /// Back up all documents, with their history, authors and rights, and the accounts; safe while servers are running
    ///
    /// A backup stores only what was added since the last one. Exit codes: 0 everything is in the backup, 1 something is not.
    Backup(BackupArgs),
    /// Restore a backup into files or a database, or check it with --dry-run
    ///
    /// The whole backup is checked first. Exit codes: 0 everything is restored, 1 not everything.
    Restore(RestoreArgs),
    /// Move all documents, with their history and rights, to another store: files or a database
    ///
    /// The source is only read, and what the target holds already is skipped, so an interrupted migration can be repeated.
    /// Exit codes: 0 everything is moved, 1 not everything.
    Migrate(MigrateArgs),
    /// List, delete and restore documents; with files, the server must not be running, except for the list
    Document(DocumentArgs),
    /// Ask the server of this machine whether it can store changes; for health checks of containers
    ///
    /// Exit codes: 0 it can, 1 it cannot, or it does not answer.
    Health(HealthArgs),
    /// Create, list, retire and export the keys that sign tokens
    Key(KeyArgs),
    /// Create a bearer token
    Token(TokenArgs),
    /// Add, change, disable, delete and list user accounts
    User(UserArgs),
    /// Send the changes of documents to other programs; also while a server is running
    Webhook(WebhookArgs),
    /// Write manual pages and shell completions into a folder, for packages
    #[command(hide = true)]
    Generate(GenerateArgs),
}

impl Command {
    /// Decides between database and files, and between files in the data folder and elsewhere.
    /// `has_files`: the configuration file says that documents are kept in files.
    fn resolve(&mut self, matches: &ArgMatches, has_files: bool) -> Result<(), String> {
        match self {
            Self::Serve(args) => args.resolve(matches),
            Self::Export(args) => args.document.storage.resolve(matches),
            Self::Import(args) => args.document.storage.resolve(matches),
            Self::Check(args) => {
                args.database.resolve(matches, &["document_file"])?;
                match (&args.file, &args.database.database) {
                    (None, None) => Err("give the FILE of a document, or a database with --database".to_owned()),
                    _ => Ok(()),
                }
            }
            Self::Backup(args) => args.resolve(matches),
            Self::Document(args) => args.command.storage_mut().resolve(matches),
            Self::Webhook(args) => args.command.storage_mut().resolve(matches),
            Self::Token(args) => args.resolve(matches, has_files),
            Self::User(args) => args.command.resolve(matches, has_files),
            Self::Migrate(_) | Self::Restore(_) | Self::Key(_) | Self::Health(_) | Self::Generate(_) => Ok(()),
        }
    }
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain text
    Text,
    /// One JSON object per line
    Json,
}

/// Flags of the server.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address to listen on; repeatable [default: 127.0.0.1:8000 and 127.0.0.1:8001]
    #[arg(long, value_name = "ADDR", env = "HAPPIERWORK_LISTEN", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Listen on 0.0.0.0 at this port, as set by hosting platforms (requires --auth, --jwks or --open); ignored if
    /// --listen is given
    #[arg(long, value_name = "PORT", env = "PORT", hide_env_values = true)]
    pub port: Option<u16>,
    /// Allow unauthenticated access from other machines: anyone who can reach the server can read and change everything
    #[arg(long, env = "HAPPIERWORK_OPEN", value_parser = clap::builder::BoolishValueParser::new())]
    pub open: bool,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// File of the default document; created if missing
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// Folder for all other documents; created when needed
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_DOCUMENTS", default_value = "documents")]
    pub documents: PathBuf,
    /// Permissions of new files, in octal: 640 allows the group to read. Folders also get x wherever r is set
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
    /// Web origin whose pages may use this server, in addition to its own and loopback origins; repeatable
    #[arg(long, value_name = "ORIGIN", env = "HAPPIERWORK_ALLOW_ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub allow_origin: Vec<String>,
    /// Host name of this server, in addition to localhost and IP addresses; repeatable (required for access by name with
    /// --open and on loopback addresses)
    #[arg(long, value_name = "NAME", env = "HAPPIERWORK_HOST", value_delimiter = ',', value_parser = host)]
    pub host: Vec<String>,
    /// Maximum size of a WebSocket message, in bytes [default: fits a document of --max-document-bytes]
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_MESSAGE",
          value_parser = clap::value_parser!(u64).range(1_024..=1 << 30))]
    pub max_message: Option<u64>,
    /// Unload a document after this many seconds without use
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_IDLE_AFTER", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400 * 365))]
    pub idle_after: u64,
    /// Maximum number of missing documents that all clients together may wait for
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_PENDING", default_value_t = 10_000)]
    pub max_pending: usize,
    /// Time limit for applying sync messages, in seconds; messages that take longer are not stored
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_APPLY_BUDGET", default_value_t = APPLY_BUDGET.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub apply_budget: u64,
    /// Keep the content of a deleted document on disk for this many days
    #[arg(long, value_name = "DAYS", env = "HAPPIERWORK_KEEP_DELETED", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(0..=36_500))]
    pub keep_deleted: u64,
    /// Time limit for a graceful shutdown, in seconds
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_GRACE", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub grace: u64,
    /// Format of the log (written to standard error)
    #[arg(long, value_enum, env = "HAPPIERWORK_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log filter: error, warn, info, debug, or per module, such as info,runtime::hub=debug
    #[arg(long, value_name = "FILTER", env = "HAPPIERWORK_LOG", default_value = "info")]
    pub log: String,
    /// Export traces to the OpenTelemetry collector at this URL, over OTLP/HTTP (docs/operations.md)
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_parser = collector)]
    pub otlp_endpoint: Option<String>,
    /// Authentication.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// TLS certificate and key.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Servers to dial.
    #[command(flatten)]
    pub peers: PeerArgs,
    /// Backups.
    #[command(flatten)]
    pub backup: BackupScheduleArgs,
    /// Resource limits.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// File of one document
    #[arg(id = "document_file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print the report as JSON (docs/operations.md)
    #[arg(long)]
    pub json: bool,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseChoice,
}

/// Flags that are valid one by one, but not together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The server would be open to the network without authentication.
    #[error(
        "{0} is reachable from other machines, and authentication is off. \
         Give --auth DIR (create accounts with `happierwork user add`), --data-dir DIR or --jwks FILE; \
         listen on a loopback address (127.0.0.1); \
         or give --open to let anyone who can reach the server read and change everything"
    )]
    NotLoopback(SocketAddr),
    /// `--open` together with the named authentication flag.
    #[error("--open turns authentication off, but {0} turns it on. Give only one of them (or unset HAPPIERWORK_OPEN)")]
    OpenAndAuth(&'static str),
    /// The named flag has no effect without an identity provider.
    #[error(
        "{0} applies to the tokens of an identity provider: also give --jwks SET with its keys, or --oidc-issuer URL"
    )]
    NeedsProvider(&'static str),
    /// Sessions could not be signed.
    #[error(
        "--oidc-client-id lets users log in, and this server signs their sessions: also give --auth DIR or --data-dir DIR"
    )]
    LoginNeedsAuth,
    /// The owner's account has no place.
    #[error("--owner adds an account to those of --auth: also give --auth DIR or --data-dir DIR")]
    OwnerNeedsAuth,
    /// Some peers would get no token, or the token of another.
    #[error(
        "--peer names {peers} servers, and --peer-token-file {files} files: give one file for each peer, or `none`"
    )]
    PeerTokenFiles {
        /// Number of peers.
        peers: usize,
        /// Number of files.
        files: usize,
    },
}

impl ServeArgs {
    fn resolve(&mut self, matches: &ArgMatches) -> Result<(), String> {
        self.auth.is_default = has_default_auth(matches);
        self.database.resolve(matches)
    }

    /// Returns the addresses to listen on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        match self.port {
            _ if !self.listen.is_empty() => self.listen.clone(),
            Some(port) => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
            None => DEFAULT_PORTS.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).to_vec(),
        }
    }

    /// Converts the flags to the server's options.
    ///
    /// # Errors
    /// If the flags contradict each other, or would expose an unauthenticated server without `--open`.
    pub fn options(&self) -> Result<Options, ConfigError> {
        let listen = self.addresses();
        let is_public = listen.iter().any(|address| !address.ip().is_loopback());
        let auth = self.auth.options(self.open, is_public)?;
        if self.open && auth.is_some() {
            let flag = if self.auth.auth.is_some() { None } else { self.auth.provider.flag() };
            return Err(ConfigError::OpenAndAuth(flag.unwrap_or("--auth")));
        }
        let needs_loopback = auth.is_none() && !self.open;
        if let Some(address) = listen.iter().find(|address| !address.ip().is_loopback() && needs_loopback) {
            return Err(ConfigError::NotLoopback(*address));
        }
        let mut limits = self.limits.limits();
        let max_message = self.max_message.unwrap_or_else(|| limits.largest_message());
        if limits.message_memory != 0 {
            // A client resends a message that exceeds the memory limit for ever.
            limits.message_memory = limits.message_memory.max(max_message);
        }
        Ok(Options {
            listen,
            tls: self.tls.files(),
            database: self.database.options(),
            peers: self.peers.options()?,
            backups: self.backup.schedule(),
            state: self.state.clone(),
            documents: self.documents.clone(),
            allowed_origins: self.allow_origin.clone(),
            hosts: self.host.clone(),
            auth,
            identity_provider: self.auth.provider.options(),
            who_may_create: self.auth.who_may_create.role(),
            max_message: usize::try_from(max_message).unwrap_or(usize::MAX),
            idle_after: Duration::from_secs(self.idle_after),
            max_pending: self.max_pending,
            apply_budget: Duration::from_secs(self.apply_budget),
            limits,
            dashboard: Dashboard::embedded(),
            keep_deleted: Duration::from_secs(self.keep_deleted * 86_400),
            timeouts: SocketTimeouts::default(),
            grace: Duration::from_secs(self.grace),
            #[cfg(feature = "legacy")]
            additional: Some(crate::legacy::surface),
            #[cfg(not(feature = "legacy"))]
            additional: None,
        })
    }
}

/// Parses an origin as browsers send it: scheme, host and optional port.
fn origin(text: &str) -> Result<String, String> {
    let uri: axum::http::Uri = text.parse().map_err(|_| "not an origin such as https://plan.example.com".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("an origin needs a scheme and a host, such as https://plan.example.com".to_owned());
    };
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") || authority.as_str().contains('@') {
        return Err("an origin has no path and no user, such as https://plan.example.com".to_owned());
    }
    Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// Parses the URL of a collector. Its path may be that of a proxy; the signal's own path is added.
fn collector(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|_| "not a URL such as http://127.0.0.1:4318".to_owned())?;
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("give credentials in OTEL_EXPORTER_OTLP_HEADERS, not in the URL".to_owned())
        }
        "http" | "https" if url.query().is_none() && url.fragment().is_none() => Ok(text.to_owned()),
        _ => {
            Err("the URL starts with http:// or https:// and ends with its path, such as http://127.0.0.1:4318"
                .to_owned())
        }
    }
}

/// Parses a host name as it appears in a `Host` header, without a port.
fn host(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.split('.').all(is_label) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("not a host name such as plan.example.com, without scheme and port".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use ::auth::Role;
    use clap::CommandFactory;

    use super::*;

    fn serve(flags: &[&str]) -> ServeArgs {
        Cli::try_parse_from([&["happierwork"], flags].concat()).expect("parses").serve
    }

    #[test]
    fn clap_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_default_to_default_options() {
        let mut options = serve(&[]).options().expect("options");
        (options.listen, options.dashboard) = (Options::default().listen, Options::default().dashboard);
        options.additional = None;
        assert_eq!(format!("{options:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn default_addresses_are_those_of_the_legacy_backend() {
        let addresses: Vec<String> = serve(&[]).addresses().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:8000", "127.0.0.1:8001"]);
    }

    #[test]
    fn public_address_requires_open_or_authentication() {
        for flags in [&["--listen", "0.0.0.0:1"][..], &["--listen", "[::]:1"], &["--port", "1"]] {
            assert!(matches!(serve(flags).options(), Err(ConfigError::NotLoopback(_))), "{flags:?}");
            for more in [&["--open"][..], &["--auth", "auth"], &["--jwks", "jwks.json"]] {
                assert!(serve(&[flags, more].concat()).options().is_ok(), "{flags:?} {more:?}");
            }
        }
        assert!(serve(&["--listen", "127.0.0.7:1", "--listen", "[::1]:1"]).options().is_ok());
    }

    #[test]
    fn open_conflicts_with_authentication() {
        for (flags, named) in [(&["--auth", "auth"][..], "--auth"), (&["--jwks", "jwks.json"], "--jwks")] {
            let error = serve(&[&["--open"], flags].concat()).options().expect_err("both");
            assert_eq!(error, ConfigError::OpenAndAuth(named));
        }
    }

    #[test]
    fn jwt_flags_require_jwks() {
        for flag in ["--jwt-audience", "--jwt-issuer"] {
            assert_eq!(serve(&[flag, "x"]).options().err(), Some(ConfigError::NeedsProvider(flag)));
            assert_eq!(serve(&[flag, "x", "--auth", "auth"]).options().err(), Some(ConfigError::NeedsProvider(flag)));
            assert!(serve(&[flag, "x", "--jwks", "jwks.json"]).options().is_ok());
        }
    }

    #[test]
    fn authentication_is_off_by_default_and_editors_create() {
        let options = serve(&[]).options().expect("options");
        assert!(options.auth.is_none());
        assert_eq!(options.who_may_create, Some(Role::Editor));
        let options = serve(&["--auth", "auth", "--session-hours", "1", "--who-may-create", "nobody"]).options();
        let options = options.expect("options");
        let auth = options.auth.expect("authentication");
        assert_eq!((auth.folder, auth.session), (Some("auth".into()), Duration::from_secs(3_600)));
        assert_eq!(options.who_may_create, None);
    }

    #[test]
    fn invalid_hosts_are_rejected() {
        assert_eq!(host("Plan.example.com."), Ok("plan.example.com".to_owned()));
        assert_eq!(host("plan"), Ok("plan".to_owned()));
        for bad in ["https://plan.example.com", "plan:8000", "*", "*.example.com", "a..b", ".", "", "a b", "plan/"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn invalid_origins_are_rejected() {
        assert_eq!(origin("https://Plan.example.com"), Ok("https://plan.example.com".to_owned()));
        assert_eq!(origin("http://plan:81/"), Ok("http://plan:81".to_owned()));
        for bad in ["plan.example.com", "*", "https://", "https://a/b", "https://u@a", ""] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
