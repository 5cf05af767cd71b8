//! Authentication flags of the server, and the flags of `key`, `token` and `user`.

use std::path::PathBuf;
use std::time::Duration;

use auth::{AccountName, AuthOptions, Documents, FirstOwner, MAX_LIFETIME, NewKey, Role};
use clap::{ArgMatches, Args, Subcommand, ValueEnum};
use store::sql::DatabaseUrl;

use super::ConfigError;
use super::duration::seconds;
use super::identity_provider::IdentityProviderArgs;
use super::storage::DatabaseChoice;

/// Authentication flags of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Require an account or a token. DIR holds keys and accounts; create it with `happierwork user add`
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: Option<PathBuf>,
    /// Whether the folder is the default one of `--data-dir`.
    #[arg(skip)]
    pub is_default: bool,
    /// Add this account with the role owner if there are no accounts, for a first start without a terminal
    #[arg(long, value_name = "NAME", env = "HAPPIERWORK_OWNER", requires = "owner_password_file", value_parser = account_name)]
    pub owner: Option<AccountName>,
    /// File with the password of --owner; read only if there are no accounts. No effect without --owner
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_OWNER_PASSWORD_FILE")]
    pub owner_password_file: Option<PathBuf>,
    /// Lifetime of a login, in hours
    #[arg(long, value_name = "HOURS", env = "HAPPIERWORK_SESSION_HOURS", default_value_t = 12,
          value_parser = clap::value_parser!(u64).range(1..=9_600))]
    pub session_hours: u64,
    /// Lowest role that may create documents
    #[arg(long, value_enum, env = "HAPPIERWORK_WHO_MAY_CREATE", default_value_t = WhoMayCreate::Editor)]
    pub who_may_create: WhoMayCreate,
    /// The identity provider.
    #[command(flatten)]
    pub provider: IdentityProviderArgs,
}

impl AuthArgs {
    /// Converts the flags to options. `None` disables authentication. `is_open`: everything is allowed to all who reach the server;
    /// `is_public`: those may be on other machines.
    ///
    /// # Errors
    /// If a flag needs another one, which is missing.
    pub fn options(&self, is_open: bool, is_public: bool) -> Result<Option<AuthOptions>, ConfigError> {
        let folder = self.folder(is_open, is_public);
        let first_owner = self.owner.clone().zip(self.owner_password_file.clone());
        if first_owner.is_some() && folder.is_none() {
            return Err(ConfigError::OwnerNeedsAuth);
        }
        self.provider.check(folder.is_some())?;
        if self.provider.flag().is_none() && folder.is_none() {
            return Ok(None);
        }
        Ok(Some(AuthOptions {
            // A folder that was named is not created: the name may be mistyped.
            create: self.is_default || first_owner.is_some(),
            folder: folder.cloned(),
            first_owner: first_owner.map(|(name, password_file)| FirstOwner { name, password_file }),
            jwks: self.provider.file(),
            expects_provider_keys: self.provider.options().is_some(),
            claims: self.provider.claims(),
            audience: self.provider.jwt_audience.clone(),
            provider_logins: self.provider.oidc_client_id.is_some(),
            issuer: self.provider.issuer(),
            session: Duration::from_secs(self.session_hours * 3_600),
        }))
    }

    /// The folder of keys and accounts. The default one of `--data-dir` counts if it exists, if there is an owner to add, and if
    /// nothing else protects a server that others can reach.
    fn folder(&self, is_open: bool, is_public: bool) -> Option<&PathBuf> {
        let folder = self.auth.as_ref()?;
        let needs_accounts = self.owner.is_some() || folder.exists() || (is_public && self.provider.flag().is_none());
        (!self.is_default || (!is_open && needs_accounts)).then_some(folder)
    }
}

fn account_name(text: &str) -> Result<AccountName, String> {
    AccountName::new(text).map_err(|error| error.to_string())
}

/// The users who may create documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhoMayCreate {
    /// All users
    Viewer,
    /// Editors and owners
    Editor,
    /// Owners only
    Owner,
    /// No one; only existing documents can be used
    Nobody,
}

impl WhoMayCreate {
    /// Returns the lowest role that may create documents; `None` if no one may.
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

/// The flag that locates keys and accounts.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// Folder of keys and accounts: the server's --auth
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: PathBuf,
}

/// The flags that locate accounts.
#[derive(Debug, Args)]
pub struct AccountsArgs {
    /// Folder of keys and accounts: the server's --auth. With --database, the folder of keys
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: Option<PathBuf>,
    /// The database of the accounts.
    #[command(flatten)]
    pub database: DatabaseChoice,
}

impl AccountsArgs {
    fn resolve(&mut self, matches: &ArgMatches, has_files: bool) -> Result<(), String> {
        resolve_database(&mut self.database, matches, has_files)?;
        if self.auth.is_none() && self.database.database.is_none() {
            return Err("the accounts are not named: pass --auth DIR or --database URL".to_owned());
        }
        Ok(())
    }
}

/// Takes the database from the variable of hosting platforms, as a server does that is given neither a database nor files.
/// `has_files`: the configuration file names files.
fn resolve_database(database: &mut DatabaseChoice, matches: &ArgMatches, has_files: bool) -> Result<(), String> {
    let variables = ["HAPPIERWORK_STATE", "HAPPIERWORK_DOCUMENTS"];
    if has_files || variables.iter().any(|name| std::env::var_os(name).is_some()) {
        Ok(())
    } else {
        database.resolve(matches, &[])
    }
}

/// Flags of `key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// The subcommands of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print its id; new tokens are signed with it
    New {
        /// Algorithm
        #[arg(long, value_enum, default_value_t = NewKey::Ed25519)]
        alg: NewKey,
        /// The folder of keys.
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// List keys; the newest signs, all of them verify
    List {
        /// Print a JSON array (docs/operations.md)
        #[arg(long)]
        json: bool,
        /// The folder of keys.
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Remove a key; tokens signed with it are rejected from now on
    Retire {
        /// Key id
        #[arg(value_name = "KID")]
        kid: String,
        /// The folder of keys.
        #[command(flatten)]
        folder: FolderArgs,
    },
    /// Print the public keys as a JWK set, for services that verify tokens
    Export(FolderArgs),
}

/// Flags of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// User name, recorded as the author of changes
    #[arg(long, value_name = "NAME")]
    pub user: String,
    /// Role granted by the token
    #[arg(long, value_enum)]
    pub role: Role,
    /// Documents the token grants access to: comma-separated ids, `default`, or * for all
    #[arg(long, value_name = "LIST", default_value = "*")]
    pub documents: Documents,
    /// Lifetime, such as 30m, 12h or 90d; at most 400d
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = lifetime)]
    pub expires: i64,
    /// Folder of keys and accounts: the server's --auth
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
    pub auth: PathBuf,
    /// The database of the accounts.
    #[command(flatten)]
    pub database: DatabaseChoice,
}

impl TokenArgs {
    pub(super) fn resolve(&mut self, matches: &ArgMatches, has_files: bool) -> Result<(), String> {
        resolve_database(&mut self.database, matches, has_files)
    }
}

/// Flags of `user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: UserCommand,
}

/// The subcommands of `user`. Passwords are read from the terminal, or from one line of standard input.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; prompts for a password
    Add(UserAddArgs),
    /// Change a password; ends all sessions of the account
    Passwd(AccountArgs),
    /// Change the rights of an account; takes effect immediately, also in open sessions
    Set(UserSetArgs),
    /// Disable an account and end its sessions
    Disable(AccountArgs),
    /// Enable a disabled account
    Enable(AccountArgs),
    /// Delete an account and end its sessions
    ///
    /// Tokens that were issued before stay refused. Documents keep the account as their owner, also for a later account of that name.
    Delete(AccountArgs),
    /// List accounts
    List(UserListArgs),
    /// Copy the accounts of a folder, and its tokens that were logged out, to a database. Accounts that are there stay as they are
    Copy {
        /// Folder of the accounts
        #[arg(long, value_name = "DIR", env = "HAPPIERWORK_AUTH")]
        auth: PathBuf,
        /// Database of the accounts from now on
        #[arg(long, value_name = "URL", env = "HAPPIERWORK_DATABASE", hide_env_values = true)]
        database: DatabaseUrl,
    },
}

impl UserCommand {
    pub(super) fn resolve(&mut self, matches: &ArgMatches, has_files: bool) -> Result<(), String> {
        let place = match self {
            Self::Add(UserAddArgs { account, .. }) | Self::Set(UserSetArgs { account, .. }) => &mut account.place,
            Self::Passwd(account) | Self::Disable(account) | Self::Enable(account) | Self::Delete(account) => {
                &mut account.place
            }
            Self::List(args) => &mut args.place,
            Self::Copy { .. } => return Ok(()),
        };
        place.resolve(matches, has_files)
    }
}

/// Flags of `user list`.
#[derive(Debug, Args)]
pub struct UserListArgs {
    /// Print a JSON array (docs/operations.md)
    #[arg(long)]
    pub json: bool,
    /// The place of the accounts.
    #[command(flatten)]
    pub place: AccountsArgs,
}

/// Flags that name an account.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// Login name, such as an e-mail address
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The place of the accounts.
    #[command(flatten)]
    pub place: AccountsArgs,
}

/// Flags of `user add`.
#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// Role of the user
    #[arg(long, value_enum)]
    pub role: Role,
    /// Documents the user can access: comma-separated ids, `default`, or * for all
    #[arg(long, value_name = "LIST", default_value = "*")]
    pub documents: Documents,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// Flags of `user set`.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["role", "documents"])]
pub struct UserSetArgs {
    /// Role of the user
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// Documents the user can access: comma-separated ids, `default`, or * for all
    #[arg(long, value_name = "LIST")]
    pub documents: Option<Documents>,
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// Parses a token lifetime into seconds.
fn lifetime(text: &str) -> Result<i64, String> {
    let seconds = seconds(text)?;
    if (1..=MAX_LIFETIME).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("the lifetime of a token is 1s to 400d".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_parsed_and_bounded() {
        for (text, seconds) in [("1s", 1), ("30m", 1_800), ("12h", 43_200), ("1h 30m", 5_400), ("400d", MAX_LIFETIME)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for text in ["", "12", "forever", "0s", "-1h", "400d 1s", "401d", "2y", "1mo", "500ms", "99999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
