//! Connections to PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Connection, Error, NoTls, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::standbys::{COMMIT, Standbys};
use super::{STATEMENT_TIMEOUT, failure, text};
use crate::sql::engine::{EngineError, Failure};
use crate::sql::error::DatabaseOpenError;
use crate::sql::url::{Password, ServerUrl, Tls};

/// PostgreSQL 13 is the oldest tested version.
const MIN_VERSION: u32 = 13;

/// How long a commit may wait for standbys before another connection is tried, in case this one is dead.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    url: ServerUrl,
    standbys: Standbys,
}

/// Version and settings of a server, as read on a new connection.
struct ServerSettings {
    version_number: u32,
    version: String,
    fsync: String,
    synchronous_commit: String,
    synchronous_standbys: String,
    /// Standbys that are connected.
    standbys: u32,
}

impl ServerSettings {
    /// Whether commits wait for standbys.
    fn is_synchronous(&self) -> bool {
        self.synchronous_commit != "local" && !self.synchronous_standbys.is_empty()
    }
}

impl Connector {
    pub(super) fn new(url: &ServerUrl) -> Result<Self, DatabaseOpenError> {
        let mut config = Config::new();
        for host in &url.hosts {
            config.host(&host.host).port(host.port);
        }
        if let Some(user) = &url.user {
            config.user(user);
        }
        if let Some(password) = &url.password {
            config.password(Password::reveal(password));
        }
        if let Some(options) = &url.options {
            config.options(options);
        }
        config
            .dbname(&url.database)
            .application_name(url.application_name.as_deref().unwrap_or("happierwork"))
            .connect_timeout(url.connect_timeout)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        if url.requires_channel_binding {
            config.channel_binding(ChannelBinding::Require);
        }
        let tls = match url.tls() {
            Tls::Off => {
                config.ssl_mode(SslMode::Disable);
                None
            }
            Tls::VerifyFull => {
                config.ssl_mode(SslMode::Require);
                let client = tls(url).map_err(|detail| DatabaseOpenError::Tls { location: url.location(), detail })?;
                Some(MakeRustlsConnect::new(client))
            }
        };
        if tls.is_none() && !url.hosts.iter().all(crate::sql::url::HostPort::is_local) {
            tracing::warn!(database = %url.location(), "the connection to the database is not encrypted");
        }
        Ok(Self { config, tls, url: url.clone(), standbys: Standbys::default() })
    }

    pub(super) fn location(&self) -> String {
        self.url.location()
    }

    pub(super) fn user(&self) -> String {
        self.url.user.clone().unwrap_or_default()
    }

    /// The first connection: checks version and settings.
    pub(super) async fn open(&self) -> Result<Client, DatabaseOpenError> {
        let client = self.connect_raw(drive).await.map_err(|error| self.open_error(error))?;
        let settings = self.set_up(&client).await.map_err(|error| self.open_error(error))?;
        let location = self.location();
        if settings.version_number / 10_000 < MIN_VERSION {
            let (found, minimum) = (format!("PostgreSQL {}", settings.version), format!("PostgreSQL {MIN_VERSION}"));
            return Err(DatabaseOpenError::TooOld { location, found, minimum });
        }
        if let Some((setting, advice)) = unsafe_setting(&settings) {
            return Err(DatabaseOpenError::UnsafeSetting { location, setting, advice });
        }
        if settings.standbys > 0 && !settings.is_synchronous() {
            tracing::warn!(
                database = %location,
                "no standby of the database is synchronous: a failover can lose the latest acknowledged changes; \
                 set synchronous_standby_names"
            );
        }
        match self.await_standbys(&client, &settings).await {
            Ok(()) => Ok(client),
            Err(error) => Err(DatabaseOpenError::Unreachable { location, detail: error.detail }),
        }
    }

    /// A further connection.
    pub(super) async fn connect(&self) -> Result<Client, EngineError> {
        let not_sent = |detail| EngineError::new(Failure::NotSent, detail);
        let client = self.connect_raw(drive).await.map_err(|error| not_sent(error.to_string()))?;
        let settings = self.set_up(&client).await.map_err(|error| not_sent(error.to_string()))?;
        match unsafe_setting(&settings) {
            Some((setting, advice)) => Err(not_sent(format!("the database now has {setting}. {advice}"))),
            None => self.await_standbys(&client, &settings).await.map(|()| client),
        }
    }

    /// Waits until the synchronous standbys, if there are any, have everything that is visible on the server.
    async fn await_standbys(&self, client: &Client, settings: &ServerSettings) -> Result<(), EngineError> {
        if !settings.is_synchronous() {
            return Ok(());
        }
        self.standbys.catch_up(client, STATEMENT_TIMEOUT, || self.clone().commit_to_standbys()).await
    }

    /// Makes a commit. When this returns, the standbys have it.
    async fn commit_to_standbys(self) -> Result<(), String> {
        let client = self.connect_raw(drive).await.map_err(|error| error.to_string())?;
        match timeout(COMMIT_TIMEOUT, client.simple_query(COMMIT)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if failure(&error) == Failure::Unknown => Err(text(&error)),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = text(&error),
                    "cannot find out whether the standbys have all commits; a failover after a crash may lose some"
                );
                Ok(())
            }
            Err(_) => {
                // A session that waits for a standby does not end when its client disconnects.
                let token = client.cancel_token();
                let _ = match self.tls {
                    None => timeout(STATEMENT_TIMEOUT, token.cancel_query(NoTls)).await,
                    Some(tls) => timeout(STATEMENT_TIMEOUT, token.cancel_query(tls)).await,
                };
                Err("the database waits for its synchronous standby".to_owned())
            }
        }
    }

    /// A connection whose messages are passed to `drive`.
    pub(super) async fn connect_raw<D: Drive>(&self, drive: D) -> Result<Client, Refused> {
        let hosts = u32::try_from(self.url.hosts.len()).unwrap_or(1);
        let limit = self.url.connect_timeout * hosts + Duration::from_secs(1);
        let connected = timeout(limit, async {
            match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    drive.drive(connection);
                    Ok(client)
                }
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    drive.drive(connection);
                    Ok(client)
                }
            }
        });
        match connected.await {
            Ok(result) => result.map_err(Refused::Error),
            Err(_) => Err(Refused::Timeout),
        }
    }

    /// Configures the session, and reads the settings of the server.
    async fn set_up(&self, client: &Client) -> Result<ServerSettings, Refused> {
        let sql = format!(
            "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {1}; \
             SELECT current_setting('server_version_num'), current_setting('server_version'), \
             current_setting('fsync'), current_setting('synchronous_commit'), \
             current_setting('synchronous_standby_names'), (SELECT COUNT(*) FROM pg_stat_replication)",
            STATEMENT_TIMEOUT.as_millis(),
            2 * STATEMENT_TIMEOUT.as_millis(),
        );
        // A pooler accepts a connection before it has one to the server.
        let answer = timeout(STATEMENT_TIMEOUT, client.simple_query(&sql)).await.map_err(|_| Refused::Timeout)?;
        let messages = answer.map_err(Refused::Error)?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |column| row.and_then(|row| row.get(column)).unwrap_or_default().to_owned();
        let number = |column| text(column).parse().unwrap_or_default();
        Ok(ServerSettings {
            version_number: number(0),
            version: text(1),
            fsync: text(2),
            synchronous_commit: text(3),
            synchronous_standbys: text(4),
            standbys: number(5),
        })
    }

    fn open_error(&self, error: Refused) -> DatabaseOpenError {
        let (location, detail) = (self.location(), error.to_string());
        let Refused::Error(error) = error else { return DatabaseOpenError::Unreachable { location, detail } };
        let user = self.user();
        match error.code() {
            Some(code) if *code == SqlState::INVALID_PASSWORD => DatabaseOpenError::Login { location, user, detail },
            Some(code) if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                DatabaseOpenError::Login { location, user, detail }
            }
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => {
                DatabaseOpenError::NoSuchDatabase { location, name: self.url.database.clone() }
            }
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                DatabaseOpenError::NoPrivilege { location, user, detail }
            }
            Some(code) if *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::TOO_MANY_CONNECTIONS => {
                DatabaseOpenError::Unreachable { location, detail }
            }
            Some(_) if failure(&error) == Failure::Unknown => DatabaseOpenError::Unreachable { location, detail },
            Some(_) => DatabaseOpenError::Other { location, detail },
            // The kinds of errors are private to the driver.
            None if detail.starts_with("error performing TLS handshake") => DatabaseOpenError::Tls { location, detail },
            None if detail.starts_with("authentication error") || detail.contains("password missing") => {
                DatabaseOpenError::Login { location, user, detail }
            }
            None => DatabaseOpenError::Unreachable { location, detail },
        }
    }
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the connection was not made in time")]
    Timeout,
    #[error("{}", text(.0))]
    Error(Error),
}

/// Handles the messages of a connection.
pub(super) trait Drive {
    fn drive<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, connection: Connection<Socket, T>);
}

impl<F: FnOnce(futures_util::future::BoxFuture<'static, Result<(), Error>>)> Drive for F {
    fn drive<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, connection: Connection<Socket, T>) {
        self(Box::pin(connection));
    }
}

/// Serves a connection for statements until it closes.
fn drive(connection: futures_util::future::BoxFuture<'static, Result<(), Error>>) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = text(&error), "a connection to the database was closed");
        }
    });
}

/// A setting with which the server may lose acknowledged changes, and the advice to change it.
fn unsafe_setting(settings: &ServerSettings) -> Option<(String, String)> {
    if settings.fsync == "off" {
        return Some(("fsync = off".into(), "Set fsync = on in postgresql.conf and restart the server".into()));
    }
    if settings.synchronous_commit == "off" {
        let advice = "Set synchronous_commit = on in postgresql.conf, or with ALTER ROLE … SET or ALTER DATABASE … SET";
        return Some(("synchronous_commit = off".into(), advice.into()));
    }
    None
}

/// TLS with the system's authorities, or those of a file.
fn tls(url: &ServerUrl) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &url.root_certificates {
        Some(path) => {
            let unreadable = |error| format!("`{}` has no certificates: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots
                    .add(certificate.map_err(unreadable)?)
                    .map_err(|error| format!("`{}`: {error}", path.display()))?;
            }
            if roots.is_empty() {
                return Err(format!("`{}` has no certificates", path.display()));
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
            if roots.is_empty() {
                return Err("the system has no certificates of authorities".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_commits_are_refused() {
        let settings = |fsync: &str, synchronous_commit: &str| ServerSettings {
            version_number: 150_000,
            version: "15.0".into(),
            fsync: fsync.into(),
            synchronous_commit: synchronous_commit.into(),
            synchronous_standbys: String::new(),
            standbys: 0,
        };
        for safe in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(unsafe_setting(&settings("on", safe)), None);
        }
        assert!(unsafe_setting(&settings("off", "on")).is_some_and(|(setting, _)| setting == "fsync = off"));
        assert!(
            unsafe_setting(&settings("on", "off")).is_some_and(|(setting, _)| setting == "synchronous_commit = off")
        );
    }
}
