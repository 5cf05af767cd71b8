//! The files: permissions, content, and changes while an authority runs.

use std::os::unix::fs::{MetadataExt, chown};
use std::thread;

use super::*;

fn refused(home: &Home) -> String {
    Authority::open(&home.options()).err().expect("refused").to_string()
}

#[test]
fn missing_folder_or_key_names_the_command_to_run() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("auth");
    let mut options = AuthOptions { folder: Some(path.clone()), ..AuthOptions::default() };
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
fn new_files_are_private() {
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
fn secrets_with_open_permissions_are_rejected() {
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
            // The commands reject it, too.
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
fn malformed_files_are_rejected_and_left_alone() {
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
fn duplicate_key_ids_are_rejected() {
    let home = Home::new();
    let mut keys = home.keys_json();
    let key = keys["keys"][0].clone();
    keys["keys"].as_array_mut().unwrap().push(key);
    home.write("keys.json", &keys.to_string());
    assert!(refused(&home).contains("two keys with the id"));
}

#[test]
fn broken_file_keeps_the_last_content_and_is_logged_once() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let (authority, token) = (home.open(), home.token("cfo"));
    authority.end(&home.token("ceo"), NOW).unwrap();
    for name in ["keys.json", "users.json", "revoked.jsonl"] {
        let before = *authority.changes().borrow();
        let good = fs::read_to_string(home.path(name)).unwrap();
        let log = logged(|| {
            for _ in 0..5 {
                home.write(name, "broken\n");
                authority.refresh();
                assert!(authority.verify(&token, NOW).is_ok() && authority.has_accounts());
            }
        });
        assert_eq!(log.matches("ERROR").count(), 1, "{log}");
        assert!(log.contains(name) && log.contains("stays in use"), "{log}");
        let log = logged(|| {
            fs::remove_file(home.path(name)).unwrap();
            authority.refresh();
            assert!(authority.verify(&token, NOW).is_ok() && authority.has_accounts());
        });
        assert!(log.contains("is gone"), "a missing file is not an empty file: {log}");
        assert_eq!(*authority.changes().borrow(), before);
        let log = logged(|| {
            home.write(name, &good);
            authority.refresh();
        });
        assert!(log.contains("were read again") && !log.contains("ERROR"), "{log}");
        assert_ne!(*authority.changes().borrow(), before);
        let again = *authority.changes().borrow();
        authority.refresh();
        assert_eq!(*authority.changes().borrow(), again, "nothing has changed since");
    }
}

#[test]
fn recurring_error_is_logged_again() {
    let home = Home::new();
    let authority = home.open();
    let away = home.home.path().join("away");
    for _ in 0..2 {
        let log = logged(|| {
            fs::rename(home.folder.path(), &away).unwrap();
            authority.refresh();
            authority.refresh();
            fs::rename(&away, home.folder.path()).unwrap();
            authority.refresh();
            authority.refresh();
        });
        assert_eq!(log.matches("is gone").count(), 1, "{log}");
        assert_eq!(log.matches("there again").count(), 1, "{log}");
    }
}

#[test]
fn file_opened_to_others_stays_in_use_with_an_error() {
    let home = Home::new();
    let (authority, token) = (home.open(), home.token("cfo"));
    let log = logged(|| {
        fs::set_permissions(home.path("keys.json"), Permissions::from_mode(0o644)).unwrap();
        authority.refresh();
    });
    assert!(log.contains("chmod 600"), "{log}");
    assert!(authority.verify(&token, NOW).is_ok());
}

#[tokio::test(start_paused = true)]
async fn running_authority_notices_changes() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    let authority = home.open();
    let grant = authority.verify(&home.token("cfo"), NOW).unwrap();
    let mut changes = authority.changes();
    tokio::spawn(authority.clone().watch(|| NOW));
    home.change("cfo", |account| account.disable(NOW));
    changes.changed().await.unwrap();
    assert_eq!(authority.recheck(&grant, NOW), Err(Refused::Disabled));
    home.new_key(NewKey::Hs256);
    changes.changed().await.unwrap();
    assert!(authority.verify(&home.token("ceo"), NOW).is_ok());
}

#[test]
fn concurrent_changes_lose_nothing() {
    let home = Home::new();
    home.account("cfo", Role::Owner);
    thread::scope(|scope| {
        for writer in 0..8 {
            // Each thread opens the folder itself, as a process does: locks belong to open files.
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
fn failed_change_writes_nothing() {
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
fn symbolic_link_is_followed_by_changes() {
    let home = Home::new();
    let elsewhere = home.home.path().join("keys-elsewhere.json");
    fs::rename(home.path("keys.json"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, home.path("keys.json")).unwrap();
    let kid = home.new_key(NewKey::Ed25519);
    assert!(home.path("keys.json").is_symlink());
    assert!(fs::read_to_string(elsewhere).unwrap().contains(&kid));
}

/// Only root can change owners; for other users, all files are their own anyway.
#[test]
fn changes_by_root_keep_the_owner() {
    let home = Home::new();
    home.account("cfo", Role::Editor);
    let me = fs::metadata(home.folder.path()).unwrap().uid();
    let server = if me == 0 { 4_711 } else { me };
    chown(home.folder.path(), Some(server), None).unwrap();
    for name in ["keys.json", "users.json"] {
        chown(home.path(name), Some(server), None).unwrap();
    }
    // Root has already made the lock file.
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
