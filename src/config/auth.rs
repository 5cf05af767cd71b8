//! The flags of who is let in, and of the commands that keep keys and accounts.

use std::path::PathBuf;
use std::time::Duration;

use auth::{AuthOptions, Documents, MAX_LIFETIME, NewKey, Role};
use clap::{Args, Subcommand, ValueEnum};
use jiff::{Span, SpanRelativeTo};

use super::ConfigError;

/// Flags of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Who is let in")]
pub struct AuthArgs {
    /// Let in only those with an account or a token; a folder made with `happierwork user add`
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: Option<PathBuf>,
    /// Let in those with a token of a provider: its public keys, a JWK set
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_JWKS")]
    pub jwks: Option<PathBuf>,
    /// What the provider calls this server: its tokens must name it as their audience (aud)
    #[arg(long, value_name = "AUD", env = "HAPPIERWORK_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,
    /// What the provider calls itself: its tokens must be issued by it (iss)
    #[arg(long, value_name = "ISS", env = "HAPPIERWORK_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,
    /// How many hours a login lasts
    #[arg(long, value_name = "HOURS", env = "HAPPIERWORK_SESSION_HOURS", default_value_t = 12,
          value_parser = clap::value_parser!(u64).range(1..=9_600))]
    pub session_hours: u64,
    /// The least role that may make documents
    #[arg(long, value_enum, env = "HAPPIERWORK_WHO_MAY_CREATE", default_value_t = WhoMayCreate::Editor)]
    pub who_may_create: WhoMayCreate,
}

impl AuthArgs {
    /// As the server takes them; none: nobody is asked.
    ///
    /// # Errors
    /// When a flag would do nothing.
    pub fn options(&self) -> Result<Option<AuthOptions>, ConfigError> {
        if self.jwks.is_none() {
            let flags = [("--jwt-audience", &self.jwt_audience), ("--jwt-issuer", &self.jwt_issuer)];
            if let Some((flag, _)) = flags.iter().find(|(_, value)| value.is_some()) {
                return Err(ConfigError::NeedsJwks(flag));
            }
            if self.auth.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(AuthOptions {
            folder: self.auth.clone(),
            jwks: self.jwks.clone(),
            audience: self.jwt_audience.clone(),
            issuer: self.jwt_issuer.clone(),
            session: Duration::from_secs(self.session_hours * 3_600),
        }))
    }
}

/// Who may make documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhoMayCreate {
    /// Everybody who is let in
    Viewer,
    /// Whoever may change documents
    Editor,
    /// Owners only
    Owner,
    /// There are only the documents that are there
    Nobody,
}

impl WhoMayCreate {
    /// The least role that may.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Viewer => Some(Role::Viewer),
            Self::Editor => Some(Role::Editor),
            Self::Owner => Some(Role::Owner),
            Self::Nobody => None,
        }
    }
}

/// Where keys and accounts are.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// The folder of keys and accounts, as given to the server
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: PathBuf,
}

/// `key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, which signs from now on; prints its id
    New {
        /// What kind of key
        #[arg(long, value_enum, default_value_t = NewKey::Ed25519)]
        alg: NewKey,
        /// Where.
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// List the keys; one of them signs, all of them verify
    List(FolderArgs),
    /// Forget a key: all tokens that it signed are refused from now on
    Retire {
        /// The id of the key
        #[arg(value_name = "KID")]
        kid: String,
        /// Where.
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Print the public keys as a JWK set, for others who are to verify tokens
    Export(FolderArgs),
}

/// `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Whose token: the name that is kept with what is changed with it
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// What it allows
    #[arg(long, value_enum)]
    pub role: Role,
    /// The documents that it is good for: ids with commas between them, `default`, or * for all
    #[arg(long, value_name = "LIST", default_value = "*")]
    pub documents: Documents,
    /// How long it is good, such as 30m, 12h or 90d; 400d at the most
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = lifetime)]
    pub expires: i64,
    /// Where.
    #[command(flatten)]
    pub folder: FolderArgs,
}

/// `user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: UserCommand,
}

/// What can be done with accounts. Passwords are asked for, or read as one line of standard input if that is no terminal.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; asks for its password
    Add(UserAddArgs),
    /// Set another password; whoever is logged in to the account is logged out
    Passwd(AccountArgs),
    /// Change what an account may do; holds at once, also for whoever is logged in
    Set(UserSetArgs),
    /// Let nobody log in to an account, and log out whoever is
    Disable(AccountArgs),
    /// Let its user log in again
    Enable(AccountArgs),
    /// List the accounts
    List(FolderArgs),
}

/// An account.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// What its user types at the login, such as an e-mail address
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where.
    #[command(flatten)]
    pub folder: FolderArgs,
}

/// `user add`.
#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// What its user may do
    #[arg(long, value_enum)]
    pub role: Role,
    /// With which documents: ids with commas between them, `default`, or * for all
    #[arg(long, value_name = "LIST", default_value = "*")]
    pub documents: Documents,
    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `user set`.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["role", "documents"])]
pub struct UserSetArgs {
    /// What its user may do
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// With which documents: ids with commas between them, `default`, or * for all
    #[arg(long, value_name = "LIST")]
    pub documents: Option<Documents>,
    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// Seconds.
fn lifetime(text: &str) -> Result<i64, String> {
    let wrong = || "not a time such as 30m, 12h or 90d".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let seconds = duration.as_secs();
    if (1..=MAX_LIFETIME).contains(&seconds) { Ok(seconds) } else { Err("a token lives for 1s to 400d".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do_and_bounded() {
        for (text, seconds) in [("1s", 1), ("30m", 1_800), ("12h", 43_200), ("1h 30m", 5_400), ("400d", MAX_LIFETIME)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for text in ["", "12", "forever", "0s", "-1h", "400d 1s", "401d", "2y", "1mo", "500ms", "99999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
