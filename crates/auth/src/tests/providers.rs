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
