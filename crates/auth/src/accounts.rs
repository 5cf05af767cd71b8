//! Accounts that can log in, with their role and documents.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{AccountName, AuthError, Documents, Grant, HashedPassword, Role};

/// One account, as stored in users.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    password: HashedPassword,
    /// The role of the account's sessions on [`documents`](Self::documents).
    pub role: Role,
    /// The documents that its sessions may see.
    pub documents: Documents,
    /// Whether the account is disabled: logins fail, and its tokens are refused.
    #[serde(default)]
    pub disabled: bool,
    /// Tokens of this user that were issued before this time (Unix seconds) are refused.
    #[serde(default)]
    pub since: i64,
    /// Number of times that the account's sessions were ended. A session records the count at its login and is refused
    /// at any other count, so the decision does not depend on clocks.
    #[serde(default)]
    pub generation: u64,
    /// Whether the account was deleted. The record stays, so that tokens that were issued before stay refused, also when there is
    /// an account of this name again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl Account {
    /// Creates an enabled account.
    #[must_use]
    pub fn new(password: HashedPassword, role: Role, documents: Documents) -> Self {
        Self { password, role, documents, disabled: false, since: 0, generation: 0, deleted: false }
    }

    pub(super) fn password(&self) -> &HashedPassword {
        &self.password
    }

    /// Changes the password, and revokes all tokens that were issued until now.
    pub fn set_password(&mut self, password: HashedPassword, now: i64) {
        self.password = password;
        self.end_sessions(now);
    }

    /// Disables the account, and revokes its tokens for good: they stay refused when it is enabled again.
    pub fn disable(&mut self, now: i64) {
        self.disabled = true;
        self.end_sessions(now);
    }

    /// Enables the account again. The user has to log in.
    pub fn enable(&mut self) {
        self.disabled = false;
    }

    /// Deletes the account, and revokes its tokens for good. Forgets its password and its rights.
    pub(super) fn delete(&mut self, now: i64) {
        self.end_sessions(now);
        self.deleted = true;
        self.disabled = false;
        if let Some(placeholder) = HashedPassword::placeholder() {
            self.password = placeholder;
        }
        (self.role, self.documents) = (Role::Viewer, Documents::none());
    }

    /// Whether the account was deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// This account in the place of a deleted one of the same name, whose tokens stay refused.
    fn after(mut self, deleted: &Self) -> Self {
        self.since = self.since.max(deleted.since);
        self.generation = self.generation.max(deleted.generation);
        self
    }

    /// Ends all sessions and refuses all tokens issued until now.
    ///
    /// Tokens have their issue time in whole seconds, so a token issued within this second is refused too. The next one
    /// is dated to the next second (see [`issued`](Self::issued)), or later if this happens again within the second.
    fn end_sessions(&mut self, now: i64) {
        self.since = now.saturating_add(1).max(self.since.saturating_add(1));
        self.generation = self.generation.saturating_add(1);
    }

    /// Issue time (`iat`) for a token issued now: late enough for the account to accept it.
    #[must_use]
    pub fn issued(&self, now: i64) -> i64 {
        now.max(self.since)
    }

    /// Whether the account accepts this token. A deleted account accepts new tokens of programs, as if there had been none.
    pub(super) fn accepts(&self, token: &Grant) -> bool {
        // Also for sessions: files from before `generation` existed rely on the issue time.
        let is_current = !token.session || (token.generation == self.generation && !self.deleted);
        !self.disabled && is_current && token.issued >= self.since
    }
}

/// All accounts by name: the content of users.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    users: BTreeMap<AccountName, Account>,
}

impl Accounts {
    /// Whether there is no account, and never was one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Iterates over the accounts in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountName, &Account)> {
        self.records().filter(|(_, account)| !account.deleted)
    }

    /// Returns the account of this name.
    #[must_use]
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.record(name).filter(|account| !account.deleted)
    }

    /// Issue time (`iat`) for a token of this user issued now: late enough for the account, or the record of a deleted one, to accept
    /// it.
    #[must_use]
    pub fn issued(&self, name: &AccountName, now: i64) -> i64 {
        self.record(name).map_or(now, |account| account.issued(now))
    }

    /// The accounts and the records of deleted ones, in the order of their names.
    pub(super) fn records(&self) -> impl Iterator<Item = (&AccountName, &Account)> {
        self.users.iter()
    }

    /// The account of this name, or the record of a deleted one.
    pub(super) fn record(&self, name: &AccountName) -> Option<&Account> {
        self.users.get(name)
    }

    /// Finds the account of the user that a token names, or the record of a deleted one.
    pub(super) fn of_user(&self, user: &str) -> Option<&Account> {
        // Lower case, like `AccountName`: otherwise another spelling would get past a disabled account.
        self.users.get(user.to_ascii_lowercase().as_str())
    }

    /// The names of the accounts that `others` lack.
    pub(super) fn missing_in<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = &'a AccountName> {
        self.iter().map(|(name, _)| name).filter(|name| !others.users.contains_key(*name))
    }

    /// Adds an account.
    ///
    /// # Errors
    /// When there is an account of that name.
    pub fn add(&mut self, name: AccountName, account: Account) -> Result<(), AuthError> {
        let account = match self.users.get(&name) {
            Some(existing) if !existing.deleted => return Err(AuthError::AccountExists(name)),
            Some(deleted) => account.after(deleted),
            None => account,
        };
        self.users.insert(name, account);
        Ok(())
    }

    /// Returns the account of this name for a change.
    ///
    /// # Errors
    /// When there is no account of that name.
    pub fn account(&mut self, name: &AccountName) -> Result<&mut Account, AuthError> {
        let account = self.users.get_mut(name).filter(|account| !account.deleted);
        account.ok_or_else(|| AuthError::NoAccount(name.clone()))
    }
}

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            users: Users,
        }
        let file = File::deserialize(deserializer)?;
        Ok(Self { users: file.users.0 })
    }
}

/// A map without repeated names: readers could disagree which of two accounts counts.
struct Users(BTreeMap<AccountName, Account>);

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Users;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("accounts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Users, A::Error> {
                let mut users = BTreeMap::new();
                while let Some((name, account)) = entries.next_entry::<AccountName, Account>()? {
                    if users.insert(name.clone(), account).is_some() {
                        return Err(de::Error::custom(format_args!("there are two accounts {name}")));
                    }
                }
                Ok(Users(users))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Account::new(hash.to_owned().try_into().expect("a hash"), Role::Editor, Documents::All)
    }

    fn name(text: &str) -> AccountName {
        AccountName::new(text).expect("a name")
    }

    #[test]
    fn accounts_survive_a_round_trip() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo@example.com"), account()).expect("new");
        accounts
            .add(name("ceo"), Account { disabled: true, since: 7, documents: Documents::none(), ..account() })
            .expect("new");
        let written = serde_json::to_string(&accounts).expect("JSON");
        assert_eq!(serde_json::from_str::<Accounts>(&written).expect("accounts"), accounts);
    }

    #[test]
    fn duplicate_account_names_are_rejected() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo"), account()).expect("new");
        assert!(matches!(accounts.add(name("CFO "), account()), Err(AuthError::AccountExists(_))));
        assert!(matches!(accounts.account(&name("ceo")), Err(AuthError::NoAccount(_))));
    }

    #[test]
    fn file_with_duplicate_or_unknown_keys_is_rejected() {
        let one = serde_json::to_string(&account()).expect("JSON");
        let read = |users: &str| serde_json::from_str::<Accounts>(&format!("{{\"users\":{{{users}}}}}"));
        assert!(read(&format!("\"cfo\":{one}")).is_ok());
        let twice = read(&format!("\"cfo\":{one},\"CFO\":{one}")).expect_err("two").to_string();
        assert!(twice.contains("two accounts cfo"), "{twice}");
        assert!(read(&format!("\"cfo\":{}", one.replace("disabled", "disbled"))).is_err());
        assert!(read(&format!("\"\":{one}")).is_err());
        assert!(serde_json::from_str::<Accounts>("{}").is_err());
    }

    #[test]
    fn deleted_account_is_gone_and_its_tokens_stay_refused() {
        let mut accounts = Accounts::default();
        let cfo = name("cfo");
        let password = HashedPassword::new("correct horse").expect("long enough");
        accounts.add(cfo.clone(), Account::new(password, Role::Owner, Documents::All)).expect("new");
        let first = accounts.get(&cfo).expect("there").clone();
        let [session, program] = [true, false].map(|session| token(&first, session, 100));
        accounts.account(&cfo).expect("there").delete(100);
        assert_eq!((accounts.get(&cfo), accounts.iter().count()), (None, 0));
        assert!(matches!(accounts.account(&cfo), Err(AuthError::NoAccount(_))));
        let record = accounts.of_user("CFO").expect("kept").clone();
        assert_ne!(record.password(), first.password(), "the password is forgotten");
        assert!(!record.accepts(&session) && !record.accepts(&program));
        let later = token(&record, false, accounts.issued(&cfo, 100));
        assert!(record.accepts(&later), "as without an account");
        assert!(!record.accepts(&token(&record, true, 200)), "nobody can log in");
        let written = serde_json::to_string(&accounts).expect("JSON");
        assert_eq!(serde_json::from_str::<Accounts>(&written).expect("accounts"), accounts);
        assert!(!serde_json::to_string(&first).expect("JSON").contains("deleted"), "readable by earlier versions");

        accounts.add(cfo.clone(), account()).expect("again");
        let again = accounts.get(&cfo).expect("there");
        assert!(!again.accepts(&session) && !again.accepts(&program));
        assert!(again.accepts(&token(again, true, 200)));
    }

    /// A token that is issued to the user at `now`: for a session or for a program.
    fn token(account: &Account, session: bool, now: i64) -> Grant {
        Grant {
            user: "cfo".into(),
            role: Role::Editor,
            documents: Documents::All,
            expires: now + 3_600,
            key: "1".into(),
            id: None,
            session,
            generation: if session { account.generation } else { 0 },
            issued: account.issued(now),
        }
    }

    #[test]
    fn password_change_revokes_tokens_of_the_same_second() {
        let mut account = account();
        for session in [false, true] {
            let mut before = Vec::new();
            for _ in 0..3 {
                before.push(token(&account, session, 1_000));
                account.set_password(account.password().clone(), 1_000);
                assert!(before.iter().all(|token| !account.accepts(token)), "{before:?}");
                assert!(account.accepts(&token(&account, session, 1_000)));
            }
        }
        assert_eq!(account.issued(2_000), 2_000);
    }

    #[test]
    fn enabling_an_account_restores_no_tokens() {
        for session in [false, true] {
            let mut account = account();
            let before = token(&account, session, 1_000);
            account.disable(1_000);
            assert!(!account.accepts(&before) && !account.accepts(&token(&account, session, 5_000)));
            account.enable();
            assert!(!account.accepts(&before) && account.accepts(&token(&account, session, 1_000)));
        }
    }

    #[test]
    fn sessions_ended_before_generations_existed_stay_ended() {
        let mut account = account();
        let before = token(&account, true, 1_000);
        account.set_password(account.password().clone(), 1_000);
        // As older versions wrote the file.
        account.generation = 0;
        assert!(!account.accepts(&before) && account.accepts(&token(&account, true, 1_000)));
    }

    #[test]
    fn ended_session_is_refused_regardless_of_clocks() {
        let mut account = account();
        // The server has not read the change yet, and its clock is ahead of the command's.
        let before = account.clone();
        account.set_password(account.password().clone(), 1_000);
        assert!(!account.accepts(&token(&before, true, 1_002)));
        account.disable(900);
        account.enable();
        assert!(!account.accepts(&token(&before, true, 9_000)));
        assert!(account.accepts(&token(&account, true, 900)));
    }

    #[test]
    fn account_lookup_ignores_ascii_case() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo@example.com"), account()).expect("new");
        for user in ["cfo@example.com", "CFO@example.com"] {
            assert!(accounts.of_user(user).is_some(), "{user}");
        }
        assert!(accounts.of_user("ceo@example.com").is_none());
    }
}
