//! Several servers with accounts in one database.

use std::sync::Arc;

use store::sql::{self, Database, DatabaseOptions, DatabaseUrl};

use super::*;

async fn open_database(home: &Home) -> Arc<dyn Database> {
    let url: DatabaseUrl = format!("sqlite:{}", home.path("../accounts.db").display()).parse().unwrap();
    sql::open(&DatabaseOptions { url, listen: None, wait: Duration::ZERO }).await.unwrap()
}

/// Two servers with a connection to the database each.
async fn servers(home: &Home) -> [(Arc<dyn Database>, Authority); 2] {
    let mut servers = Vec::new();
    for _ in 0..2 {
        let database = open_database(home).await;
        let authority = Authority::open_shared(&home.options(), Arc::clone(&database), NOW).await.unwrap();
        servers.push((database, authority));
    }
    servers.try_into().ok().unwrap()
}

fn name(text: &str) -> AccountName {
    AccountName::new(text).unwrap()
}

async fn add(database: &Arc<dyn Database>, user: &str) {
    let account = Account::new(HashedPassword::new(PASSWORD).unwrap(), Role::Editor, Documents::All);
    AccountStore::Database(Arc::clone(database)).add(&name(user), account).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn account_added_at_one_server_logs_in_at_another() {
    let home = Home::new();
    let [(database, _), (_, other)] = servers(&home).await;
    add(&database, "cfo").await;
    let mut changes = other.changes();
    other.follow(NOW).await;
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let session = other.login("cfo", PASSWORD, HERE, NOW).await.unwrap();
    assert!(other.verify(&session.token, NOW).is_ok());

    let accounts = AccountStore::Database(database);
    accounts.change(&name("cfo"), |account| account.disable(NOW)).await.unwrap();
    other.follow(NOW).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(other.verify(&session.token, NOW), Err(Refused::Disabled));
    let missing = accounts.change(&name("ceo"), |_| ()).await;
    assert!(matches!(missing, Err(AuthError::NoAccount(_))), "{missing:?}");
    let twice = accounts.add(&name("cfo"), accounts.accounts().await.unwrap().get(&name("cfo")).unwrap().clone()).await;
    assert!(matches!(twice, Err(AuthError::AccountExists(_))), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn account_deleted_at_one_server_is_refused_at_another() {
    let home = Home::new();
    let [(database, _), (_, other)] = servers(&home).await;
    add(&database, "cfo").await;
    other.follow(NOW).await;
    let session = other.login("cfo", PASSWORD, HERE, NOW).await.unwrap();
    let accounts = AccountStore::Database(Arc::clone(&database));
    accounts.delete(&name("cfo"), NOW).await.unwrap();
    other.follow(NOW).await;
    assert_eq!(other.verify(&session.token, NOW), Err(Refused::Disabled));
    assert!(other.login("cfo", PASSWORD, HERE, NOW).await.is_err());
    let again = accounts.delete(&name("cfo"), NOW).await;
    assert!(matches!(again, Err(AuthError::NoAccount(_))), "{again:?}");

    add(&database, "cfo").await;
    other.follow(NOW).await;
    assert_eq!(other.verify(&session.token, NOW), Err(Refused::Disabled), "a session of the deleted account");
    let session = other.login("cfo", PASSWORD, HERE, NOW).await.unwrap();
    assert!(other.verify(&session.token, NOW).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_an_account_are_all_made() {
    let home = Home::new();
    let [(one, _), (two, _)] = servers(&home).await;
    add(&one, "cfo").await;
    let changes = [one.clone(), two].map(|database| async move {
        for _ in 0..5 {
            let accounts = AccountStore::Database(Arc::clone(&database));
            accounts.change(&name("cfo"), |account| account.generation += 1).await.unwrap();
        }
    });
    futures_util::future::join_all(changes).await;
    let accounts = AccountStore::Database(one).accounts().await.unwrap();
    assert_eq!(accounts.get(&name("cfo")).unwrap().generation, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_at_one_server_revokes_the_token_at_all() {
    let home = Home::new();
    let [(_, one), (_, two)] = servers(&home).await;
    let token = home.token("cfo");
    assert!(two.verify(&token, NOW).is_ok());
    one.logout(&token, NOW).await.unwrap();
    assert_eq!(one.verify(&token, NOW), Err(Refused::LoggedOut));
    two.follow(NOW).await;
    assert_eq!(two.verify(&token, NOW), Err(Refused::LoggedOut));
    let [_, (_, later)] = servers(&home).await;
    assert_eq!(later.verify(&token, NOW), Err(Refused::LoggedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_attempts_count_at_all_servers() {
    let home = Home::new();
    let [(database, one), (_, two)] = servers(&home).await;
    add(&database, "cfo").await;
    one.follow(NOW).await;
    two.follow(NOW).await;
    for attempt in 0..PER_ACCOUNT.burst {
        let server = if attempt % 2 == 0 { &one } else { &two };
        assert!(matches!(server.login("cfo", "wrong password", HERE, NOW).await, Err(LoginRefused::Wrong)));
    }
    for server in [&one, &two] {
        assert!(matches!(server.login("cfo", PASSWORD, HERE, NOW).await, Err(LoginRefused::Later(_))));
    }
    database.reset_attempts("login:cfo").await.unwrap();
    for server in [&one, &two] {
        assert!(server.login("cfo", PASSWORD, HERE, NOW).await.is_ok());
    }
}

#[tokio::test]
async fn no_token_is_accepted_after_10_s_without_the_database() {
    let home = Home::new();
    let url: DatabaseUrl = format!("sqlite:{}", home.path("../accounts.db").display()).parse().unwrap();
    // On threads of its own: this test stops the clock.
    let database = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = DatabaseOptions { url, listen: None, wait: Duration::ZERO };
        (runtime.block_on(sql::open(&options)).unwrap(), runtime)
    });
    let (database, runtime) = database.join().unwrap();
    let server = Authority::open_shared(&home.options(), Arc::clone(&database), NOW).await.unwrap();
    let token = home.token("cfo");
    let grant = server.verify(&token, NOW).unwrap();
    // The database is unavailable: its connections are closed, and a folder is in place of its file.
    database.shut_down().await;
    let file = home.path("../accounts.db");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let changes = server.changes();
    tokio::time::pause();
    tokio::time::advance(MAX_STALENESS - Duration::from_secs(1)).await;
    assert!(server.verify(&token, NOW).is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    server.follow(NOW).await;
    assert!(changes.has_changed().unwrap(), "open connections are checked again");
    assert_eq!(server.verify(&token, NOW), Err(Refused::Unavailable));
    assert_eq!(server.recheck(&grant, NOW), Err(Refused::Unavailable));
    assert!(matches!(server.login("cfo", PASSWORD, HERE, NOW).await, Err(LoginRefused::Unavailable)));
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_folder_must_be_copied_first() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let token = home.token("ceo");
    home.open().logout(&token, NOW).await.unwrap();
    let database = open_database(&home).await;
    let refused = Authority::open_shared(&home.options(), Arc::clone(&database), NOW).await.err().unwrap();
    assert!(refused.to_string().contains("happierwork user copy"), "{refused}");
    let [folder, target] = [AccountStore::Folder(home.folder.clone()), AccountStore::Database(Arc::clone(&database))];
    let copied = Copied { accounts: vec![name("cfo")], revocations: 1, ..Copied::default() };
    assert_eq!(copy_accounts(&folder, Some(&target), NOW, true).await.unwrap(), copied);
    assert_eq!(copy_accounts(&folder, None, NOW, true).await.unwrap(), copied);
    assert!(target.accounts().await.unwrap().is_empty(), "a dry run");
    assert_eq!(copy_accounts(&folder, Some(&target), NOW, false).await.unwrap(), copied);
    let existing = Copied { existing: vec![name("cfo")], revocations: 1, ..Copied::default() };
    assert_eq!(copy_accounts(&folder, Some(&target), NOW, false).await.unwrap(), existing);
    // And back, into an empty folder.
    let back = AuthFolder::create(home.path("../back")).unwrap();
    let back = AccountStore::Folder(back);
    assert_eq!(copy_accounts(&target, Some(&back), NOW, false).await.unwrap(), copied);
    assert_eq!(copy_accounts(&back, Some(&target), NOW, false).await.unwrap(), existing);
    target.change(&name("cfo"), |account| account.role = Role::Viewer).await.unwrap();
    let differing = Copied { differing: vec![name("cfo")], ..existing };
    assert_eq!(copy_accounts(&folder, Some(&target), NOW, false).await.unwrap(), differing);
    let server = Authority::open_shared(&home.options(), database, NOW).await.unwrap();
    assert!(server.login("cfo", PASSWORD, HERE, NOW).await.is_ok());
    assert_eq!(server.verify(&token, NOW), Err(Refused::LoggedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_account_in_the_database_is_named() {
    let home = Home::new();
    let database = open_database(&home).await;
    database.put_account("cfo", 0, b"{}".to_vec()).await.unwrap();
    let error = Authority::open_shared(&home.options(), database, NOW).await.err().unwrap();
    assert!(error.to_string().starts_with("the account cfo in the table `account` cannot be used"), "{error}");
}
