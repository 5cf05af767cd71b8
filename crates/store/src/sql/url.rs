//! Connection strings: `postgres://…`, `mysql://…` and `sqlite:FILE`.
//!
//! A [`DatabaseUrl`] never shows its password: `Display` and `Debug` leave it out, and no error repeats a part of the text.
//!
//! ```
//! use store::sql::DatabaseUrl;
//!
//! let url: DatabaseUrl = "postgres://plan:secret@db.example.com/plan".parse().unwrap();
//! assert_eq!(url.to_string(), "postgres://plan@db.example.com:5432/plan");
//! ```

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Location of the database and login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `postgres://` or `postgresql://`.
    Postgres(ServerUrl),
    /// `mysql://` or `mariadb://`.
    MySql(ServerUrl),
    /// `sqlite:` with the path of a file.
    Sqlite(PathBuf),
}

/// A database on one or more servers.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The servers, in the order in which they are tried.
    pub hosts: Vec<HostPort>,
    /// The user. `None` means the name of the user of this process.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Password>,
    /// The database on the server.
    pub database: String,
    /// Encryption. `None` means [`Tls::VerifyFull`], or [`Tls::Off`] if all hosts are on this machine.
    pub tls: Option<Tls>,
    /// Certificates of authorities to trust instead of the system's, as a PEM file.
    pub root_certificates: Option<PathBuf>,
    /// Whether the server must prove that it terminates the TLS connection itself (PostgreSQL).
    pub requires_channel_binding: bool,
    /// Settings of the session, such as `-c search_path=plan` (PostgreSQL).
    pub options: Option<String>,
    /// The name of our connections in the server's statistics.
    pub application_name: Option<String>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A host name, an address, or a path that begins with `/`: a Unix socket (MySQL) or its folder (PostgreSQL).
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Encryption of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not encrypted.
    Off,
    /// Encrypted; the certificate is verified, and its name must be the host's.
    VerifyFull,
}

/// A password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The password in plain text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Why a text is not a connection string. Repeats no part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Another scheme, or none.
    #[error("the database must be given as postgres://…, mysql://… or sqlite:FILE")]
    Scheme,
    /// No path after `sqlite:`.
    #[error("give the path of the database file: sqlite:FILE")]
    NoFile,
    /// No host.
    #[error("the host is missing: postgres://USER:PASSWORD@HOST/DATABASE")]
    NoHost,
    /// No database.
    #[error("the name of the database is missing: postgres://USER:PASSWORD@HOST/DATABASE")]
    NoDatabase,
    /// An invalid port.
    #[error("a port must be a number from 1 to 65535")]
    Port,
    /// `@` at an unexpected place.
    #[error("write `/`, `?`, `#`, `@` and `%` in a user name or password as %2F, %3F, %23, %40 and %25")]
    NotEncoded,
    /// A parameter that is not supported.
    #[error(
        "only these parameters are supported: sslmode, sslrootcert, target_session_attrs, channel_binding, options, \
         application_name, connect_timeout, host, port, socket"
    )]
    Parameter,
    /// A value of a parameter that is not supported.
    #[error("the parameter {0} cannot have this value; {1} are supported")]
    Value(&'static str, &'static str),
}

impl DatabaseUrl {
    /// Location of the database, for messages to the operator: hosts or a file.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::Postgres(server) | Self::MySql(server) => server.location(),
            Self::Sqlite(path) => path.display().to_string(),
        }
    }
}

impl ServerUrl {
    /// The hosts, for messages to the operator.
    #[must_use]
    pub fn location(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(HostPort::to_string).collect();
        hosts.join(",")
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn tls(&self) -> Tls {
        let is_local = self.hosts.iter().all(HostPort::is_local);
        self.tls.unwrap_or(if is_local { Tls::Off } else { Tls::VerifyFull })
    }

    fn parse(text: &str, default_port: u16) -> Result<Self, InvalidDatabaseUrl> {
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        if rest.contains('@') || rest.contains('#') {
            return Err(InvalidDatabaseUrl::NotEncoded);
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if login.contains('@') {
            return Err(InvalidDatabaseUrl::NotEncoded);
        }
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(Password(decode(password)?))),
            None => (login, None),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url = Self {
            hosts: Vec::new(),
            user: if user.is_empty() { None } else { Some(decode(user)?) },
            password,
            database: decode(path.strip_prefix('/').unwrap_or(path))?,
            tls: None,
            root_certificates: None,
            requires_channel_binding: false,
            options: None,
            application_name: None,
            connect_timeout: Duration::from_secs(5),
        };
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let parameters = parameters.map(|parameter| parameter.split_once('=').ok_or(InvalidDatabaseUrl::Parameter));
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let port = match parameters.iter().find(|(name, _)| *name == "port") {
            Some((_, port)) => parse_port(port)?,
            None => default_port,
        };
        for host in hosts.split(',').filter(|host| !host.is_empty()) {
            url.hosts.push(HostPort::parse(host, port)?);
        }
        for (name, value) in parameters {
            url.set(name, decode(value)?, port)?;
        }
        if url.hosts.is_empty() {
            return Err(InvalidDatabaseUrl::NoHost);
        }
        if url.database.is_empty() {
            return Err(InvalidDatabaseUrl::NoDatabase);
        }
        Ok(url)
    }

    fn set(&mut self, name: &str, value: String, default_port: u16) -> Result<(), InvalidDatabaseUrl> {
        match name {
            "sslmode" | "ssl-mode" => {
                self.tls = match value.to_ascii_lowercase().as_str() {
                    "disable" | "disabled" => Some(Tls::Off),
                    // These modes accept an unencrypted connection. Here the host decides.
                    "allow" | "prefer" | "preferred" => None,
                    "require" | "required" | "verify-ca" | "verify_ca" | "verify-full" | "verify_identity" => {
                        Some(Tls::VerifyFull)
                    }
                    _ => return Err(InvalidDatabaseUrl::Value("sslmode", "disable and verify-full")),
                };
            }
            "sslrootcert" | "ssl-ca" => self.root_certificates = (value != "system").then(|| PathBuf::from(value)),
            "target_session_attrs" => {
                if !["read-write", "primary", "any"].contains(&value.as_str()) {
                    return Err(InvalidDatabaseUrl::Value("target_session_attrs", "read-write and primary"));
                }
            }
            "channel_binding" => match value.as_str() {
                "require" => self.requires_channel_binding = true,
                "prefer" | "disable" => {}
                _ => return Err(InvalidDatabaseUrl::Value("channel_binding", "require, prefer and disable")),
            },
            "options" => self.options = Some(value),
            "application_name" => self.application_name = Some(value),
            "connect_timeout" => match value.parse() {
                Ok(seconds @ 1..=300) => self.connect_timeout = Duration::from_secs(seconds),
                _ => return Err(InvalidDatabaseUrl::Value("connect_timeout", "1 to 300 seconds")),
            },
            // Parsed before the hosts.
            "port" => {}
            "host" | "socket" => self.hosts = vec![HostPort { host: value, port: default_port }],
            _ => return Err(InvalidDatabaseUrl::Parameter),
        }
        Ok(())
    }
}

impl HostPort {
    fn parse(text: &str, default_port: u16) -> Result<Self, InvalidDatabaseUrl> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (address, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("")),
            },
        };
        let port = match port.ok_or(InvalidDatabaseUrl::Port)? {
            "" => default_port,
            port => parse_port(port)?,
        };
        match decode(host)? {
            host if host.is_empty() => Err(InvalidDatabaseUrl::NoHost),
            host => Ok(Self { host, port }),
        }
    }

    /// Whether this is a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// Whether the connection does not leave this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_loopback = self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.is_socket() || self.host.eq_ignore_ascii_case("localhost") || is_loopback
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            socket if socket.is_socket() => f.write_str(&self.host),
            address if address.host.contains(':') => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}/{}", self.location(), self.database)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(server) => write!(f, "postgres://{server}"),
            Self::MySql(server) => write!(f, "mysql://{server}"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidDatabaseUrl::Scheme)?;
        let server = |port| ServerUrl::parse(rest.strip_prefix("//").ok_or(InvalidDatabaseUrl::Scheme)?, port);
        match scheme {
            "postgres" | "postgresql" => Ok(Self::Postgres(server(5432)?)),
            "mysql" | "mariadb" => Ok(Self::MySql(server(3306)?)),
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" | ":memory:" => Err(InvalidDatabaseUrl::NoFile),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            _ => Err(InvalidDatabaseUrl::Scheme),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidDatabaseUrl> {
    text.parse().ok().filter(|port| *port != 0).ok_or(InvalidDatabaseUrl::Port)
}

/// Decodes percent-encoding such as `%2F`.
fn decode(text: &str) -> Result<String, InvalidDatabaseUrl> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|byte| *byte != 0);
        bytes.push(byte.ok_or(InvalidDatabaseUrl::NotEncoded)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| InvalidDatabaseUrl::NotEncoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, InvalidDatabaseUrl> {
        text.parse()
    }

    fn server(text: &str) -> ServerUrl {
        match parse(text).expect("valid") {
            DatabaseUrl::Postgres(server) | DatabaseUrl::MySql(server) => server,
            DatabaseUrl::Sqlite(_) => panic!("a file"),
        }
    }

    #[test]
    fn parts_of_a_url_are_found() {
        let url =
            server("postgresql://us%40er:p%2Fw@db.example.com:6543/plan%20a?application_name=a%26b&options=-c%20x=1");
        assert_eq!(url.user.as_deref(), Some("us@er"));
        assert_eq!(url.password.as_ref().map(Password::reveal), Some("p/w"));
        assert_eq!(url.hosts, [HostPort { host: "db.example.com".into(), port: 6543 }]);
        assert_eq!(url.database, "plan a");
        assert_eq!(url.application_name.as_deref(), Some("a&b"));
        assert_eq!(url.options.as_deref(), Some("-c x=1"));
        assert_eq!(server("mysql://h/d").hosts[0].port, 3306);
        assert_eq!(server("mysql://u@h/d").user.as_deref(), Some("u"));
    }

    #[test]
    fn several_hosts_and_addresses_are_accepted() {
        let url = server("postgres://a:1,b,[::1]:3/d?target_session_attrs=read-write");
        assert_eq!(url.location(), "a:1,b:5432,[::1]:3");
        assert!(!url.hosts[1].is_local() && url.hosts[2].is_local());
        assert_eq!(server("postgres://%2Frun%2Fpostgresql/d").hosts[0].host, "/run/postgresql");
        let socket = server("postgres:///d?host=/run/postgresql&port=7");
        assert_eq!((socket.location().as_str(), socket.hosts[0].port), ("/run/postgresql", 7));
    }

    #[test]
    fn remote_connections_are_encrypted_by_default() {
        for (url, tls) in [
            ("postgres://localhost/d", Tls::Off),
            ("postgres://127.0.0.3,[::1]/d", Tls::Off),
            ("postgres:///d?host=/run", Tls::Off),
            ("postgres://localhost,db/d", Tls::VerifyFull),
            ("postgres://db/d", Tls::VerifyFull),
            ("postgres://db/d?sslmode=prefer", Tls::VerifyFull),
            ("mysql://db/d?ssl-mode=REQUIRED", Tls::VerifyFull),
            ("postgres://localhost/d?sslmode=require", Tls::VerifyFull),
            ("postgres://db/d?sslmode=disable", Tls::Off),
        ] {
            assert_eq!(server(url).tls(), tls, "{url}");
        }
    }

    #[test]
    fn files_are_accepted_with_and_without_slashes() {
        for (url, path) in [("sqlite:plan.db", "plan.db"), ("sqlite:/a/b", "/a/b"), ("sqlite:///a/b", "/a/b")] {
            assert_eq!(parse(url), Ok(DatabaseUrl::Sqlite(path.into())));
        }
    }

    #[test]
    fn invalid_urls_are_refused() {
        use InvalidDatabaseUrl as Error;
        for (url, error) in [
            ("", Error::Scheme),
            ("plan.db", Error::Scheme),
            ("http://h/d", Error::Scheme),
            ("postgres:h/d", Error::Scheme),
            ("sqlite:", Error::NoFile),
            ("sqlite::memory:", Error::NoFile),
            ("postgres:///d", Error::NoHost),
            ("postgres://:1/d", Error::NoHost),
            ("postgres://h", Error::NoDatabase),
            ("postgres://h:0/d", Error::Port),
            ("postgres://h:x/d", Error::Port),
            ("postgres://[::1]x/d", Error::Port),
            ("postgres://u:%zz@h/d", Error::NotEncoded),
            ("postgres://u:%f@h/d", Error::NotEncoded),
            ("postgres://h/d?sslcert=f", Error::Parameter),
            ("postgres://h/d?sslmode", Error::Parameter),
        ] {
            assert_eq!(parse(url), Err(error), "{url}");
        }
        for (name, value) in [
            ("sslmode", "x"),
            ("target_session_attrs", "read-only"),
            ("channel_binding", "x"),
            ("connect_timeout", "0"),
        ] {
            let error = parse(&format!("postgres://h/d?{name}={value}")).expect_err("invalid");
            assert!(matches!(error, Error::Value(of, _) if of == name), "{error}");
        }
    }

    #[test]
    fn passwords_are_shown_nowhere() {
        // If characters are not encoded, parts of the password are parsed as other parts of the URL.
        for password in
            ["hunter2", "hun@ter2", "hun/ter2", "hun?ter2", "hun?ter2=1", "hun#ter2", "hun%ter2", "hun:ter2"]
        {
            for scheme in ["postgres", "mysql", "redis"] {
                let text = format!("{scheme}://me:{password}@db/plan?sslmode=disable");
                let shown = match parse(&text) {
                    Ok(url) => format!("{url} {url:?} {url:#?} {}", url.location()),
                    Err(error) => format!("{error} {error:?}"),
                };
                assert!(!shown.contains("hun") && !shown.contains("ter2"), "{text}: {shown}");
            }
        }
    }
}
