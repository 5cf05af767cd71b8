//! Commands on PostgreSQL and MariaDB.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ScalarValue};
use serde_json::json;

use super::databases::{answers, shows};
use super::migrate::{Files, fails, id, migrate, succeeds};
use super::servers::{self, PASSWORD, USER};
use super::support::post_to;
use super::support::process::{FIXTURES, Running, folder, program, run};

/// Creates a database. The servers accept connections some moments before they are ready.
fn create(client: impl Fn() -> Command) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = client().output().unwrap();
        if output.status.success() {
            return;
        }
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An empty PostgreSQL database.
fn postgres(name: &str) -> String {
    let server = servers::postgres();
    create(|| {
        let mut client = Command::new(servers::find("psql"));
        client.env("PGPASSWORD", PASSWORD).args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", USER]);
        client.args(["-c", &format!("CREATE DATABASE {name}"), "postgres"]);
        client
    });
    format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{name}", server.port)
}

/// An empty MariaDB database.
fn mariadb(name: &str) -> String {
    let server = servers::mariadb();
    create(|| {
        let mut client = Command::new(servers::find("mariadb"));
        client.args(["--no-defaults", "-h", "127.0.0.1", "-P", &server.port.to_string(), "-u", USER]);
        client.args([&format!("-p{PASSWORD}"), "-e", &format!("CREATE DATABASE {name}")]);
        client
    });
    format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}/{name}", server.port)
}

/// A document whose content exceeds one row: changes of 3 MiB that cannot be compressed.
fn large_document() -> Vec<u8> {
    let mut document = AutoCommit::new();
    let mut random = 1_u64;
    let change = |number: u8| {
        let mut bytes = Vec::new();
        while bytes.len() < 3 << 20 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&random.to_le_bytes()[2..]);
        }
        document.put(ROOT, number.to_string(), ScalarValue::Bytes(bytes)).unwrap();
        document.save_incremental()
    };
    (0..3).flat_map(change).collect()
}

#[test]
fn documents_move_between_files_postgres_and_mariadb() {
    let (folder, back) = (folder(), folder());
    let files = Files::filled(folder.path(), 3);
    fs::write(files.document(2), large_document()).unwrap();
    let (postgres, mariadb) = (postgres("plan_moved"), mariadb("plan_moved"));
    let back = Files::in_folder(back.path());
    for (from, to) in [(&files.name(), &postgres), (&postgres, &mariadb), (&mariadb, &back.name())] {
        let ended = migrate(from, to, &[]);
        assert!(succeeds(&ended).contains("4 moved and verified"), "{ended:?}");
        let again = migrate(from, to, &[]);
        assert!(succeeds(&again).contains("4 already there"), "{again:?}");
        assert!(!again.out.contains(PASSWORD));
    }
    assert_eq!(back.contents(), files.contents());
    fails(&migrate(&postgres, &postgres.replace("127.0.0.1", "localhost"), &[]), "the same store");

    for database in [&postgres, &mariadb] {
        let checked = run(&["check", "--database", database]);
        assert!(succeeds(&checked).contains("4 documents, all whole"), "{checked:?}");
        assert!(checked.out.contains(&format!("{}: whole. ", id(2))) && !checked.out.contains(PASSWORD), "{checked:?}");
    }
    for wrong in [postgres.replace(PASSWORD, "hunter2"), mariadb.replace(PASSWORD, "hunter2")] {
        for ended in [migrate(&files.name(), &wrong, &[]), migrate(&wrong, &back.name(), &[])] {
            fails(&ended, "refused the login");
            assert!(!ended.err.contains("hunter2"), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn running_servers_show_an_import_and_a_deletion() {
    for database in [postgres("plan_shown"), mariadb("plan_shown")] {
        let on_database = |arguments: &[&str]| run(&[arguments, &["--database", &database]].concat());
        let (server, address) =
            Running::server(program(&["serve", "--listen", "127.0.0.1:0", "--database", &database]));
        shows(address, "default", 0).await;
        succeeds(&on_database(&["import", &format!("{FIXTURES}/positions.json")]));
        shows(address, "default", 60).await;
        let (status, made) = post_to(address, "/api/documents", &json!({ "name": "x" })).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap();
        succeeds(&on_database(&["document", "delete", id]));
        answers(address, &format!("/api/documents/{id}"), |status, _| status == 404).await;
        assert_eq!(server.stop().code, Some(0));
    }
}

#[test]
fn commands_work_on_postgres_and_mariadb() {
    for database in [postgres("plan_commands"), mariadb("plan_commands")] {
        let on_database = |arguments: &[&str]| run(&[arguments, &["--database", &database]].concat());
        fails(&on_database(&["document", "list"]), "holds no documents");
        let import = ["import", &format!("{FIXTURES}/positions.json")];
        assert!(succeeds(&on_database(&import)).contains("60 positions imported"));
        let (one, other) = (id(1), id(2));
        assert!(
            succeeds(&on_database(&[&import[..], &["--document", one.as_str()]].concat())).contains("now holds 60")
        );
        assert_eq!(succeeds(&on_database(&["export", "--format", "csv"])).lines().count(), 61);
        succeeds(&on_database(&["document", "delete", one.as_str()]));
        succeeds(&on_database(&["document", "restore", one.as_str()]));
        succeeds(&on_database(&["document", "delete", one.as_str(), "--now"]));
        fails(&on_database(&["document", "delete", other.as_str()]), "there is no document");
        let listed = on_database(&["document", "list"]);
        assert_eq!(succeeds(&listed).lines().count(), 2, "{listed:?}");
        assert!(succeeds(&on_database(&["check"])).contains("2 documents, all whole"));
    }
}
