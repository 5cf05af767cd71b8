//! Which tokens are good, and that all others are refused.

use super::*;

/// Signed by our own key, with claims that are fine but for these.
fn verify(changes: Value) -> Result<Grant, Refused> {
    let home = Home::new();
    let (signer, kid) = Signer::own(&home, 0);
    home.open().verify(&signer.token(&kid, &claims(changes)), NOW)
}

#[test]
fn a_good_token_says_who_what_where_and_how_long() {
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
fn tokens_that_we_make_are_good_with_either_kind_of_key() {
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
fn two_tokens_have_two_ids() {
    let home = Home::new();
    let authority = home.open();
    let [one, two] = [(), ()].map(|()| authority.verify(&home.token("cfo"), NOW).unwrap().id.unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 32, "128 random bits");
}

#[test]
fn a_token_is_good_from_its_beginning_to_its_end_and_5_s_more_as_clocks_differ() {
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
fn a_wrong_signature_is_refused() {
    let home = Home::new();
    let (_, kid) = Signer::own(&home, 0);
    let authority = home.open();
    let good = home.token("cfo");
    assert!(authority.verify(&good, NOW).is_ok());
    // Somebody else's key under our id.
    assert_eq!(authority.verify(&Signer::ed25519().token(&kid, &claims(json!({}))), NOW), Err(Refused::Invalid));
    // One bit of any part.
    let bytes = good.as_bytes();
    for at in (0..bytes.len()).step_by(7) {
        let mut forged = bytes.to_vec();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(authority.verify(&forged, NOW), Err(Refused::Invalid), "byte {at}");
    }
    // The signature of another token, none, and one that is cut off.
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = home.token("ceo");
    let (_, others) = other.rsplit_once('.').unwrap();
    for signature in [others, "", &signature[..signature.len() - 2]] {
        assert_eq!(authority.verify(&format!("{message}.{signature}"), NOW), Err(Refused::Invalid), "{signature}");
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_tokens_word() {
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
    // A public key taken for a secret: whoever knows it could sign.
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
    // The right key by another name: each key has its own algorithm.
    assert!(authority.verify(&hmac.token(&hmac_kid, &claims), NOW).is_ok());
    assert_eq!(authority.verify(&own.token(&hmac_kid, &claims), NOW), Err(Refused::Invalid));
    assert_eq!(authority.verify(&hmac.token(&kid, &claims), NOW), Err(Refused::Invalid));
}

#[test]
fn a_token_names_a_key_that_is_known() {
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
fn a_head_that_asks_for_more_than_a_plain_signature_is_refused() {
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
    assert!(with("cty", json!("x")).is_ok(), "what means nothing here is not looked at");
}

#[test]
fn what_is_not_three_parts_of_json_is_refused() {
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
    // Who reads the one and who reads the other would not agree.
    let twice = claims(json!({})).to_string().replacen('{', "{\"sub\":\"ceo\",", 1);
    assert_eq!(authority.verify(&signer.token_of(&head, &twice), NOW), Err(Refused::Invalid));
}

#[test]
fn a_token_of_more_than_4_kib_is_refused_before_anything_else_is_looked_at() {
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
fn without_an_end_or_with_none_that_is_a_moment_it_is_refused() {
    for exp in [json!(null), json!("1900000000"), json!(true), json!([NOW + 60])] {
        assert_eq!(verify(json!({ "exp": exp })), Err(Refused::Invalid), "{exp}");
    }
    assert_eq!(verify(json!({ "exp": 0 })), Err(Refused::Expired));
    assert!(verify(json!({ "exp": i64::MAX })).is_ok());
    assert_eq!(verify(json!({ "nbf": i64::MAX })), Err(Refused::NotYet));
    assert_eq!(verify(json!({ "nbf": "now" })), Err(Refused::Invalid));
}

#[test]
fn a_user_has_a_name_of_one_line() {
    let long = "x".repeat(201);
    for sub in
        [json!(null), json!(""), json!(" "), json!(" cfo"), json!("a\nb"), json!("a\u{7}"), json!(7), json!(long)]
    {
        assert_eq!(verify(json!({ "sub": sub })), Err(Refused::Invalid), "{sub}");
    }
    assert_eq!(&*verify(json!({ "sub": "Jane Doe" })).unwrap().user, "Jane Doe");
}

#[test]
fn documents_are_all_or_a_list_and_without_the_claim_none() {
    for documents in [json!("default"), json!(""), json!(true), json!({}), json!(["*"]), json!(["x"]), json!([1])] {
        assert_eq!(verify(json!({ "documents": documents })), Err(Refused::Invalid), "{documents}");
    }
    assert_eq!(verify(json!({ "documents": null })).unwrap().documents, Documents::none());
    assert_eq!(verify(json!({ "documents": [] })).unwrap().documents, Documents::none());
}

#[test]
fn a_role_is_one_of_three() {
    for role in [json!(null), json!("admin"), json!("OWNER"), json!(["owner"]), json!(3), json!("")] {
        assert_eq!(verify(json!({ "role": role })), Err(Refused::Invalid), "{role}");
    }
}

#[test]
fn our_own_tokens_are_issued_by_us_and_for_nobody_else() {
    for changes in
        [json!({ "iss": null }), json!({ "iss": "other" }), json!({ "aud": "other" }), json!({ "aud": ["a", "b"] })]
    {
        assert_eq!(verify(changes.clone()), Err(Refused::Invalid), "{changes}");
    }
}

#[test]
fn a_token_with_an_id_that_nobody_could_remember_is_refused() {
    for id in [json!(""), json!("x".repeat(201)), json!(7)] {
        assert_eq!(verify(json!({ "jti": id })), Err(Refused::Invalid), "{id}");
    }
    assert_eq!(verify(json!({ "jti": null })).unwrap().id, None);
}

#[test]
fn a_token_of_a_disabled_user_is_refused_and_on_a_connection_that_is_there_too() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let (authority, token) = (home.open(), home.token("CFO"));
    let grant = authority.verify(&token, NOW).unwrap();
    assert_eq!(grant.role, Role::Editor, "what the token says, and not the account");
    home.change("cfo", |account| account.disable(NOW));
    authority.refresh();
    assert_eq!(authority.verify(&token, NOW), Err(Refused::Disabled));
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Disabled));
    home.change("cfo", Account::enable);
    authority.refresh();
    assert_eq!(authority.verify(&token, NOW), Err(Refused::Disabled), "it is from before");
    assert!(authority.verify(&home.token("ceo"), NOW).is_ok(), "others are not concerned");
}

#[test]
fn a_token_from_before_the_password_was_changed_is_refused() {
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
fn a_token_that_was_logged_out_stays_out_also_after_a_restart() {
    let home = Home::new();
    let (authority, token) = (home.open(), home.token("cfo"));
    let (grant, before) = (authority.verify(&token, NOW).unwrap(), *authority.changes().borrow());
    authority.end(&token, NOW).unwrap();
    assert_ne!(*authority.changes().borrow(), before, "those who are connected are asked about again");
    for authority in [authority, home.open()] {
        assert_eq!(authority.verify(&token, NOW), Err(Refused::LoggedOut));
        assert_eq!(authority.recheck(&grant, NOW), Err(Refused::LoggedOut));
        assert!(authority.verify(&home.token("cfo"), NOW).is_ok(), "another token of the same user");
        authority.end(&token, NOW).expect("it is out already");
    }
    assert_eq!(fs::read_to_string(home.path("revoked.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn what_one_server_logs_out_is_out_at_another_on_the_same_folder() {
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
fn a_token_that_cannot_be_remembered_or_is_not_genuine_is_not_logged_out() {
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
fn a_connection_is_asked_about_again_without_its_token() {
    let home = Home::new();
    let authority = home.open();
    let grant = authority.verify(&home.token("cfo"), NOW).unwrap();
    assert_eq!(authority.recheck(&grant, NOW), Ok(grant.clone()));
    assert_eq!(authority.recheck(&grant, grant.expires + LEEWAY), Err(Refused::Expired));
}

#[test]
fn a_new_key_signs_the_old_one_verifies_and_a_retired_one_does_not() {
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
fn nobody_makes_a_token_that_lives_or_is_longer_than_it_may() {
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
