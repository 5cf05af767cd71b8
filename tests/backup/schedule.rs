//! Backups that the server makes by itself.

use std::fs;

use super::place::{Place, contents, files, succeeds, text};
use super::support::http_to;
use super::support::process::{Running, folder, names, program, run, serve};

/// The value of a metric of the server.
async fn metric(address: std::net::SocketAddr, name: &str) -> f64 {
    let (status, _, text) = http_to(address, "GET", "/metrics", &[], String::new()).await;
    assert_eq!(status, 200);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

#[tokio::test]
async fn server_backs_up_at_every_interval() {
    let place = Place::filled(1);
    let flags = ["--backup", text(&place.backups), "--backup-every", "1s", "--backup-keep-last", "2"];
    let (server, address) = Running::server(serve(&place.state(), &flags));
    for _ in 0..3 {
        server.until_logged("made a backup");
    }
    let begun = metric(address, "happierwork_last_backup_timestamp_seconds").await;
    assert!(begun > 1_700_000_000.0, "{begun}");
    assert!((metric(address, "happierwork_backup_failures_total").await - 0.0).abs() < f64::EPSILON);
    assert_eq!(server.stop().code, Some(0));
    let list = run(&["restore", text(&place.backups), "--list"]);
    // Another backup may have been interrupted by the end of the server.
    assert!((2..=3).contains(&succeeds(&list).lines().count()), "{list:?}");
    let target = folder();
    succeeds(&place.restore(&files(target.path()), &[]));
    let mut restored = contents(target.path());
    restored.retain(|name, _| name != "storage-id");
    assert_eq!(restored["state"], fs::read(place.state()).unwrap());
}

#[tokio::test]
async fn restarted_server_waits_for_the_interval() {
    let place = Place::filled(0);
    let flags = ["--backup", text(&place.backups), "--backup-every", "1d"];
    let (server, _) = Running::server(serve(&place.state(), &flags));
    server.until_logged("made a backup");
    server.stop();
    let (server, address) = Running::server(serve(&place.state(), &flags));
    while metric(address, "happierwork_last_backup_timestamp_seconds").await < 1.0 {
        tokio::task::yield_now().await;
    }
    server.stop();
    assert_eq!(place.made().len(), 1);
}

#[tokio::test]
async fn failed_backup_is_counted_and_the_server_continues() {
    let place = Place::filled(0);
    fs::write(&place.backups, b"a file in the way").unwrap();
    let flags = ["--backup", text(&place.backups), "--backup-every", "1s"];
    let (server, address) = Running::server(serve(&place.state(), &flags));
    server.until_logged("the backup failed");
    assert!(metric(address, "happierwork_backup_failures_total").await >= 1.0);
    // It tries again.
    fs::remove_file(&place.backups).unwrap();
    server.until_logged("made a backup");
    server.stop();
}

#[tokio::test]
async fn servers_of_one_database_back_up_one_at_a_time() {
    let folder = folder();
    let (database, backups) = (folder.path().join("plan.db"), folder.path().join("backup"));
    // Another server has begun a backup.
    let mark = backups.join("running/other");
    fs::create_dir_all(mark.parent().unwrap()).unwrap();
    fs::write(&mark, b"").unwrap();
    let database = format!("sqlite:{}", database.display());
    let flags = ["serve", "--listen", "127.0.0.1:0", "--database", &database, "--backup", text(&backups)];
    let (server, _) = Running::server(program(&[&flags[..], &["--backup-every", "20s"]].concat()));
    server.until_logged("waiting for the backup of another server");
    assert_eq!(names(&backups), ["running"]);
    fs::remove_file(&mark).unwrap();
    server.until_logged("made a backup");
    server.stop();
}

/// The time of the last backup would look recent for ever, although no more backups are made.
#[tokio::test]
async fn backup_from_the_future_does_not_hide_that_others_fail() {
    let place = Place::filled(0);
    place.back_up(&[]);
    let backups = place.backups.join("backups");
    let made = place.made().remove(0);
    fs::rename(made, backups.join("2099-01-01T000000.000Z-00000000")).unwrap();
    let flags = ["--backup", text(&place.backups), "--backup-every", "1d"];
    let (server, address) = Running::server(serve(&place.state(), &flags));
    server.until_logged("made a backup");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let last = metric(address, "happierwork_last_backup_timestamp_seconds").await;
    assert!((1.0..=now).contains(&last), "{last}");
    server.stop();
    assert_eq!(place.made().len(), 2);
}
