//! Creation of the first account by a link in the startup message.
//!
//! The link holds a code that only operators can read there. It is new at each start, and worth nothing once there is an account.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use offload::run_cpu_bound;

use super::{Account, AccountName, AccountStore, AuthError, Authority, Documents, HashedPassword, Role};

/// Random bytes of a code.
const CODE_LEN: usize = 16;

/// The code of this start.
#[derive(Clone)]
pub(super) struct SetupCode(String);

/// Why the first account was not created.
#[derive(Debug, thiserror::Error)]
pub enum SetupRefused {
    /// The code is not that of this start, or there are accounts.
    #[error(
        "the link is not valid any more: the server was started again, or has an account. The newest link is in its log"
    )]
    Code,
    /// The name, the password or the storage.
    #[error(transparent)]
    Account(#[from] AuthError),
}

impl SetupCode {
    pub(super) fn new() -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; CODE_LEN]>()))
    }

    /// Compares in constant time.
    fn is(&self, code: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), code.as_bytes()).is_ok()
    }
}

impl Authority {
    /// The code that creates the first account, while there is none. `None` if accounts are not kept in a folder of this server.
    #[must_use]
    pub fn setup_code(&self) -> Option<&str> {
        let code = self.0.setup.as_ref()?;
        (!self.has_accounts()).then_some(&code.0)
    }

    /// Creates the first account, an owner of all documents.
    ///
    /// # Errors
    /// When the code is wrong or there are accounts; or when the name or the password is invalid, or cannot be stored.
    pub async fn set_up(&self, code: &str, name: &str, password: &str) -> Result<(), SetupRefused> {
        let (Some(expected), Some(folder)) = (&self.0.setup, &self.0.folder) else { return Err(SetupRefused::Code) };
        if self.has_accounts() || !expected.is(code) {
            return Err(SetupRefused::Code);
        }
        let name = AccountName::new(name).map_err(AuthError::from)?;
        let password = run_cpu_bound(|| HashedPassword::new(password))?;
        let store = AccountStore::Folder(folder.clone());
        if !store.add_first(&name, Account::new(password, Role::Owner, Documents::All)).await? {
            return Err(SetupRefused::Code);
        }
        self.refresh();
        tracing::info!(account = name.as_str(), "added the first account, an owner");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthFolder, AuthOptions};

    fn authority(home: &tempfile::TempDir) -> Authority {
        let folder = AuthFolder::create(home.path().join("auth")).expect("created");
        folder.with_a_key(0).expect("a key");
        Authority::open(&AuthOptions { folder: Some(folder.path().to_owned()), ..AuthOptions::default() })
            .expect("opens")
    }

    #[tokio::test]
    async fn code_creates_one_account() {
        let home = tempfile::tempdir().expect("folder");
        let authority = authority(&home);
        let code = authority.setup_code().expect("no accounts").to_owned();
        assert_eq!(code.len(), 22);
        for (code, name, password) in [("", "ceo", "correct horse"), (&code[1..], "ceo", "correct horse")] {
            let refused = authority.set_up(code, name, password).await;
            assert!(matches!(refused, Err(SetupRefused::Code)), "{refused:?}");
        }
        for (name, password) in [("", "correct horse"), ("ceo", "short")] {
            let refused = authority.set_up(&code, name, password).await;
            assert!(matches!(refused, Err(SetupRefused::Account(_))), "{refused:?}");
        }
        authority.set_up(&code, "CEO", "correct horse").await.expect("created");
        assert_eq!(authority.setup_code(), None);
        assert!(matches!(authority.set_up(&code, "cfo", "correct horse").await, Err(SetupRefused::Code)));
        let from = std::net::Ipv4Addr::LOCALHOST.into();
        let session = authority.login("ceo", "correct horse", from, 10).await.expect("logged in");
        assert_eq!(session.grant.role, Role::Owner);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_of_two_simultaneous_setups_succeeds() {
        let home = tempfile::tempdir().expect("folder");
        let authority = authority(&home);
        let code = authority.setup_code().expect("no accounts").to_owned();
        let set_up = |name: &'static str| {
            let (authority, code) = (authority.clone(), code.clone());
            tokio::spawn(async move { authority.set_up(&code, name, "correct horse").await.is_ok() })
        };
        let (one, other) = (set_up("ceo"), set_up("cfo"));
        let created = [one.await.expect("no panic"), other.await.expect("no panic")];
        assert_eq!(created.into_iter().filter(|created| *created).count(), 1);
        let folder = AuthFolder::open(home.path().join("auth")).expect("opens");
        assert_eq!(folder.accounts().expect("readable").iter().count(), 1);
    }

    #[tokio::test]
    async fn account_of_another_process_ends_the_setup() {
        let home = tempfile::tempdir().expect("folder");
        let authority = authority(&home);
        let code = authority.setup_code().expect("no accounts").to_owned();
        let folder = AuthFolder::open(home.path().join("auth")).expect("opens");
        let account = Account::new(HashedPassword::new("correct horse").expect("valid"), Role::Viewer, Documents::All);
        let name = AccountName::new("board").expect("a name");
        AccountStore::Folder(folder).add(&name, account).await.expect("added");
        // The server has not noticed it yet.
        assert!(matches!(authority.set_up(&code, "ceo", "correct horse").await, Err(SetupRefused::Code)));
    }
}
