//! Logging in.

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::time::advance;

use super::*;

/// Of one look at a password.
const WORK: u64 = 19 * 1_024 * 2;

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

#[tokio::test]
async fn the_right_password_begins_a_session_which_may_what_its_account_may_now() {
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
async fn a_session_ends_with_its_account_and_with_its_password() {
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
    assert_eq!(authority.verify(&after.token, NOW), Err(Refused::Disabled), "the account is gone");
}

#[tokio::test]
async fn who_logs_in_before_the_server_has_noticed_is_out_when_it_has() {
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
async fn nobody_wrong_and_disabled_are_answered_alike_and_cost_the_same() {
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
async fn what_no_account_can_have_is_wrong_without_any_work() {
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
async fn of_10000_guesses_at_one_account_10_are_looked_at_and_then_one_every_30_s() {
    for many_addresses in [false, true] {
        let home = Home::new();
        home.account("cfo", Role::Editor);
        let authority = home.open();
        let (mut looked_at, mut told_to_wait) = (0, 0);
        for guess in 0..10_000 {
            let from = if many_addresses { address(guess) } else { HERE };
            match authority.login("cfo", "wrong password", from, NOW).await.unwrap_err() {
                LoginRefused::Wrong => looked_at += 1,
                LoginRefused::Later(wait) => {
                    assert!(!wait.is_zero() && wait <= Duration::from_secs(30), "{wait:?}");
                    told_to_wait += 1;
                }
                LoginRefused::Busy | LoginRefused::Unavailable => panic!("one at a time"),
            }
            // 100 s for all of them.
            advance(Duration::from_millis(10)).await;
        }
        assert_eq!((looked_at, told_to_wait), (10 + 3, 10_000 - 13));
        assert_eq!(authority.0.logins.work(), looked_at * WORK, "refused before any work");
        // The right one has to wait as well, and then counts.
        let LoginRefused::Later(wait) = authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap_err() else {
            panic!("looked at");
        };
        advance(wait).await;
        authority.login("cfo", PASSWORD, HERE, NOW).await.expect("waited for");
        for _ in 0..10 {
            let refused = authority.login("cfo", "wrong password", address(1), NOW).await.unwrap_err();
            assert_eq!(refused, LoginRefused::Wrong, "a right one gives all tries back");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn from_one_address_30_guesses_are_looked_at_whatever_the_names_are() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let mut looked_at = 0;
    for guess in 0..200 {
        let refused = authority.login(&format!("user-{guess}"), "wrong password", HERE, NOW).await.unwrap_err();
        looked_at += u32::from(refused == LoginRefused::Wrong);
    }
    assert_eq!(looked_at, 30);
    assert!(matches!(authority.login("cfo", PASSWORD, HERE, NOW).await, Err(LoginRefused::Later(_))));
    assert!(authority.login("cfo", PASSWORD, address(1), NOW).await.is_ok(), "others are not concerned");
}

#[tokio::test]
async fn many_at_once_wait_for_their_turn_and_more_than_that_are_sent_away() {
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
    assert!(authority.login("cfo", PASSWORD, HERE, NOW).await.is_ok(), "and then there is room again");
}

/// Begins all of them; how many are not done at once.
fn waiting<F: Future>(logins: &mut [Pin<Box<F>>]) -> usize {
    logins.iter_mut().map(|login| usize::from(login.as_mut().now_or_never().is_none())).sum()
}

/// More than there is room for, from as many addresses, all wait when somebody comes who has logged in before.
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
    // The account elsewhere, and another account from there; both before those who have waited longer.
    let before = authority.0.logins.work();
    let honest = [("cfo", 2_000), ("ceo", 1_000)];
    let honest = honest.map(|(account, from)| authority.login(account, PASSWORD, address(from), NOW));
    for login in futures_util::future::join_all(honest).await {
        assert!(login.is_ok(), "{login:?}");
    }
    let looked_at = (authority.0.logins.work() - before) / WORK;
    assert!(looked_at <= 2 + 4, "with those that were in turn: {looked_at}");
}

#[tokio::test]
async fn one_network_has_a_share_of_the_room_for_logins() {
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
async fn without_a_key_of_our_own_nobody_logs_in() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    fs::remove_file(home.path("keys.json")).unwrap();
    let authority = home.with_provider(&[Signer::ed25519().jwk("1")], |_| {}).unwrap();
    assert_eq!(authority.login("cfo", PASSWORD, HERE, NOW).await.unwrap_err(), LoginRefused::Unavailable);
}

#[test]
fn the_log_names_accounts_and_neither_passwords_nor_what_was_typed_instead_of_a_name() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let authority = home.open();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let said = logged(|| {
        runtime.block_on(async {
            for (name, password) in [("cfo", "secret-one"), ("secret-two", "secret-three"), ("cfo", PASSWORD)] {
                let _ = authority.login(name, password, HERE, NOW).await;
            }
        });
    });
    assert!(said.contains("\"cfo\"") && said.contains("127.0.0.1") && said.contains("logged in"), "{said}");
    assert!(!said.contains("secret") && !said.contains(PASSWORD), "{said}");
}

#[test]
fn who_has_to_wait_is_told_whole_seconds_that_suffice() {
    let said = LoginRefused::Later(Duration::from_millis(1_001)).to_string();
    assert!(said.contains("in 2 s"), "{said}");
}
