//! Connections to MySQL and MariaDB.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, SslOpts};
use tokio::time::timeout;

use super::{read, text};
use crate::sql::engine::Row;
use crate::sql::error::DatabaseOpenError;
use crate::sql::url::{HostPort, Password, ServerUrl, Tls};

/// Least `max_allowed_packet`: the default of MariaDB.
const MIN_PACKET: u64 = 16 << 20;
const MYSQL_MIN: (u16, u16, u16) = (8, 0, 19);
const MARIADB_MIN: (u16, u16, u16) = (10, 6, 0);

/// Settings of each session.
const SETUP: [&str; 5] = [
    // Parameters are byte strings. The server must not interpret them as text of a character set.
    "SET NAMES binary",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION innodb_lock_wait_timeout = 5",
    "SET SESSION autocommit = 1",
];

/// Makes connections.
pub(super) struct Connector {
    url: ServerUrl,
    hosts: Vec<(HostPort, Opts)>,
}

/// Version and settings of a server.
pub(super) struct ServerSettings {
    version: String,
    flush_log_at_commit: i64,
    pub(super) max_packet: u64,
    is_read_only: bool,
    has_binary_log: bool,
    sync_binary_log: i64,
}

impl Connector {
    pub(super) fn new(url: &ServerUrl) -> Result<Self, DatabaseOpenError> {
        let tls = match url.tls() {
            Tls::Off => None,
            Tls::VerifyFull => {
                Some(tls(url).map_err(|detail| DatabaseOpenError::Tls { location: url.location(), detail })?)
            }
        };
        if tls.is_none() && !url.hosts.iter().all(HostPort::is_local) {
            tracing::warn!(database = %url.location(), "the connection to the database is not encrypted");
        }
        let options = |host: &HostPort| -> Opts {
            let builder = OptsBuilder::default()
                .user(url.user.clone())
                .pass(url.password.as_ref().map(Password::reveal))
                .db_name(Some(&url.database))
                .prefer_socket(false)
                .tcp_nodelay(true)
                .tcp_keepalive(Some(Duration::from_secs(10)))
                .client_found_rows(true)
                .stmt_cache_size(64)
                .setup(SETUP.to_vec());
            if host.is_socket() {
                builder.socket(Some(&host.host)).prefer_socket(true).into()
            } else {
                builder.ip_or_hostname(&host.host).tcp_port(host.port).ssl_opts(tls.clone()).into()
            }
        };
        let hosts = url.hosts.iter().map(|host| (host.clone(), options(host))).collect();
        Ok(Self { url: url.clone(), hosts })
    }

    pub(super) fn location(&self) -> String {
        self.url.location()
    }

    pub(super) fn user(&self) -> String {
        self.url.user.clone().unwrap_or_default()
    }

    /// A connection to the first server that accepts writes.
    pub(super) async fn connect(&self) -> Result<(Conn, ServerSettings), Refused> {
        let mut last = Refused::Timeout;
        for (host, options) in &self.hosts {
            let connected = timeout(self.url.connect_timeout, async {
                let mut connection = Conn::new(options.clone()).await?;
                let settings = read_settings(&mut connection).await?;
                Ok::<_, Error>((connection, settings))
            });
            last = match connected.await {
                Ok(Ok((_, settings))) if settings.is_read_only => Refused::ReadOnly(host.to_string()),
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => Refused::Error(error),
                Err(_) => Refused::Timeout,
            };
        }
        Err(last)
    }

    /// Refuses servers that are too old or may lose acknowledged changes.
    pub(super) fn check(&self, settings: &ServerSettings) -> Result<(), DatabaseOpenError> {
        let location = self.url.location();
        let is_mariadb = settings.version.to_ascii_lowercase().contains("mariadb");
        let (product, minimum) = if is_mariadb { ("MariaDB", MARIADB_MIN) } else { ("MySQL", MYSQL_MIN) };
        if parse_version(&settings.version) < minimum {
            let (found, (a, b, c)) = (format!("{product} {}", settings.version), minimum);
            return Err(DatabaseOpenError::TooOld { location, found, minimum: format!("{product} {a}.{b}.{c}") });
        }
        if ![1, 3].contains(&settings.flush_log_at_commit) {
            return Err(DatabaseOpenError::UnsafeSetting {
                location,
                setting: format!("innodb_flush_log_at_trx_commit = {}", settings.flush_log_at_commit),
                advice: "Set innodb_flush_log_at_trx_commit = 1".to_owned(),
            });
        }
        if settings.has_binary_log && settings.sync_binary_log == 0 {
            return Err(DatabaseOpenError::UnsafeSetting {
                location,
                setting: "a binary log with sync_binlog = 0".to_owned(),
                advice: "Set sync_binlog = 1".to_owned(),
            });
        }
        if settings.max_packet < MIN_PACKET {
            return Err(DatabaseOpenError::SettingTooSmall {
                location,
                setting: format!("max_allowed_packet = {}", settings.max_packet),
                minimum: MIN_PACKET.to_string(),
                advice: "Set max_allowed_packet = 1G, so that large documents fit".to_owned(),
            });
        }
        Ok(())
    }

    pub(super) fn open_error(&self, refused: Refused) -> DatabaseOpenError {
        let (location, detail) = (self.url.location(), refused.to_string());
        let user = self.user();
        match refused {
            Refused::Error(Error::Io(IoError::Io(error)))
                if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) =>
            {
                DatabaseOpenError::Tls { location, detail }
            }
            Refused::Error(Error::Server(error)) => match error.code {
                1045 | 1698 => DatabaseOpenError::Login { location, user, detail },
                1049 => DatabaseOpenError::NoSuchDatabase { location, name: self.url.database.clone() },
                1044 | 1142 | 1227 => DatabaseOpenError::NoPrivilege { location, user, detail },
                1040 | 1053 | 1203 => DatabaseOpenError::Unreachable { location, detail },
                _ => DatabaseOpenError::Other { location, detail },
            },
            Refused::Error(Error::Io(IoError::Tls(_)) | Error::Driver(DriverError::NoClientSslFlagFromServer)) => {
                DatabaseOpenError::Tls { location, detail }
            }
            Refused::Error(Error::Driver(
                DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled,
            )) => DatabaseOpenError::Login { location, user, detail },
            Refused::Error(_) | Refused::Timeout | Refused::ReadOnly(_) => {
                DatabaseOpenError::Unreachable { location, detail }
            }
        }
    }
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the connection was not made in time")]
    Timeout,
    #[error("{0} is read-only")]
    ReadOnly(String),
    #[error("{}", text(.0))]
    Error(Error),
}

/// TLS with the system's authorities, or those of a file.
fn tls(url: &ServerUrl) -> Result<SslOpts, String> {
    let roots = match &url.root_certificates {
        Some(path) => {
            std::fs::metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            vec![path.clone().into()]
        }
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            system.into_iter().map(|certificate| certificate.to_vec().into()).collect()
        }
    };
    Ok(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
}

async fn read_settings(connection: &mut Conn) -> Result<ServerSettings, Error> {
    let row: Option<mysql_async::Row> = connection
        .exec_first(
            "SELECT VERSION(), @@GLOBAL.innodb_flush_log_at_trx_commit, @@SESSION.max_allowed_packet, \
             @@GLOBAL.read_only, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog",
            (),
        )
        .await?;
    let row = row.map(read).unwrap_or(Row(Vec::new()));
    let number = |column| row.int(column).unwrap_or_default();
    Ok(ServerSettings {
        version: row.text(0).unwrap_or_default().to_owned(),
        flush_log_at_commit: number(1),
        max_packet: row.unsigned(2).unwrap_or_default(),
        is_read_only: number(3) != 0,
        has_binary_log: number(4) != 0,
        sync_binary_log: number(5),
    })
}

/// The first three numbers of a version.
fn parse_version(version: &str) -> (u16, u16, u16) {
    // MariaDB may put a compatibility version before its own.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_both_products_are_read() {
        assert_eq!(parse_version("8.0.36-0ubuntu0.22.04.1"), (8, 0, 36));
        assert_eq!(parse_version("10.11.6-MariaDB-0+deb12u1"), (10, 11, 6));
        assert_eq!(parse_version("5.5.5-10.6.1-MariaDB"), (10, 6, 1));
        assert_eq!(parse_version(""), (0, 0, 0));
    }
}
