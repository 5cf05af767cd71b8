//! Accounts, revoked tokens and login attempts.

use std::time::Duration;

use store::ControlKind;
use store::sql::{Account, AttemptOutcome, Bucket, Changed, DatabaseError};

use crate::place::Place;

pub async fn accounts_are_compared_and_set<P: Place>() {
    let place = P::new().await;
    let (store, other) = (place.open().await, place.open().await);
    assert_eq!(store.account("ceo").await.expect("reads"), None);
    assert_eq!(store.put_account("ceo", 0, b"one".to_vec()).await.expect("stores"), Changed::Stored(1));
    assert_eq!(other.put_account("ceo", 0, b"two".to_vec()).await.expect("answers"), Changed::Behind);
    assert_eq!(other.put_account("ceo", 1, b"two".to_vec()).await.expect("stores"), Changed::Stored(2));
    assert_eq!(store.put_account("ceo", 1, b"three".to_vec()).await.expect("answers"), Changed::Behind);
    assert_eq!(store.put_account("CEO ", 0, b"other".to_vec()).await.expect("names are exact"), Changed::Stored(1));
    let account = |name: &str, version, record: &[u8]| Account { name: name.into(), version, record: record.into() };
    assert_eq!(store.accounts().await.expect("reads"), [account("CEO ", 1, b"other"), account("ceo", 2, b"two")]);
    let (revision, controls) = store.control_since(1).await.expect("reads");
    assert_eq!(revision, 3);
    assert!(controls.iter().all(|control| control.kind == ControlKind::Account), "{controls:?}");
    for name in ["x".repeat(300), "zero\0".to_owned()] {
        let refused = store.put_account(&name, 0, Vec::new()).await;
        assert!(matches!(refused, Err(DatabaseError::Refused(_))), "{refused:?}");
    }
}

pub async fn revocations_reach_other_nodes<P: Place>() {
    let place = P::new().await;
    let (store, other) = (place.open().await, place.open().await);
    store.revoke("one", 1_000).await.expect("stores");
    store.revoke("two", 2_000).await.expect("stores");
    store.revoke("two", 2_000).await.expect("again");
    let (revision, controls) = other.control_since(0).await.expect("reads");
    assert_eq!(revision, controls.len() as u64);
    assert_eq!((controls[0].kind, controls[0].key.as_str()), (ControlKind::Revocation, "one"));
    let tokens = |revocations: Vec<store::sql::Revocation>| {
        let mut tokens: Vec<_> = revocations.into_iter().map(|revocation| revocation.token).collect();
        tokens.sort();
        tokens
    };
    assert_eq!(tokens(other.revocations(500).await.expect("reads")), ["one", "two"]);
    assert_eq!(tokens(other.revocations(1_500).await.expect("reads")), ["two"]);
    other.forget_expired(1_500).await.expect("forgets");
    assert_eq!(store.revocation("one").await.expect("reads"), None);
    assert_eq!(store.revocation("two").await.expect("reads").map(|revocation| revocation.expires), Some(2_000));
}

pub async fn attempts_are_counted_across_nodes<P: Place>() {
    let place = P::new().await;
    let (store, other) = (place.open().await, place.open().await);
    let bucket = Bucket { at_once: 5, every: Duration::from_secs(600) };
    let attempts = (0..5).map(|_| async {
        let outcomes = futures_util::join!(store.attempt("ceo", bucket), other.attempt("ceo", bucket));
        [outcomes.0.expect("counts"), outcomes.1.expect("counts")]
    });
    let outcomes = futures_util::future::join_all(attempts).await.concat();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == AttemptOutcome::Counted).count(), 5, "{outcomes:?}");
    assert!(matches!(store.attempt("ceo", bucket).await, Ok(AttemptOutcome::Wait(wait)) if wait.as_secs() > 500));
    assert_eq!(store.attempt("cfo", bucket).await.expect("counts"), AttemptOutcome::Counted);
}
