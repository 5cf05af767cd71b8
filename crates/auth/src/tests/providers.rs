//! Tokens of a provider, by its public keys.

use super::*;

/// A provider's claims, which do not name our issuer.
fn provided(changes: Value) -> Value {
    let mut claims = claims(changes);
    if claims["iss"] == "happierwork" {
        claims["iss"] = "https://login.example.com".into();
    }
    claims
}

#[test]
fn provider_tokens_verify_with_rs256_es256_and_eddsa() {
    let home = Home::new();
    let signers = [Signer::rsa(), Signer::ecdsa(), Signer::ed25519()];
    let ids = ["rsa-1", "ec-1", "ed-1"];
    let keys: Vec<Value> = signers.iter().zip(ids).map(|(signer, id)| signer.jwk(id)).collect();
    let authority = home.with_provider(&keys, |_| {}).unwrap();
    for (signer, id) in signers.iter().zip(ids) {
        let grant = authority.verify(&signer.token(id, &provided(json!({}))), NOW).expect(id);
        assert_eq!((&*grant.user, grant.role, &*grant.key), ("cfo", Role::Editor, id));
        // Each key verifies its own tokens only.
        for (other, _) in signers.iter().zip(ids).filter(|(_, other)| *other != id) {
            assert_eq!(authority.verify(&other.token(id, &provided(json!({}))), NOW), Err(Refused::Invalid), "{id}");
        }
    }
    assert!(authority.verify(&home.token("cfo"), NOW).is_ok(), "our own keys stay valid");
}

#[test]
fn provider_alone_suffices_without_login_and_logout() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |options| options.folder = None).unwrap();
    let token = signer.token("1", &provided(json!({})));
    assert!(authority.verify(&token, NOW).is_ok());
    assert!(!authority.has_accounts());
    assert!(matches!(authority.end(&token, NOW), Err(AuthError::NoRevocationStore)));
    assert_eq!(authority.verify(&home.token("cfo"), NOW), Err(Refused::Invalid), "these keys are not given");
}

#[test]
fn provider_token_needs_our_audience_and_its_issuer() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let (issuer, us) = ("https://login.example.com", "happierwork-prod");
    let verify = |audience: Option<&str>, changes: Value| {
        let authority = home.with_provider(&[signer.jwk("1")], |options| {
            options.issuer = audience.map(|_| issuer.to_owned());
            options.audience = audience.map(str::to_owned);
        });
        authority.unwrap().verify(&signer.token("1", &provided(changes)), NOW).is_ok()
    };
    assert!(verify(Some(us), json!({ "aud": us })));
    assert!(verify(Some(us), json!({ "aud": ["other", us] })));
    for changes in [
        json!({}),
        json!({ "aud": "other" }),
        json!({ "aud": [] }),
        json!({ "aud": 7 }),
        json!({ "aud": us, "iss": "https://evil.example" }),
        json!({ "aud": us, "iss": null }),
    ] {
        assert!(!verify(Some(us), changes.clone()), "{changes}");
    }
    assert!(verify(None, json!({})) && verify(None, json!({ "iss": "https://evil.example" })));
    assert!(!verify(None, json!({ "aud": us })), "a token for an audience needs a configured audience");
}

#[test]
fn provider_tokens_need_an_audience_if_users_log_in_there() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let open = |audience: Option<&str>| {
        let authority = home.with_provider(&[signer.jwk("1")], |options| {
            options.provider_logins = true;
            options.audience = audience.map(str::to_owned);
        });
        authority.unwrap()
    };
    let authority = open(None);
    for changes in [json!({}), json!({ "aud": "plan" }), json!({ "aud": "other" }), json!({ "aud": [] })] {
        let token = signer.token("1", &provided(changes.clone()));
        let log = logged(|| assert_eq!(authority.verify(&token, NOW), Err(Refused::Invalid), "{changes}"));
        assert!(log.contains("--jwt-audience"), "{log}");
    }
    assert!(authority.verify(&home.token("cfo"), NOW).is_ok(), "our own tokens need none");
    let session = log_in(&authority, &signer.token("1", &id_claims(json!({})))).unwrap();
    assert!(authority.verify(&session.token, NOW).is_ok(), "nor do logins");
    let authority = open(Some("api"));
    assert!(authority.verify(&signer.token("1", &provided(json!({ "aud": "api" }))), NOW).is_ok());
    assert!(authority.verify(&signer.token("1", &id_claims(json!({}))), NOW).is_err(), "an ID token is for the client");
}

#[test]
fn debug_log_says_why_a_provider_token_is_refused() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |options| options.audience = Some("us".to_owned()));
    let authority = authority.unwrap();
    for (kid, changes, why) in [
        ("1", json!({ "aud": "other" }), "--jwt-audience"),
        ("2", json!({ "aud": "us" }), "kid"),
        ("1", json!({ "aud": "us", "role": null }), "no role"),
    ] {
        let token = signer.token(kid, &provided(changes));
        let log = logged(|| assert_eq!(authority.verify(&token, NOW), Err(Refused::Invalid)));
        assert!(log.contains("DEBUG") && log.contains(why) && !log.contains(&token), "{log}");
    }
}

#[test]
fn provider_tokens_are_never_sessions() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |_| {}).unwrap();
    let token = signer.token("1", &provided(json!({ "session": true, "role": "viewer", "documents": [] })));
    let grant = authority.verify(&token, NOW).unwrap();
    assert_eq!((grant.role, grant.documents, grant.session), (Role::Viewer, Documents::none(), false));
    let without_role = signer.token("1", &provided(json!({ "session": true, "role": null })));
    assert_eq!(authority.verify(&without_role, NOW), Err(Refused::Invalid));
}

#[test]
fn jwk_set_with_secret_or_private_key_is_rejected() {
    let home = Home::new();
    let good = Signer::ed25519().jwk("good");
    let secret = Signer::Hmac(vec![7; 32]).jwk("secret");
    let mut private = good.clone();
    private["d"] = "AAAA".into();
    private["kid"] = "private".into();
    for (key, words) in [(&secret, ["secret", "oct"]), (&private, ["private", "public"])] {
        let error = home.with_provider(&[good.clone(), key.clone()], |_| {}).err().expect("refused").to_string();
        for word in words.iter().chain(&["jwks.json"]) {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
        assert!(!error.contains(URL_SAFE_NO_PAD.encode([7; 32]).as_str()), "{error}");
    }
}

#[test]
fn unusable_provider_keys_are_skipped_and_logged() {
    let home = Home::new();
    let good = Signer::ecdsa();
    let changed = |changes: Value| {
        let mut key = good.jwk("other");
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    for key in [
        changed(json!({ "use": "enc" })),
        changed(json!({ "key_ops": ["encrypt"] })),
        changed(json!({ "crv": "P-384" })),
        changed(json!({ "kty": "OKP", "crv": "X25519" })),
        changed(json!({ "alg": "ES384" })),
        changed(json!({ "alg": "HS256" })),
        changed(json!({ "alg": "none" })),
        changed(json!({ "kty": "AKP" })),
    ] {
        let log = logged(|| {
            let authority = home.with_provider(&[key.clone(), good.jwk("good")], |_| {}).unwrap();
            let claims = provided(json!({}));
            assert!(authority.verify(&good.token("good", &claims), NOW).is_ok());
            assert_eq!(authority.verify(&good.token("other", &claims), NOW), Err(Refused::Invalid), "{key}");
        });
        assert!(log.contains("left out") && log.contains("other"), "{log}");
        let error = home.with_provider(&[key], |_| {}).err().expect("no key is left").to_string();
        assert!(error.contains("none of its keys"), "{error}");
    }
}

#[test]
fn jwk_set_with_broken_or_duplicate_keys_is_rejected() {
    let home = Home::new();
    let (ed, ec, rsa) = (Signer::ed25519().jwk("1"), Signer::ecdsa().jwk("1"), Signer::rsa().jwk("1"));
    let changed = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let long = URL_SAFE_NO_PAD.encode(vec![0xff; 1_025]);
    let padded = URL_SAFE_NO_PAD.encode([vec![0; 200], vec![0xff; 128]].concat());
    for (keys, word) in [
        (vec![ed.clone(), ec.clone()], "two keys"),
        (vec![changed(&ed, "kid", json!(null))], "no proper id"),
        (vec![changed(&ed, "kid", json!("a\nb"))], "no proper id"),
        (vec![changed(&ed, "x", json!("AAAA"))], "32 bytes"),
        (vec![changed(&ec, "y", json!(null))], "no proper y"),
        (vec![changed(&ec, "x", json!("not base64!"))], "no proper x"),
        (vec![changed(&rsa, "n", json!(short))], "1024 bits"),
        (vec![changed(&rsa, "n", json!(padded))], "1024 bits"),
        (vec![changed(&rsa, "n", json!(long))], "8200 bits"),
        (vec![changed(&rsa, "e", json!(null))], "no proper e"),
        (vec![], "none of its keys"),
        (vec![json!("x")], "not a JWK set"),
    ] {
        let error = home.with_provider(&keys, |_| {}).err().expect(word).to_string();
        assert!(error.contains(word) && error.contains("jwks.json"), "{word:?} is not in {error}");
    }
    let own = home.keys_json()["keys"][0]["kid"].clone();
    let error = home.with_provider(&[changed(&ed, "kid", own)], |_| {}).err().expect("two").to_string();
    assert!(error.contains("two keys"), "a foreign key must not replace ours: {error}");
}

#[test]
fn provider_key_rotation_takes_effect() {
    let home = Home::new();
    let (old, new) = (Signer::ed25519(), Signer::ecdsa());
    let authority = home.with_provider(&[old.jwk("old")], |_| {}).unwrap();
    let grant = authority.verify(&old.token("old", &provided(json!({}))), NOW).unwrap();
    let path = home.home.path().join("jwks.json");
    fs::write(&path, json!({ "keys": [new.jwk("new")] }).to_string()).unwrap();
    authority.refresh();
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Invalid));
    assert!(authority.verify(&new.token("new", &provided(json!({}))), NOW).is_ok());
}

#[test]
fn broken_key_file_does_not_block_changes_of_the_other() {
    let home = Home::new();
    let provider = Signer::ed25519();
    let authority = home.with_provider(&[provider.jwk("1")], |_| {}).unwrap();
    let (retired, provider_token) = (home.token("cfo"), provider.token("1", &provided(json!({}))));
    let grant = authority.verify(&retired, NOW).unwrap();
    let path = home.home.path().join("jwks.json");
    for broken in [Some("nonsense"), None] {
        match broken {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        home.new_key(NewKey::Ed25519);
        authority.refresh();
        assert!(authority.verify(&home.token("ceo"), NOW).is_ok(), "a new key of ours counts");
        assert!(authority.verify(&provider_token, NOW).is_ok(), "the last valid provider keys stay in use");
    }
    home.folder.change_keys(|keys| keys.retire(&grant.key)).unwrap();
    authority.refresh();
    assert_eq!(authority.verify(&retired, NOW), Err(Refused::Invalid));
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Invalid));

    let new = Signer::ecdsa();
    home.write("keys.json", "nonsense");
    fs::write(&path, json!({ "keys": [new.jwk("2")] }).to_string()).unwrap();
    authority.refresh();
    assert_eq!(authority.verify(&provider_token, NOW), Err(Refused::Invalid));
    assert!(authority.verify(&new.token("2", &provided(json!({}))), NOW).is_ok());
}

#[test]
fn provider_key_cannot_replace_ours_at_runtime() {
    let home = Home::new();
    let provider = Signer::ed25519();
    let authority = home.with_provider(&[provider.jwk("1")], |_| {}).unwrap();
    let own = home.keys_json()["keys"][0]["kid"].as_str().unwrap().to_owned();
    let path = home.home.path().join("jwks.json");
    fs::write(&path, json!({ "keys": [provider.jwk(&own)] }).to_string()).unwrap();
    let log = logged(|| authority.refresh());
    assert!(log.contains("two keys"), "{log}");
    assert!(authority.verify(&home.token("cfo"), NOW).is_ok());
    assert_eq!(authority.verify(&provider.token(&own, &provided(json!({}))), NOW), Err(Refused::Invalid));
    assert!(authority.verify(&provider.token("1", &provided(json!({}))), NOW).is_ok());
}

const ISSUER: &str = "https://login.example.com";

/// Claims of an ID token with `changes`; `null` removes a claim.
fn id_claims(changes: Value) -> Value {
    let mut all = json!({ "iss": ISSUER, "aud": "plan", "nonce": "n-1", "jti": null });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims(all)
}

fn log_in(authority: &Authority, token: &str) -> Result<Session, ProviderLoginRefused> {
    authority.login_with(IdToken { token, issuer: ISSUER, client: "plan", nonce: "n-1" }, NOW)
}

#[test]
fn id_token_logs_in_and_can_be_logged_out() {
    let home = Home::new();
    let signer = Signer::rsa();
    let authority = home.with_provider(&[signer.jwk("1")], |_| {}).unwrap();
    let session = log_in(&authority, &signer.token("1", &id_claims(json!({ "azp": "plan" })))).unwrap();
    let grant = authority.verify(&session.token, NOW).unwrap();
    assert_eq!((&*grant.user, grant.role, &grant.documents), ("cfo", Role::Editor, &Documents::All));
    assert_eq!(grant.expires, NOW + 3_600, "the lifetime of sessions here, not that of the ID token");
    authority.end(&session.token, NOW).unwrap();
    assert_eq!(authority.verify(&session.token, NOW), Err(Refused::LoggedOut));
}

#[test]
fn id_token_of_another_login_program_or_provider_is_refused() {
    let home = Home::new();
    let (signer, other) = (Signer::rsa(), Signer::rsa());
    let authority = home.with_provider(&[signer.jwk("1")], |_| {}).unwrap();
    for changes in [
        json!({ "nonce": "n-2" }),
        json!({ "nonce": null }),
        json!({ "aud": "other" }),
        json!({ "aud": null }),
        json!({ "azp": "other" }),
        json!({ "azp": 7 }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": null }),
        json!({ "exp": NOW - 6 }),
        json!({ "nbf": NOW + 6 }),
        json!({ "role": null }),
        json!({ "sub": "" }),
    ] {
        let refused = log_in(&authority, &signer.token("1", &id_claims(changes.clone())));
        assert!(refused.is_err(), "{changes}");
    }
    assert!(log_in(&authority, &other.token("1", &id_claims(json!({})))).is_err(), "a forged signature");
    let (own, kid) = Signer::own(&home, 0);
    assert!(log_in(&authority, &own.token(&kid, &id_claims(json!({})))).is_err(), "signed by this server");
    let long = "x".repeat(64 << 10);
    assert!(log_in(&authority, &signer.token("1", &id_claims(json!({ "long": long })))).is_err());
}

#[test]
fn disabled_account_of_that_name_cannot_log_in_by_a_provider() {
    let home = Home::new();
    home.account("cfo", Role::Viewer);
    home.change("cfo", |account| account.disabled = true);
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |_| {}).unwrap();
    let refused = log_in(&authority, &signer.token("1", &id_claims(json!({}))));
    assert_eq!(refused.err(), Some(ProviderLoginRefused::User(Refused::Disabled)));
}

#[test]
fn sessions_by_a_provider_are_limited_like_those_of_accounts() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |_| {}).unwrap();
    let token = |user: &str| signer.token("1", &id_claims(json!({ "sub": user })));
    let (cfo, same) = (token("cfo"), token("CFO"));
    for _ in 0..SESSIONS.burst {
        log_in(&authority, &cfo).unwrap();
    }
    for token in [&cfo, &same] {
        let refused = log_in(&authority, token).err();
        assert!(
            matches!(refused, Some(ProviderLoginRefused::Later(wait)) if wait <= SESSIONS.refill_interval),
            "{refused:?}"
        );
    }
    log_in(&authority, &token("ceo")).unwrap();
}

#[test]
fn provider_without_own_keys_cannot_begin_sessions() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |options| options.folder = None).unwrap();
    let refused = log_in(&authority, &signer.token("1", &id_claims(json!({}))));
    assert_eq!(refused.err(), Some(ProviderLoginRefused::NoKey));
}

#[test]
fn mapped_claims_grant_roles_in_bearer_tokens_too() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let authority = home.with_provider(&[signer.jwk("1")], |options| {
        options.claims = ClaimMapping {
            user: "email".to_owned(),
            role: "groups".to_owned(),
            roles: vec![("finance".to_owned(), Role::Owner)],
            default_documents: Documents::All,
            ..ClaimMapping::default()
        };
    });
    let changes =
        json!({ "sub": "7f3", "email": "cfo@example.com", "groups": ["finance"], "role": null, "documents": null });
    let authority = authority.unwrap();
    let grant = authority.verify(&signer.token("1", &provided(changes)), NOW).unwrap();
    assert_eq!((&*grant.user, grant.role, &grant.documents), ("cfo@example.com", Role::Owner, &Documents::All));
    let changes = json!({ "email": "cfo@example.com", "role": "owner" });
    assert!(authority.verify(&signer.token("1", &provided(changes)), NOW).is_err(), "`role` has no meaning here");
    assert!(authority.verify(&home.token("cfo"), NOW).is_ok(), "our own tokens keep their claims");
}

/// Keys of a provider that cannot be used, though they are for signatures.
fn unusable_keys() -> Vec<Value> {
    let changed = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let (ed, ec, rsa) = (Signer::ed25519().jwk("ed"), Signer::ecdsa().jwk("ec"), Signer::rsa().jwk("rsa"));
    vec![
        changed(ed.clone(), "kid", json!(null)),
        changed(ed, "x", json!("AAAA")),
        changed(ec, "y", json!(null)),
        changed(rsa.clone(), "n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))),
        changed(rsa, "e", json!(null)),
    ]
}

#[test]
fn unusable_keys_of_a_fetched_set_are_left_out_and_logged_once() {
    let home = Home::new();
    let signer = Signer::ed25519();
    let options = AuthOptions { expects_provider_keys: true, ..home.options() };
    let authority = Authority::open(&options).unwrap();
    let set = |keys: &[Value]| authority.set_provider_keys(json!({ "keys": keys }).to_string().as_bytes());
    let keys = [unusable_keys(), vec![signer.jwk("1")]].concat();
    let log = logged(|| set(&keys).unwrap());
    assert_eq!(log.matches("WARN").count(), unusable_keys().len(), "{log}");
    for word in ["no proper id", "32 bytes", "no proper y", "1024 bits", "no proper e"] {
        assert!(log.contains(word), "{word:?} is not in {log}");
    }
    assert!(authority.verify(&signer.token("1", &provided(json!({}))), NOW).is_ok());
    let log = logged(|| set(&keys).unwrap());
    assert!(!log.contains("WARN"), "the same keys again: {log}");
    let error = |keys: &[Value]| set(keys).unwrap_err().to_string();
    assert!(error(&unusable_keys()).contains("none of its keys"));
    let mut private = signer.jwk("private");
    private["d"] = "AAAA".into();
    let own = home.keys_json()["keys"][0]["kid"].as_str().unwrap().to_owned();
    for (other, word) in [
        (Signer::Hmac(vec![7; 32]).jwk("2"), "secret"),
        (private, "private"),
        (Signer::ecdsa().jwk("1"), "two keys"),
        (Signer::ecdsa().jwk(&own), "two keys"),
    ] {
        let error = error(&[signer.jwk("1"), other]);
        assert!(error.contains(word), "{word:?} is not in {error}");
    }
}

#[tokio::test]
async fn loop_is_woken_when_something_of_the_provider_is_lacking() {
    let home = Home::new();
    let authority = home.open();
    authority.ask_provider();
    authority.unknown_key().await;
}

#[tokio::test]
async fn keys_that_arrive_later_verify_and_can_be_replaced() {
    let home = Home::new();
    let options = AuthOptions { folder: None, expects_provider_keys: true, ..AuthOptions::default() };
    let authority = Authority::open(&options).unwrap();
    let (first, second) = (Signer::ed25519(), Signer::ed25519());
    let token = |signer: &Signer, kid: &str| signer.token(kid, &provided(json!({})));
    assert!(!authority.knows_key_of(&token(&first, "1")));
    assert!(authority.verify(&token(&first, "1"), NOW).is_err());
    authority.unknown_key().await;
    let set = |keys: Vec<Value>| authority.set_provider_keys(json!({ "keys": keys }).to_string().as_bytes());
    set(vec![first.jwk("1")]).unwrap();
    let mut changes = authority.changes();
    changes.mark_unchanged();
    let grant = authority.verify(&token(&first, "1"), NOW).unwrap();
    set(vec![second.jwk("2")]).unwrap();
    assert!(changes.has_changed().unwrap(), "open connections are checked again");
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Invalid));
    assert!(authority.verify(&token(&second, "2"), NOW).is_ok());
    for broken in [vec![], vec![json!({ "kty": "oct", "kid": "1", "k": "c2VjcmV0" })]] {
        assert!(matches!(set(broken), Err(AuthError::ProviderKeys(_))));
    }
    assert!(authority.verify(&token(&second, "2"), NOW).is_ok(), "the previous keys stay in use");
    drop(home);
}
