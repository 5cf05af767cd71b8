//! Flags and environment, validated once, at the start.

mod auth;
mod limits;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use auth::{
    AccountArgs, AuthArgs, FolderArgs, KeyArgs, KeyCommand, TokenArgs, UserAddArgs, UserArgs, UserCommand, UserSetArgs,
    WhoMayCreate,
};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
pub use limits::LimitArgs;
use primitives::DocumentId;
use runtime::hub::APPLY_BUDGET;
use store::FileMode;
pub use tls::TlsArgs;

use crate::server::{Dashboard, Options, SocketTimes};

/// Where the server listens unless told otherwise: like the backend that this replaces.
const DEFAULT_PORTS: [u16; 2] = [8000, 8001];

/// Plans positions and their budgets together, also without a connection.
///
/// Without a command the server is started: the document in ./state.automerge, on 127.0.0.1:8000 and 127.0.0.1:8001.
#[derive(Debug, Parser)]
#[command(name = "happierwork", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For the server, when no command is given.
    #[command(flatten)]
    pub serve: ServeArgs,
}

impl Cli {
    /// The command line and the environment; ends the program with an explanation when they are not acceptable.
    #[must_use]
    pub fn read() -> Self {
        let matches: ArgMatches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// A variable that is set to nothing counts as not set: that is how many platforms unset one.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| match argument.get_env().and_then(std::env::var_os) {
            Some(value) if value.is_empty() => argument.env(clap::builder::Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (this is what happens without a command)
    Serve(Box<ServeArgs>),
    /// Write the positions to standard output or a file; a running server is not disturbed
    Export(ExportArgs),
    #[cfg(feature = "legacy")]
    /// Make a document from the data.json of the old backend, or add its rows to a document
    Import(ImportArgs),
    /// Say whether a document's file is whole, and what would be cut if it is not; changes nothing
    ///
    /// Exit codes: 0 whole, 3 not whole, 1 the file cannot be read.
    Check(CheckArgs),
    /// List, delete and restore documents, while no server runs
    Document(DocumentArgs),
    /// Make, list, retire and publish the keys that tokens are signed with
    Key(KeyArgs),
    /// Make a token: whoever shows it may do what it says
    Token(TokenArgs),
    /// Add, change, disable and list the accounts that people log in to
    User(UserArgs),
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Flags of the server.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// An address to listen on; may be given several times [default: 127.0.0.1:8000 and 127.0.0.1:8001]
    #[arg(long, value_name = "ADDR", env = "HAPPIERWORK_LISTEN", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Listen on 0.0.0.0 with this port, as hosting platforms set it (needs --auth, --jwks or --open); --listen goes
    /// before it
    #[arg(long, value_name = "PORT", env = "PORT", hide_env_values = true)]
    pub port: Option<u16>,
    /// Serve anybody who can reach an address beyond this machine: nobody is asked who they are
    #[arg(long, env = "HAPPIERWORK_OPEN", value_parser = clap::builder::BoolishValueParser::new())]
    pub open: bool,
    /// The default document; made when it does not exist
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// The folder of all other documents; made when it is needed
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_DOCUMENTS", default_value = "documents")]
    pub documents: PathBuf,
    /// Permissions of new files, in octal: 640 lets the group read. Folders get the same, and x where there is r
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
    /// A web origin whose pages may use this server, besides its own and loopback ones; may be given several times
    #[arg(long, value_name = "ORIGIN", env = "HAPPIERWORK_ALLOW_ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub allow_origin: Vec<String>,
    /// A host name by which this server is reached, besides localhost and IP addresses; may be given several times (needed
    /// with --open, and on loopback addresses)
    #[arg(long, value_name = "NAME", env = "HAPPIERWORK_HOST", value_delimiter = ',', value_parser = host)]
    pub host: Vec<String>,
    /// The largest WebSocket message that is taken, in bytes [default: a document of --max-document-bytes fits]
    #[arg(long, value_name = "BYTES", env = "HAPPIERWORK_MAX_MESSAGE",
          value_parser = clap::value_parser!(u64).range(1_024..=1 << 30))]
    pub max_message: Option<u64>,
    /// Unload a document that nobody has used for so many seconds
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_IDLE_AFTER", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400 * 365))]
    pub idle_after: u64,
    /// Documents that do not exist and that all clients together may wait for
    #[arg(long, value_name = "COUNT", env = "HAPPIERWORK_MAX_PENDING", default_value_t = 10_000)]
    pub max_pending: usize,
    /// How long sync messages may take to be applied, in seconds: what takes longer is not stored
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_APPLY_BUDGET", default_value_t = APPLY_BUDGET.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub apply_budget: u64,
    /// For how many days the content of a deleted document stays on the disk
    #[arg(long, value_name = "DAYS", env = "HAPPIERWORK_KEEP_DELETED", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(0..=36_500))]
    pub keep_deleted: u64,
    /// How long the server may take to stop, in seconds
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_GRACE", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub grace: u64,
    /// How logs are written (to standard error)
    #[arg(long, value_enum, env = "HAPPIERWORK_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or per module as in info,runtime::hub=debug
    #[arg(long, value_name = "FILTER", env = "HAPPIERWORK_LOG", default_value = "info")]
    pub log: String,
    /// Who is let in.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// What connections are encrypted with.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// What clients may take.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Json)]
    pub format: ExportFormat,
    /// The document
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Permissions of that file if it is new, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A JSON array of positions
    Json,
    /// A table that opens in a spreadsheet
    Csv,
}

/// Flags of `import`.
#[cfg(feature = "legacy")]
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The data.json of the old backend: a JSON array of positions
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The document; made when it does not exist
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// The name of a document that is made
    #[arg(long, value_name = "NAME", default_value = "Imported plan")]
    pub name: String,
    /// The total budget of a document that is made: in lakh, or with a unit, such as "20 crore"
    #[arg(long, value_name = "AMOUNT")]
    pub total_budget: Option<String>,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
    /// Import the sound rows, and write those that cannot be imported to a new file beside FILE
    #[arg(long)]
    pub skip_odd: bool,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The document's file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What to do with documents.
#[derive(Debug, Args)]
pub struct DocumentArgs {
    /// What to do
    #[command(subcommand)]
    pub command: DocumentCommand,
}

/// What can be done with documents.
#[derive(Debug, Subcommand)]
pub enum DocumentCommand {
    /// List the documents: id, owner, whether it is deleted
    List(DocumentFiles),
    /// Delete a document for good: no client brings it back
    Delete {
        /// The document
        #[arg(value_name = "ID")]
        id: DocumentId,
        /// Remove its content at once, instead of after the time that --keep-deleted gives
        #[arg(long)]
        now: bool,
        /// Where the documents are
        #[command(flatten)]
        files: DocumentFiles,
    },
    /// Bring a deleted document back whose content is still there
    Restore {
        /// The document
        #[arg(value_name = "ID")]
        id: DocumentId,
        /// Where the documents are
        #[command(flatten)]
        files: DocumentFiles,
    },
}

/// Where documents are.
#[derive(Debug, Args)]
pub struct DocumentFiles {
    /// The default document
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// The folder of all other documents
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_DOCUMENTS", default_value = "documents")]
    pub documents: PathBuf,
}

/// Why flags that parse are no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Everybody on the network could read and change the plan.
    #[error(
        "{0} can be reached from other machines, and this server asks nobody who they are. \
         Give --auth DIR (and make accounts with `happierwork user add`), or --jwks FILE; \
         listen on a loopback address (127.0.0.1); \
         or give --open if everybody who can reach it may read and change everything"
    )]
    NotLoopback(SocketAddr),
    /// Two flags that say the opposite.
    #[error(
        "--open lets everybody in, and {0} only those who belong: give one of the two \
         (or unset HAPPIERWORK_OPEN)"
    )]
    OpenAndAuth(&'static str),
    /// A flag that would do nothing.
    #[error("{0} says something about the tokens of a provider: give --jwks FILE with its keys, too")]
    NeedsJwks(&'static str),
}

impl ServeArgs {
    /// The addresses to listen on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        match self.port {
            _ if !self.listen.is_empty() => self.listen.clone(),
            Some(port) => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
            None => DEFAULT_PORTS.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).to_vec(),
        }
    }

    /// The server's options.
    ///
    /// # Errors
    /// When the flags ask for what is not safe.
    pub fn options(&self) -> Result<Options, ConfigError> {
        let listen = self.addresses();
        let auth = self.auth.options()?;
        if self.open && auth.is_some() {
            return Err(ConfigError::OpenAndAuth(if self.auth.auth.is_some() { "--auth" } else { "--jwks" }));
        }
        let anybody = auth.is_none() && !self.open;
        if let Some(address) = listen.iter().find(|address| !address.ip().is_loopback() && anybody) {
            return Err(ConfigError::NotLoopback(*address));
        }
        let mut limits = self.limits.limits();
        let max_message = self.max_message.unwrap_or_else(|| limits.largest_message());
        if limits.message_memory != 0 {
            // A message that never finds room would come back for ever.
            limits.message_memory = limits.message_memory.max(max_message);
        }
        Ok(Options {
            listen,
            tls: self.tls.files(),
            state: self.state.clone(),
            documents: self.documents.clone(),
            allowed_origins: self.allow_origin.clone(),
            hosts: self.host.clone(),
            auth,
            who_may_create: self.auth.who_may_create.role(),
            max_message: usize::try_from(max_message).unwrap_or(usize::MAX),
            idle_after: Duration::from_secs(self.idle_after),
            max_pending: self.max_pending,
            apply_budget: Duration::from_secs(self.apply_budget),
            limits,
            dashboard: Dashboard::embedded(),
            keep_deleted: Duration::from_secs(self.keep_deleted * 86_400),
            times: SocketTimes::default(),
            grace: Duration::from_secs(self.grace),
            #[cfg(feature = "legacy")]
            additional: Some(crate::legacy::surface),
            #[cfg(not(feature = "legacy"))]
            additional: None,
        })
    }
}

/// An origin as browsers send it: scheme, host, maybe a port, and nothing else.
fn origin(text: &str) -> Result<String, String> {
    let uri: axum::http::Uri = text.parse().map_err(|_| "not an origin such as https://plan.example.com".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("needs scheme and host, such as https://plan.example.com".to_owned());
    };
    if uri.path_and_query().is_some_and(|path| path.as_str() != "/") || authority.as_str().contains('@') {
        return Err("an origin has no path and no user: https://plan.example.com".to_owned());
    }
    Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// A host name as a `Host` header has it, without a port.
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

    use super::*;

    fn serve(flags: &[&str]) -> ServeArgs {
        Cli::try_parse_from([&["happierwork"], flags].concat()).expect("parses").serve
    }

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_flags_it_listens_where_the_old_backend_did() {
        let addresses: Vec<String> = serve(&[]).addresses().iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:8000", "127.0.0.1:8001"]);
    }

    #[test]
    fn an_address_beyond_this_machine_needs_open_or_somebody_to_ask() {
        for flags in [&["--listen", "0.0.0.0:1"][..], &["--listen", "[::]:1"], &["--port", "1"]] {
            assert!(matches!(serve(flags).options(), Err(ConfigError::NotLoopback(_))), "{flags:?}");
            for more in [&["--open"][..], &["--auth", "auth"], &["--jwks", "jwks.json"]] {
                assert!(serve(&[flags, more].concat()).options().is_ok(), "{flags:?} {more:?}");
            }
        }
        assert!(serve(&["--listen", "127.0.0.7:1", "--listen", "[::1]:1"]).options().is_ok());
    }

    #[test]
    fn open_and_authentication_exclude_each_other() {
        for (flags, named) in [(&["--auth", "auth"][..], "--auth"), (&["--jwks", "jwks.json"], "--jwks")] {
            let error = serve(&[&["--open"], flags].concat()).options().expect_err("both");
            assert_eq!(error, ConfigError::OpenAndAuth(named));
        }
    }

    #[test]
    fn what_is_said_of_a_providers_tokens_needs_its_keys() {
        for flag in ["--jwt-audience", "--jwt-issuer"] {
            assert_eq!(serve(&[flag, "x"]).options().err(), Some(ConfigError::NeedsJwks(flag)));
            assert_eq!(serve(&[flag, "x", "--auth", "auth"]).options().err(), Some(ConfigError::NeedsJwks(flag)));
            assert!(serve(&[flag, "x", "--jwks", "jwks.json"]).options().is_ok());
        }
    }

    #[test]
    fn without_flags_nobody_is_asked_and_editors_may_make_documents() {
        let options = serve(&[]).options().expect("options");
        assert!(options.auth.is_none());
        assert_eq!(options.who_may_create, Some(Role::Editor));
        let options = serve(&["--auth", "auth", "--session-hours", "1", "--who-may-create", "nobody"]).options();
        let options = options.expect("options");
        let auth = options.auth.expect("asked");
        assert_eq!((auth.folder, auth.session), (Some("auth".into()), Duration::from_secs(3_600)));
        assert_eq!(options.who_may_create, None);
    }

    #[test]
    fn hosts_are_checked_when_given() {
        assert_eq!(host("Plan.example.com."), Ok("plan.example.com".to_owned()));
        assert_eq!(host("plan"), Ok("plan".to_owned()));
        for bad in ["https://plan.example.com", "plan:8000", "*", "*.example.com", "a..b", ".", "", "a b", "plan/"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_checked_when_given() {
        assert_eq!(origin("https://Plan.example.com"), Ok("https://plan.example.com".to_owned()));
        assert_eq!(origin("http://plan:81/"), Ok("http://plan:81".to_owned()));
        for bad in ["plan.example.com", "*", "https://", "https://a/b", "https://u@a", ""] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
