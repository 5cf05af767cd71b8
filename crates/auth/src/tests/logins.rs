//! Logins.

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::time::advance;

use super::*;

/// Work of one verification, see `Logins::work`.
const WORK: u64 = 19 * 1_024 * 2;

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

#[tokio::test]
async fn session_has_the_current_rights_of_its_account() {
    let home = Home::new();
    home.account("cfo@example.com", Role::Editor);
    let authority = home.open();
    assert!(authority.has_accounts());
    let session = authority.login(" CFO@example.com ", PASSWORD, HERE, NOW).await.unwrap();
    let grant = authority.verify(&session.token, NOW).unwrap();
    assert_eq!(grant, session.grant);
    assert_eq!((&*grant.user, grant.role, grant.session), ("cfo@example.com", Role::Editor, true));
    assert_eq!((grant.expires, &grant.documents), (NOW + 3_600, &Documents::All));
    home.change("cfo@example.com", |account| {
        account.role = Role::Viewer;
        account.documents = Documents::none();
    });
    authority.refresh();
    for grant in [authority.verify(&session.token, NOW), authority.recheck(&grant, NOW)] {
        let grant = grant.unwrap();
        assert_eq!((grant.role, grant.documents), (Role::Viewer, Documents::none()));
    }
    authority.end(&session.token, NOW).unwrap();
    assert_eq!(authority.verify(&session.token, NOW), Err(Refused::LoggedOut));
}

#[tokio::test]
async fn password_change_and_account_removal_end_sessions() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let before = authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap();
    home.change("cfo", |account| account.set_password(HashedPassword::new("another horse").unwrap(), NOW));
    authority.refresh();
    assert_eq!(authority.verify(&before.token, NOW), Err(Refused::Disabled));
    assert_eq!(authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap_err(), LoginRefused::Wrong);
    // Within the same second.
    let after = authority.login("cfo", "another horse", HERE, NOW).await.unwrap();
    assert!(authority.verify(&after.token, NOW).is_ok());
    home.write("users.json", "{\"users\":{}}");
    authority.refresh();
    assert_eq!(authority.verify(&after.token, NOW), Err(Refused::Disabled), "the account was removed");
}

#[tokio::test]
async fn login_before_the_reload_ends_with_the_reload() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    for later in [0, 1, 60] {
        home.change("cfo", |account| account.set_password(HashedPassword::new("another horse").unwrap(), NOW));
        let with_the_old = authority.login("cfo", PASSWORD, HERE, NOW + later).await.unwrap();
        authority.refresh();
        assert_eq!(authority.verify(&with_the_old.token, NOW + later), Err(Refused::Disabled), "{later}");
        let with_the_new = authority.login("cfo", "another horse", HERE, NOW).await.unwrap();
        assert!(authority.verify(&with_the_new.token, NOW).is_ok());

        home.change("cfo", |account| account.disable(NOW));
        let disabled = authority.login("cfo", "another horse", HERE, NOW + later).await.unwrap();
        home.change("cfo", |account| {
            account.enable();
            account.set_password(HashedPassword::new(PASSWORD).unwrap(), NOW);
        });
        authority.refresh();
        assert_eq!(authority.verify(&disabled.token, NOW + later), Err(Refused::Disabled), "{later}");
    }
}

#[tokio::test]
async fn all_failed_logins_look_and_cost_the_same() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    home.account("gone", Role::Editor);
    home.change("gone", |account| account.disable(NOW));
    let authority = home.open();
    let mut costs = BTreeSet::new();
    for (name, password) in [
        ("cfo", "wrong password"),
        ("nobody", "wrong password"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("gone", "x"),
    ] {
        let before = authority.0.logins.work();
        let refused = authority.login(name, password, HERE, NOW).await.unwrap_err();
        assert_eq!(refused, LoginRefused::Wrong, "{name}");
        costs.insert(authority.0.logins.work() - before);
    }
    assert_eq!(costs, [WORK].into());
    assert!(authority.login("cfo", PASSWORD, HERE, NOW).await.is_ok());
}

#[tokio::test]
async fn impossible_names_and_passwords_cost_nothing() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let long = "x".repeat(100_000);
    for (name, password) in [("", PASSWORD), ("a\nb", PASSWORD), (&*long, PASSWORD), ("cfo", &*long)] {
        assert_eq!(authority.login(name, password, HERE, NOW).await.unwrap_err(), LoginRefused::Wrong);
    }
    assert_eq!(authority.0.logins.work(), 0);
}

#[tokio::test(start_paused = true)]
async fn guesses_at_one_account_are_throttled() {
    for many_addresses in [false, true] {
        let home = Home::new();
        home.account("cfo", Role::Editor);
        let authority = home.open();
        let (mut verified, mut told_to_wait) = (0, 0);
        for guess in 0..10_000 {
            let from = if many_addresses { address(guess) } else { HERE };
            match authority.login("cfo", "wrong password", from, NOW).await.unwrap_err() {
                LoginRefused::Wrong => verified += 1,
                LoginRefused::Later(wait) => {
                    assert!(!wait.is_zero() && wait <= Duration::from_secs(30), "{wait:?}");
                    told_to_wait += 1;
                }
                LoginRefused::Busy | LoginRefused::Unavailable => panic!("one at a time"),
            }
            // 100 s for all of them.
            advance(Duration::from_millis(10)).await;
        }
        assert_eq!((verified, told_to_wait), (10 + 3, 10_000 - 13));
        assert_eq!(authority.0.logins.work(), verified * WORK, "refused before any work");
        // The right password has to wait as well, and is then accepted.
        let LoginRefused::Later(wait) = authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap_err() else {
            panic!("looked at");
        };
        advance(wait).await;
        authority.login("cfo", PASSWORD, HERE, NOW).await.expect("waited for");
        for _ in 0..10 {
            let refused = authority.login("cfo", "wrong password", address(1), NOW).await.unwrap_err();
            assert_eq!(refused, LoginRefused::Wrong, "a right password returns all attempts");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn guesses_from_one_address_are_throttled() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let mut verified = 0;
    for guess in 0..200 {
        let refused = authority.login(&format!("user-{guess}"), "wrong password", HERE, NOW).await.unwrap_err();
        verified += u32::from(refused == LoginRefused::Wrong);
    }
    assert_eq!(verified, 30);
    assert!(matches!(authority.login("cfo", PASSWORD, HERE, NOW).await, Err(LoginRefused::Later(_))));
    assert!(authority.login("cfo", PASSWORD, address(1), NOW).await.is_ok(), "others are not concerned");
}

#[tokio::test]
async fn login_queue_is_bounded() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let logins = (0..200).map(|guess| {
        let authority = authority.clone();
        async move { authority.login(&format!("user-{guess}"), "wrong password", address(guess), NOW).await }
    });
    let mut counts = [0; 2];
    for result in futures_util::future::join_all(logins).await {
        counts[usize::from(result.unwrap_err() == LoginRefused::Busy)] += 1;
    }
    assert_eq!(counts, [AT_A_TIME + WAITING, 200 - AT_A_TIME - WAITING]);
    assert!(authority.login("cfo", PASSWORD, HERE, NOW).await.is_ok(), "the queue has room again");
}

/// Polls all logins once, and counts those that are pending.
fn waiting<F: Future>(logins: &mut [Pin<Box<F>>]) -> usize {
    logins.iter_mut().map(|login| usize::from(login.as_mut().now_or_never().is_none())).sum()
}

/// A flood from many addresses fills the queue when known users log in.
#[tokio::test]
async fn password_flood_leaves_room_for_known_accounts_and_networks() {
    let home = Home::new();
    for account in ["cfo", "ceo", "coo"] {
        home.account(account, Role::Editor);
    }
    let authority = home.open();
    assert!(authority.login("cfo", PASSWORD, address(1_000), NOW).await.is_ok());
    let flood = (0..250).map(|guess| {
        let authority = authority.clone();
        async move { authority.login(&format!("user-{guess}"), "wrong password", address(guess), NOW).await }
    });
    let mut flood: Vec<_> = flood.map(Box::pin).collect();
    assert_eq!(waiting(&mut flood), AT_A_TIME + WAITING);
    // The known account from a new network, and a new account from the known network. Both overtake the queue.
    let before = authority.0.logins.work();
    let honest = [("cfo", 2_000), ("ceo", 1_000)];
    let honest = honest.map(|(account, from)| authority.login(account, PASSWORD, address(from), NOW));
    for login in futures_util::future::join_all(honest).await {
        assert!(login.is_ok(), "{login:?}");
    }
    let verified = (authority.0.logins.work() - before) / WORK;
    assert!(verified <= 2 + 4, "includes the logins that had a permit: {verified}");
}

#[tokio::test]
async fn one_network_has_a_share_of_the_login_queue() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let guesses = (0..29).map(|guess| {
        let authority = authority.clone();
        async move { authority.login(&format!("user-{guess}"), "wrong password", address(7), NOW).await }
    });
    let mut guesses: Vec<_> = guesses.map(Box::pin).collect();
    assert_eq!(waiting(&mut guesses), AT_A_TIME + WAITING / 4);
    let login = authority.login("cfo", PASSWORD, address(8), NOW);
    let (login, _) =
        futures_util::future::join(login, futures_util::future::join_all(guesses.iter_mut().take(2 + 16))).await;
    assert!(login.is_ok(), "others find room");
}

#[tokio::test]
async fn login_needs_a_key_of_our_own() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    fs::remove_file(home.path("keys.json")).unwrap();
    let authority = home.with_provider(&[Signer::ed25519().jwk("1")], |_| {}).unwrap();
    assert_eq!(authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap_err(), LoginRefused::Unavailable);
}

#[test]
fn log_contains_no_passwords_and_no_unknown_names() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let log = logged(|| {
        runtime.block_on(async {
            for (name, password) in [("cfo", "secret-one"), ("secret-two", "secret-three"), ("cfo", PASSWORD)] {
                let _ = authority.login(name, password, HERE, NOW).await;
            }
        });
    });
    assert!(log.contains("\"cfo\"") && log.contains("127.0.0.1") && log.contains("logged in"), "{log}");
    assert!(!log.contains("secret") && !log.contains(PASSWORD), "{log}");
}

#[test]
fn reported_wait_is_rounded_up() {
    let log = LoginRefused::Later(Duration::from_millis(1_001)).to_string();
    assert!(log.contains("in 2 s"), "{log}");
}
