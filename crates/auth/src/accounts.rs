//! Accounts: who may log in, as what, and what they may see.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{AccountName, AuthError, Documents, Grant, HashedPassword, Role};

/// One account, as it is kept in users.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    password: HashedPassword,
    /// What its sessions may do.
    pub role: Role,
    /// With which documents.
    pub documents: Documents,
    /// Nobody can log in to it, and its tokens are refused.
    #[serde(default)]
    pub disabled: bool,
    /// Tokens of this user that were issued before this moment (in Unix seconds) are refused.
    #[serde(default)]
    pub since: i64,
    /// How often its sessions were ended. A session says at which count it began, and is refused at any other: so no clock decides
    /// whether it began before or after, nor when the server has noticed.
    #[serde(default)]
    pub generation: u64,
}

impl Account {
    /// A new one.
    #[must_use]
    pub fn new(password: HashedPassword, role: Role, documents: Documents) -> Self {
        Self { password, role, documents, disabled: false, since: 0, generation: 0 }
    }

    pub(super) fn password(&self) -> &HashedPassword {
        &self.password
    }

    /// Sets another password. Tokens that were issued until now are refused from now on.
    pub fn set_password(&mut self, password: HashedPassword, now: i64) {
        self.password = password;
        self.end_sessions(now);
    }

    /// Disables the account. Its tokens are refused, also when it is enabled again.
    pub fn disable(&mut self, now: i64) {
        self.disabled = true;
        self.end_sessions(now);
    }

    /// Enables it again: its user may log in.
    pub fn enable(&mut self) {
        self.disabled = false;
    }

    /// A token says the second in which it was issued. One of this very second is refused, too: so the next good one says the next
    /// second, see [`issued`](Self::issued); and should that happen twice in a second, the one after.
    fn end_sessions(&mut self, now: i64) {
        self.since = now.saturating_add(1).max(self.since.saturating_add(1));
        self.generation = self.generation.saturating_add(1);
    }

    /// When a token that is made now says that it was issued.
    #[must_use]
    pub fn issued(&self, now: i64) -> i64 {
        now.max(self.since)
    }

    /// Whether a token is good, as far as that is for the account to say.
    pub(super) fn accepts(&self, token: &Grant) -> bool {
        // The moment counts for sessions, too: what was ended before there was a count stays ended.
        let is_current = !token.session || token.generation == self.generation;
        !self.disabled && is_current && token.issued >= self.since
    }
}

/// All accounts, by name. In users.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    users: BTreeMap<AccountName, Account>,
}

impl Accounts {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountName, &Account)> {
        self.users.iter()
    }

    /// One.
    #[must_use]
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.users.get(name)
    }

    /// The account of a user, as a token names him.
    pub(super) fn of_user(&self, user: &str) -> Option<&Account> {
        // As AccountName does it. A name that is written in another way would get past a disabled account.
        self.users.get(user.to_ascii_lowercase().as_str())
    }

    /// Adds one.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn add(&mut self, name: AccountName, account: Account) -> Result<(), AuthError> {
        if self.users.contains_key(&name) {
            return Err(AuthError::AccountExists(name));
        }
        self.users.insert(name, account);
        Ok(())
    }

    /// One, to be changed.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn account(&mut self, name: &AccountName) -> Result<&mut Account, AuthError> {
        self.users.get_mut(name).ok_or_else(|| AuthError::NoAccount(name.clone()))
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

/// A map in which no name comes twice: who reads the file must not be in doubt which of two accounts counts.
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
    fn what_is_written_is_read() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo@example.com"), account()).expect("new");
        accounts
            .add(name("ceo"), Account { disabled: true, since: 7, documents: Documents::none(), ..account() })
            .expect("new");
        let written = serde_json::to_string(&accounts).expect("JSON");
        assert_eq!(serde_json::from_str::<Accounts>(&written).expect("accounts"), accounts);
    }

    #[test]
    fn a_name_that_is_taken_is_not_taken_again() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo"), account()).expect("new");
        assert!(matches!(accounts.add(name("CFO "), account()), Err(AuthError::AccountExists(_))));
        assert!(matches!(accounts.account(&name("ceo")), Err(AuthError::NoAccount(_))));
    }

    #[test]
    fn a_file_with_two_accounts_of_a_name_or_with_a_word_that_means_nothing_is_not_read() {
        let one = serde_json::to_string(&account()).expect("JSON");
        let read = |users: &str| serde_json::from_str::<Accounts>(&format!("{{\"users\":{{{users}}}}}"));
        assert!(read(&format!("\"cfo\":{one}")).is_ok());
        let twice = read(&format!("\"cfo\":{one},\"CFO\":{one}")).expect_err("two").to_string();
        assert!(twice.contains("two accounts cfo"), "{twice}");
        assert!(read(&format!("\"cfo\":{}", one.replace("disabled", "disbled"))).is_err());
        assert!(read(&format!("\"\":{one}")).is_err());
        assert!(serde_json::from_str::<Accounts>("{}").is_err());
    }

    /// A token of the user, as it is made at this moment: of a program, or of a session.
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
    fn tokens_from_before_a_new_password_are_refused_and_those_from_after_it_are_not_also_within_a_second() {
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
    fn tokens_from_before_an_account_was_disabled_stay_refused_when_it_is_enabled_again() {
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
    fn what_was_ended_before_it_was_counted_stays_ended() {
        let mut account = account();
        let before = token(&account, true, 1_000);
        account.set_password(account.password().clone(), 1_000);
        // As it was written then.
        account.generation = 0;
        assert!(!account.accepts(&before) && account.accepts(&token(&account, true, 1_000)));
    }

    #[test]
    fn a_session_that_began_before_its_end_is_over_whatever_the_clocks_say() {
        let mut account = account();
        // The server has not noticed yet, and its clock is ahead of the one of the command.
        let before = account.clone();
        account.set_password(account.password().clone(), 1_000);
        assert!(!account.accepts(&token(&before, true, 1_002)));
        account.disable(900);
        account.enable();
        assert!(!account.accepts(&token(&before, true, 9_000)));
        assert!(account.accepts(&token(&account, true, 900)));
    }

    #[test]
    fn a_user_is_found_however_a_token_writes_the_name() {
        let mut accounts = Accounts::default();
        accounts.add(name("cfo@example.com"), account()).expect("new");
        for user in ["cfo@example.com", "CFO@example.com"] {
            assert!(accounts.of_user(user).is_some(), "{user}");
        }
        assert!(accounts.of_user("ceo@example.com").is_none());
    }
}
