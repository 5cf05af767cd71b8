//! Valid tokens are accepted, and all others refused.

use super::*;

/// Verifies a token of our own key with valid claims and these changes.
fn verify(changes: Value) -> Result<Grant, Refused> {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    home.open().verify(&signer.token(&kid, &claims(changes)), NOW)
}

#[test]
fn valid_token_yields_its_grant() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let documents = Documents::Named([DocumentName::Default].into());
    let token = signer.token(&kid, &claims(json!({ "documents": ["default"], "role": "owner" })));
    let expected = Grant {
        user: "cfo".into(),
        role: Role::Owner,
        documents,
        expires: NOW + 60,
        key: kid.into(),
        id: Some("1".into()),
        session: false,
        generation: 0,
        issued: NOW,
    };
    assert_eq!(home.open().verify(&token, NOW), Ok(expected));
}

#[test]
fn issued_tokens_verify_with_both_kinds_of_keys() {
    for kind in [NewKey::Ed25519, NewKey::Hs256] {
        let home = Home::new();
        let kid = home.new_key(kind);
        let keys = home.folder.keys().unwrap();
        let (token, made) = keys.issue("Jane Doe", (Role::Viewer, Documents::none()), NOW, 60).unwrap();
        let grant = home.open().verify(&token, NOW).unwrap();
        assert_eq!(grant, made);
        assert_eq!((&*grant.key, &*grant.user, grant.expires), (&*kid, "Jane Doe", NOW + 60));
    }
}

#[test]
fn token_ids_are_unique() {
    let home = Home::new();
    let authority = home.open();
    let [one, two] = [(), ()].map(|()| authority.verify(&home.token("cfo"), NOW).unwrap().id.unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 32, "128 random bits");
}

#[test]
fn validity_has_a_leeway_of_5_s() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let token = signer.token(&kid, &claims(json!({ "nbf": NOW, "exp": NOW + 60 })));
    for (now, result) in [
        (NOW - 6, Some(Refused::NotYet)),
        (NOW - 5, None),
        (NOW + 60, None),
        (NOW + 64, None),
        (NOW + 65, Some(Refused::Expired)),
    ] {
        assert_eq!(authority.verify(&token, now).err(), result, "{}", now - NOW);
    }
    let fractions = signer.token(&kid, &claims(json!({ "exp": NOW as f64 + 60.9 })));
    assert!(authority.verify(&fractions, NOW + 64).is_ok());
    assert_eq!(authority.verify(&fractions, NOW + 65), Err(Refused::Expired));
}

#[test]
fn wrong_signature_is_refused() {
    let home = Home::new();
    let (_, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let good = home.token("cfo");
    assert!(authority.verify(&good, NOW).is_ok());
    // A foreign key under our key's id.
    assert_eq!(authority.verify(&Signer::ed25519().token(&kid, &claims(json!({}))), NOW), Err(Refused::Invalid));
    // One bit of any part.
    let bytes = good.as_bytes();
    for at in (0..bytes.len()).step_by(7) {
        let mut forged = bytes.to_vec();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(authority.verify(&forged, NOW), Err(Refused::Invalid), "byte {at}");
    }
    // The signature of another token, an empty one, and a truncated one.
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = home.token("ceo");
    let (_, others) = other.rsplit_once('.').unwrap();
    for signature in [others, "", &signature[..signature.len() - 2]] {
        assert_eq!(authority.verify(&format!("{message}.{signature}"), NOW), Err(Refused::Invalid), "{signature}");
    }
}

#[test]
fn algorithm_is_chosen_by_the_key() {
    let home = Home::new();
    home.new_key(NewKey::Hs256);
    let rsa = Signer::rsa();
    let authority = home.with_provider(&[rsa.jwk("provider")], |_| {}).unwrap();
    let (own, kid) = Signer::own(&home, 0);
    let (hmac, hmac_kid) = Signer::own(&home, 1);
    let claims = claims(json!({}));
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "ES256", "RS256", "EDDSA", "Ed25519"] {
        let head = json!({ "typ": "JWT", "alg": alg, "kid": kid });
        for signer in [&own, &Signer::Nobody] {
            let token = signer.token_of(&head, &claims.to_string());
            assert_eq!(authority.verify(&token, NOW), Err(Refused::Invalid), "{alg}");
        }
    }
    // A public key used as a secret, which an attacker could know.
    let exported = home.folder.keys().unwrap().export().0;
    let x = exported["keys"][0]["x"].as_str().unwrap().to_owned();
    let jwk = rsa.jwk("provider");
    let n = jwk["n"].as_str().unwrap();
    for (kid, public) in [(&*kid, &*x), ("provider", n)] {
        for secret in
            [URL_SAFE_NO_PAD.decode(public).unwrap(), public.as_bytes().to_vec(), jwk.to_string().into_bytes()]
        {
            let token = Signer::Hmac(secret).token(kid, &claims);
            assert_eq!(authority.verify(&token, NOW), Err(Refused::Invalid), "{kid}");
        }
    }
    // The right key under another id: each key has its own algorithm.
    assert!(authority.verify(&hmac.token(&hmac_kid, &claims), NOW).is_ok());
    assert_eq!(authority.verify(&own.token(&hmac_kid, &claims), NOW), Err(Refused::Invalid));
    assert_eq!(authority.verify(&hmac.token(&kid, &claims), NOW), Err(Refused::Invalid));
}

#[test]
fn unknown_key_id_is_refused() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let head = |kid: Value| json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid });
    for kid in [json!("other"), json!(""), json!(null), json!(7), json!([kid]), json!(format!("{kid}\0"))] {
        let token = signer.token_of(&head(kid.clone()), &claims(json!({})).to_string());
        assert_eq!(authority.verify(&token, NOW), Err(Refused::Invalid), "{kid}");
    }
    let without = signer.token_of(&json!({ "alg": "EdDSA" }), &claims(json!({})).to_string());
    assert_eq!(authority.verify(&without, NOW), Err(Refused::Invalid));
}

#[test]
fn unsupported_header_parameters_are_refused() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let with = |name: &str, value: Value| {
        let mut head = json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid });
        head[name] = value;
        authority.verify(&signer.token_of(&head, &claims(json!({})).to_string()), NOW)
    };
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("enc", json!("A128GCM")),
        ("zip", json!("DEF")),
        ("jwk", Signer::ed25519().jwk("mine")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
    ] {
        assert_eq!(with(name, value.clone()), Err(Refused::Invalid), "{name}: {value}");
    }
    assert!(with("cty", json!("x")).is_ok(), "parameters without a meaning here are ignored");
}

#[test]
fn malformed_tokens_are_refused() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let good = home.token("cfo");
    let (message, signature) = good.rsplit_once('.').unwrap();
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer x",
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{good}\n"),
        &format!("{message}.{signature}.{signature}.{signature}"),
        "é.é.é",
    ] {
        assert_eq!(authority.verify(token, NOW), Err(Refused::Invalid), "{token}");
    }
    let head = json!({ "alg": "EdDSA", "kid": kid });
    for claims in ["", "null", "[]", "\"x\"", "{", "{\"sub\":\"cfo\"", "{}"] {
        assert_eq!(authority.verify(&signer.token_of(&head, claims), NOW), Err(Refused::Invalid), "{claims}");
    }
    // Readers could disagree which of two equal keys counts.
    let twice = claims(json!({})).to_string().replacen('{', "{\"sub\":\"ceo\",", 1);
    assert_eq!(authority.verify(&signer.token_of(&head, &twice), NOW), Err(Refused::Invalid));
}

#[test]
fn oversized_token_is_refused() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let padded = |bytes: usize| signer.token(&kid, &claims(json!({ "padding": "x".repeat(bytes) })));
    let most = (0..4_096).rev().map(padded).find(|token| token.len() <= MAX_TOKEN).unwrap();
    assert!(most.len() > MAX_TOKEN - 3);
    assert!(authority.verify(&most, NOW).is_ok());
    assert_eq!(authority.verify(&padded(4_096), NOW), Err(Refused::Invalid));
}

#[test]
fn missing_or_malformed_expiry_is_refused() {
    for exp in [json!(null), json!("1900000000"), json!(true), json!([NOW + 60])] {
        assert_eq!(verify(json!({ "exp": exp })), Err(Refused::Invalid), "{exp}");
    }
    assert_eq!(verify(json!({ "exp": 0 })), Err(Refused::Expired));
    assert!(verify(json!({ "exp": i64::MAX })).is_ok());
    assert_eq!(verify(json!({ "nbf": i64::MAX })), Err(Refused::NotYet));
    assert_eq!(verify(json!({ "nbf": "now" })), Err(Refused::Invalid));
}

#[test]
fn invalid_user_names_are_refused() {
    let long = "x".repeat(201);
    for sub in
        [json!(null), json!(""), json!(" "), json!(" cfo"), json!("a\nb"), json!("a\u{7}"), json!(7), json!(long)]
    {
        assert_eq!(verify(json!({ "sub": sub })), Err(Refused::Invalid), "{sub}");
    }
    assert_eq!(&*verify(json!({ "sub": "Jane Doe" })).unwrap().user, "Jane Doe");
}

#[test]
fn malformed_documents_claim_is_refused() {
    for documents in [json!("default"), json!(""), json!(true), json!({}), json!(["*"]), json!(["x"]), json!([1])] {
        assert_eq!(verify(json!({ "documents": documents })), Err(Refused::Invalid), "{documents}");
    }
    assert_eq!(verify(json!({ "documents": null })).unwrap().documents, Documents::none());
    assert_eq!(verify(json!({ "documents": [] })).unwrap().documents, Documents::none());
}

#[test]
fn unknown_roles_are_refused() {
    for role in [json!(null), json!("admin"), json!("OWNER"), json!(["owner"]), json!(3), json!("")] {
        assert_eq!(verify(json!({ "role": role })), Err(Refused::Invalid), "{role}");
    }
}

#[test]
fn foreign_issuer_or_audience_is_refused() {
    for changes in
        [json!({ "iss": null }), json!({ "iss": "other" }), json!({ "aud": "other" }), json!({ "aud": ["a", "b"] })]
    {
        assert_eq!(verify(changes.clone()), Err(Refused::Invalid), "{changes}");
    }
}

#[test]
fn malformed_token_ids_are_refused() {
    for id in [json!(""), json!("x".repeat(201)), json!(7)] {
        assert_eq!(verify(json!({ "jti": id })), Err(Refused::Invalid), "{id}");
    }
    assert_eq!(verify(json!({ "jti": null })).unwrap().id, None);
}

#[test]
fn disabled_user_is_refused_also_on_open_connections() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let (authority, token) = (home.open(), home.token("CFO"));
    let grant = authority.verify(&token, NOW).unwrap();
    assert_eq!(grant.role, Role::Editor, "the role of the token, not of the account");
    home.change("cfo", |account| account.disable(NOW));
    authority.refresh();
    assert_eq!(authority.verify(&token, NOW), Err(Refused::Disabled));
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Disabled));
    home.change("cfo", Account::enable);
    authority.refresh();
    assert_eq!(authority.verify(&token, NOW), Err(Refused::Disabled), "the token is older than the change");
    assert!(authority.verify(&home.token("ceo"), NOW).is_ok(), "other users are unaffected");
}

#[test]
fn password_change_revokes_earlier_tokens() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let (authority, token) = (home.open(), home.token("cfo"));
    let (signer, kid) = Signer::own(&home, 0);
    let undated = signer.token(&kid, &claims(json!({ "iat": null })));
    let grants = [&token, &undated].map(|token| authority.verify(token, NOW).unwrap());
    home.change("cfo", |account| account.set_password(HashedPassword::new("another horse").unwrap(), NOW));
    authority.refresh();
    for (token, grant) in [&token, &undated].into_iter().zip(&grants) {
        assert_eq!(authority.verify(token, NOW), Err(Refused::Disabled));
        assert_eq!(authority.recheck(grant, NOW), Err(Refused::Disabled));
    }
    let later = signer.token(&kid, &claims(json!({ "iat": NOW + 1 })));
    assert!(authority.verify(&later, NOW).is_ok());
}

#[test]
fn revocation_survives_a_restart() {
    let home = Home::new();
    let (authority, token) = (home.open(), home.token("cfo"));
    let (grant, before) = (authority.verify(&token, NOW).unwrap(), *authority.changes().borrow());
    authority.end(&token, NOW).unwrap();
    assert_ne!(*authority.changes().borrow(), before, "open connections must be rechecked");
    for authority in [authority, home.open()] {
        assert_eq!(authority.verify(&token, NOW), Err(Refused::LoggedOut));
        assert_eq!(authority.recheck(&grant, NOW), Err(Refused::LoggedOut));
        assert!(authority.verify(&home.token("cfo"), NOW).is_ok(), "another token of the same user");
        authority.end(&token, NOW).expect("it is revoked already");
    }
    assert_eq!(fs::read_to_string(home.path("revoked.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn revocation_applies_to_servers_sharing_the_folder() {
    let home = Home::new();
    let (one, two) = (home.open(), home.open());
    let tokens = [home.token("cfo"), home.token("ceo"), home.token("cto")];
    one.end(&tokens[0], NOW).unwrap();
    two.end(&tokens[1], NOW).unwrap();
    one.end(&tokens[2], NOW).unwrap();
    for authority in [&one, &two, &home.open()] {
        authority.refresh();
        for token in &tokens {
            assert_eq!(authority.verify(token, NOW), Err(Refused::LoggedOut));
        }
    }
}

#[test]
fn invalid_tokens_cannot_be_logged_out() {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let without_id = signer.token(&kid, &claims(json!({ "jti": null })));
    let error = authority.end(&without_id, NOW).unwrap_err();
    assert!(matches!(error, AuthError::NoTokenId) && error.to_string().contains("jti"), "{error}");
    assert!(matches!(authority.end("a.b.c", NOW), Err(AuthError::Refused(Refused::Invalid))));
    authority.end(&home.token("cfo"), NOW + 100_000).expect("it is over anyway");
    assert!(!home.path("revoked.jsonl").exists());
}

#[test]
fn recheck_needs_no_token() {
    let home = Home::new();
    let authority = home.open();
    let grant = authority.verify(&home.token("cfo"), NOW).unwrap();
    assert_eq!(authority.recheck(&grant, NOW), Ok(grant.clone()));
    assert_eq!(authority.recheck(&grant, grant.expires + LEEWAY), Err(Refused::Expired));
}

#[test]
fn key_rotation_and_retirement() {
    let home = Home::new();
    let (authority, old) = (home.open(), home.token("cfo"));
    let old_key = authority.verify(&old, NOW).unwrap().key.to_string();
    let new_key = home.new_key(NewKey::Ed25519);
    let new = home.token("cfo");
    assert_eq!(authority.verify(&new, NOW), Err(Refused::Invalid), "not read yet");
    authority.refresh();
    let grants = [&old, &new].map(|token| authority.verify(token, NOW).unwrap());
    assert_eq!([&*grants[0].key, &*grants[1].key], [&*old_key, &*new_key]);
    home.folder.change_keys(|keys| keys.retire(&old_key)).unwrap();
    authority.refresh();
    assert_eq!(authority.verify(&old, NOW), Err(Refused::Invalid));
    assert_eq!(authority.recheck(&grants[0], NOW), Err(Refused::Invalid));
    assert!(authority.verify(&new, NOW).is_ok() && authority.recheck(&grants[1], NOW).is_ok());
}

#[test]
fn issuing_rejects_bad_lifetimes_sizes_and_names() {
    let home = Home::new();
    let keys = home.folder.keys().unwrap();
    for seconds in [0, -1, MAX_LIFETIME + 1] {
        let made = keys.issue("cfo", (Role::Viewer, Documents::All), NOW, seconds);
        assert!(matches!(made, Err(AuthError::Lifetime)), "{seconds}");
    }
    assert!(keys.issue("cfo", (Role::Viewer, Documents::All), NOW, MAX_LIFETIME).is_ok());
    let many = (0..100u8).map(|id| DocumentName::Id(primitives::DocumentId::from_random([id; 16]))).collect();
    let made = keys.issue("cfo", (Role::Viewer, Documents::Named(many)), NOW, 60);
    assert!(matches!(made, Err(AuthError::TokenTooLong(_))));
    assert!(matches!(keys.issue("a\nb", (Role::Viewer, Documents::All), NOW, 60), Err(AuthError::Name(_))));
}
