//! The files: who may read them, what must be in them, and that they change under a running authority.

use std::os::unix::fs::{MetadataExt, chown};
use std::thread;

use super::*;

fn refused(home: &Home) -> String {
    Authority::open(&home.options()).err().expect("refused").to_string()
}

#[test]
fn a_folder_that_is_not_there_or_has_no_key_is_refused_with_the_command_that_makes_it() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("auth");
    let mut options = AuthOptions {
        folder: Some(path.clone()),
        jwks: None,
        audience: None,
        issuer: None,
        session: Duration::from_secs(1),
    };
    for command in ["happierwork user add", "happierwork key new"] {
        let error = Authority::open(&options).err().expect("refused").to_string();
        assert!(error.contains(command) && error.contains(path.to_str().unwrap()), "{error}");
        AuthFolder::create(&path).unwrap();
    }
    options.folder = None;
    assert!(matches!(Authority::open(&options), Err(AuthError::Nothing)));
    options.jwks = Some(path.join("jwks.json"));
    let error = Authority::open(&options).err().expect("refused").to_string();
    assert!(error.contains("jwks.json"), "{error}");
}

#[test]
fn what_is_made_only_its_owner_can_read() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    home.open().end(&home.token("cfo"), NOW).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.folder.path().to_owned()), 0o700);
    for name in ["keys.json", "users.json", "revoked.jsonl", "lock"] {
        assert_eq!(mode(home.path(name)), 0o600, "{name}");
    }
}

#[test]
fn secrets_that_others_can_read_are_refused_with_the_remedy_and_left_alone() {
    for name in ["keys.json", "users.json"] {
        for mode in [0o640, 0o604, 0o620, 0o666] {
            let home = Home::new();
            home.account("cfo", Role::Editor);
            let path = home.path(name);
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = refused(&home);
            let remedy = format!("chmod 600 {}", path.display());
            for word in [&*remedy, &format!("mode {mode:o}"), "key new"] {
                assert!(error.contains(word), "{word:?} is not in {error}");
            }
            // The commands do not go past it, either.
            let changed = match name {
                "keys.json" => home.folder.change_keys(|keys| keys.make(NewKey::Ed25519, NOW).map(drop)),
                _ => home.folder.change_accounts(|_| Ok(())),
            };
            assert!(matches!(changed, Err(AuthError::Exposed { .. })), "{name}");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            home.open();
        }
    }
}

#[test]
fn files_that_do_not_hold_what_they_should_are_refused_by_name_and_left_as_they_are() {
    for name in ["keys.json", "users.json", "revoked.jsonl"] {
        for content in ["nonsense\n", "{\"keys\": 7, \"users\": 7}\n", "[]\n"] {
            let home = Home::new();
            home.account("cfo", Role::Editor);
            home.write(name, content);
            let error = refused(&home);
            assert!(error.contains(home.path(name).to_str().unwrap()), "{error}");
            assert_eq!(fs::read_to_string(home.path(name)).unwrap(), content);
        }
    }
    let home = Home::new();
    fs::remove_file(home.path("keys.json")).unwrap();
    fs::create_dir(home.path("keys.json")).unwrap();
    assert!(refused(&home).contains("not a file"));
}

#[test]
fn two_keys_of_one_id_are_refused() {
    let home = Home::new();
    let mut keys = home.keys_json();
    let key = keys["keys"][0].clone();
    keys["keys"].as_array_mut().unwrap().push(key);
    home.write("keys.json", &keys.to_string());
    assert!(refused(&home).contains("two keys with the id"));
}

#[test]
fn a_broken_file_under_a_running_authority_changes_nothing_and_is_said_once() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let (authority, token) = (home.open(), home.token("cfo"));
    authority.end(&home.token("ceo"), NOW).unwrap();
    for name in ["keys.json", "users.json", "revoked.jsonl"] {
        let before = *authority.changes().borrow();
        let good = fs::read_to_string(home.path(name)).unwrap();
        let said = logged(|| {
            for _ in 0..5 {
                home.write(name, "broken\n");
                authority.refresh();
                assert!(authority.verify(&token, NOW).is_ok() && authority.has_accounts());
            }
        });
        assert_eq!(said.matches("ERROR").count(), 1, "{said}");
        assert!(said.contains(name) && said.contains("goes on to count"), "{said}");
        let said = logged(|| {
            fs::remove_file(home.path(name)).unwrap();
            authority.refresh();
            assert!(authority.verify(&token, NOW).is_ok() && authority.has_accounts());
        });
        assert!(said.contains("is gone"), "a file that is gone does not mean that nothing is in it: {said}");
        assert_eq!(*authority.changes().borrow(), before);
        let said = logged(|| {
            home.write(name, &good);
            authority.refresh();
        });
        assert!(said.contains("were read again") && !said.contains("ERROR"), "{said}");
        assert_ne!(*authority.changes().borrow(), before);
        let again = *authority.changes().borrow();
        authority.refresh();
        assert_eq!(*authority.changes().borrow(), again, "nothing has changed since");
    }
}

#[test]
fn trouble_that_comes_again_is_said_again() {
    let home = Home::new();
    let authority = home.open();
    let away = home.home.path().join("away");
    for _ in 0..2 {
        let said = logged(|| {
            fs::rename(home.folder.path(), &away).unwrap();
            authority.refresh();
            authority.refresh();
            fs::rename(&away, home.folder.path()).unwrap();
            authority.refresh();
            authority.refresh();
        });
        assert_eq!(said.matches("is gone").count(), 1, "{said}");
        assert_eq!(said.matches("there again").count(), 1, "{said}");
    }
}

#[test]
fn a_file_that_becomes_readable_by_others_goes_on_to_count_and_is_said() {
    let home = Home::new();
    let (authority, token) = (home.open(), home.token("cfo"));
    let said = logged(|| {
        fs::set_permissions(home.path("keys.json"), Permissions::from_mode(0o644)).unwrap();
        authority.refresh();
    });
    assert!(said.contains("chmod 600"), "{said}");
    assert!(authority.verify(&token, NOW).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_a_command_changes_is_noticed_by_a_running_authority() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let authority = home.open();
    let grant = authority.verify(&home.token("cfo"), NOW).unwrap();
    let mut changes = authority.changes();
    tokio::spawn(authority.clone().watch());
    home.change("cfo", |account| account.disable(NOW));
    changes.changed().await.unwrap();
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Disabled));
    home.new_key(NewKey::Hs256);
    changes.changed().await.unwrap();
    assert!(authority.verify(&home.token("ceo"), NOW).is_ok());
}

#[test]
fn many_who_change_the_accounts_at_once_lose_nothing() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    thread::scope(|scope| {
        for writer in 0..8 {
            // Each with a folder of its own, as a process has it: locks are of open files.
            let folder = AuthFolder::open(home.folder.path()).unwrap();
            scope.spawn(move || {
                for round in 0..10 {
                    let name = AccountName::new(&format!("user-{writer}-{round}")).unwrap();
                    let changed = folder.change_accounts(|accounts| {
                        let cfo = accounts.get(&AccountName::new("cfo").unwrap()).unwrap().clone();
                        accounts.add(name, cfo)
                    });
                    changed.unwrap();
                }
            });
        }
    });
    assert_eq!(home.folder.accounts().unwrap().iter().count(), 81);
}

#[test]
fn a_change_that_says_no_changes_nothing() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let before = fs::read(home.path("users.json")).unwrap();
    let refused: Result<(), _> = home.folder.change_accounts(|accounts| {
        accounts.account(&AccountName::new("cfo").unwrap())?.disable(NOW);
        Err(AuthError::Lifetime)
    });
    assert!(refused.is_err());
    assert_eq!(fs::read(home.path("users.json")).unwrap(), before);
}

#[test]
fn a_file_that_is_a_link_is_changed_where_it_leads() {
    let home = Home::new();
    let elsewhere = home.home.path().join("keys-elsewhere.json");
    fs::rename(home.path("keys.json"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.path("keys.json")).unwrap();
    let kid = home.new_key(NewKey::Ed25519);
    assert!(home.path("keys.json").is_symlink());
    assert!(fs::read_to_string(elsewhere).unwrap().contains(&kid));
}

/// Only root gives files away; for everybody else all of them are their own anyway.
#[test]
fn what_root_changes_goes_on_to_belong_to_whose_it_was_and_what_root_makes_to_whose_the_folder_is() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let me = fs::metadata(home.folder.path()).unwrap().uid();
    let server = if me == 0 { 4_711 } else { me };
    chown(home.folder.path(), Some(server), None).unwrap();
    for name in ["keys.json", "users.json"] {
        chown(home.path(name), Some(server), None).unwrap();
    }
    // The lock is there already, as root has made it.
    home.change("cfo", |account| account.disable(NOW));
    home.new_key(NewKey::Ed25519);
    home.open().end(&home.token("ceo"), NOW).unwrap();
    for name in ["keys.json", "users.json", "revoked.jsonl", "lock"] {
        let metadata = fs::metadata(home.path(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (server, 0o600), "{name}");
    }
    for name in ["lock", "users.json"] {
        fs::remove_file(home.path(name)).unwrap();
    }
    home.account("cfo", Role::Editor);
    for name in ["lock", "users.json"] {
        assert_eq!(fs::metadata(home.path(name)).unwrap().uid(), server, "{name}");
    }
}
