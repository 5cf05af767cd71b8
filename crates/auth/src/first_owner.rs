//! The first account of a new server, from its configuration.
//!
//! In a container nobody can run `user add` before the server starts.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{
    Account, AccountName, AccountStore, AuthError, Documents, HashedPassword, InvalidPassword, MAX_PASSWORD, Role,
};

/// The owner that is added if there are no accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOwner {
    /// Name of the account.
    pub name: AccountName,
    /// File with the password, which may end with a line break. It is not read if there are accounts.
    pub password_file: PathBuf,
}

impl FirstOwner {
    /// Adds the account if there are none. Returns whether it was added.
    ///
    /// # Errors
    /// When the password cannot be read or is invalid, or the account cannot be stored.
    pub async fn add_to(&self, accounts: &AccountStore) -> Result<bool, AuthError> {
        if !accounts.accounts().await?.is_empty() {
            return Ok(false);
        }
        let password = HashedPassword::new(&read_password(&self.password_file)?)?;
        accounts.add_first(&self.name, Account::new(password, Role::Owner, Documents::All)).await
    }
}

/// Reads a password. Unlike our own files, a secret that a container platform mounts may be readable by others.
fn read_password(path: &Path) -> Result<String, AuthError> {
    let failed = |source| AuthError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_PASSWORD as u64 + 3).read_to_string(&mut text).map_err(failed)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.len() > MAX_PASSWORD || text.contains(['\n', '\r']) {
        Err(InvalidPassword.into())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuthFolder;

    #[tokio::test]
    async fn owner_is_added_only_to_an_empty_store() {
        let home = tempfile::tempdir().expect("folder");
        let folder = AuthFolder::create(home.path().join("auth")).expect("created");
        let store = AccountStore::Folder(folder.clone());
        let password_file = home.path().join("password");
        let owner = |name: &str| FirstOwner {
            name: AccountName::new(name).expect("a name"),
            password_file: password_file.clone(),
        };
        assert!(matches!(owner("ceo").add_to(&store).await, Err(AuthError::Read { .. })));
        std::fs::write(&password_file, "short\n").expect("written");
        assert!(matches!(owner("ceo").add_to(&store).await, Err(AuthError::Password(_))));
        std::fs::write(&password_file, "correct horse battery\n").expect("written");
        assert!(owner("CEO").add_to(&store).await.expect("stored"));
        // The secret may be removed once there is an account.
        std::fs::remove_file(&password_file).expect("removed");
        assert!(!owner("cfo").add_to(&store).await.expect("no change"));
        let accounts = folder.accounts().expect("readable");
        let (name, account) = accounts.iter().next().expect("one");
        assert_eq!((name.as_str(), account.role, &account.documents), ("ceo", Role::Owner, &Documents::All));
        assert!(crate::password::Verifier::new().is_right("correct horse battery", Some(account.password())));
        assert_eq!(accounts.iter().count(), 1);
    }

    #[test]
    fn password_is_one_line() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("password");
        for (content, password) in [("a b\r\n", Some("a b")), ("a", Some("a")), ("a\nb\n", None), ("\n", Some(""))] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(read_password(&path).ok().as_deref(), password, "{content:?}");
        }
        std::fs::write(&path, "x".repeat(MAX_PASSWORD + 1)).expect("written");
        assert!(read_password(&path).is_err());
    }
}
