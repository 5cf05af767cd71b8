//! Removal of old backups.

use std::fs;

use automerge::AutoCommit;

use super::place::{Place, append_change, contents, files, id, succeeds, text};
use super::support::process::{folder, names, run};

/// Appends a change to a document, as a server does; sometimes compacts it.
fn edit(place: &Place, number: u8, round: usize) {
    append_change(&place.document(number), &format!("round {round}"), &"x".repeat(round * 200));
    if round % 5 == 4 {
        let mut document = AutoCommit::load(&fs::read(place.document(number)).unwrap()).unwrap();
        fs::write(place.document(number), document.save()).unwrap();
    }
}

#[test]
fn kept_backups_stay_whole_while_others_are_removed() {
    let place = Place::filled(3);
    let mut saved = Vec::new();
    for round in 0..12 {
        // The third document never changes, so that its first copy is in use for ever.
        edit(&place, 0, round);
        if round % 3 == 0 {
            edit(&place, 1, round);
        }
        let ended = place.back_up(&["--keep-last", "3"]);
        let name = succeeds(&ended).split(':').next().unwrap().to_owned();
        saved.push((name, place.contents()));
        let list = run(&["restore", text(&place.backups), "--list"]);
        let kept: Vec<_> = succeeds(&list).lines().collect();
        let last = &saved[saved.len().saturating_sub(3)..];
        assert!(last.iter().map(|(name, _)| name.as_str()).eq(kept.iter().copied()), "{kept:?}");
        for (name, before) in last {
            let target = folder();
            succeeds(&place.restore(&files(target.path()), &["--backup", name]));
            assert_eq!(&contents(target.path()), before, "round {round}: {name}");
        }
    }
    let unused: Vec<_> = place.made().into_iter().filter(|path| path.join("builds-on").exists()).collect();
    assert!(unused.len() <= 3, "of removed backups, only files in use are left: {unused:?}");
    let of_third = format!("{}.automerge", id(2));
    let holders = place.made().into_iter().filter(|path| path.join("documents").join(&of_third).exists());
    assert_eq!(holders.count(), 1);
    assert_eq!(names(&place.backups), ["backups"]);
}

#[test]
fn removal_stops_at_a_manifest_that_cannot_be_read() {
    let place = Place::filled(1);
    place.back_up(&[]);
    place.back_up(&[]);
    let [first, second] = &place.made()[..] else { panic!("two backups") };
    fs::write(second.join("manifest.json"), b"{}").unwrap();
    fs::remove_file(first.join("manifest.json")).unwrap();
    // Which files the second one needs is unknown.
    let ended = place.back_up(&["--keep-last", "9"]);
    assert!(ended.code == Some(0) && ended.err.contains("earlier backups were not removed"), "{ended:?}");
    assert!(first.join("state.automerge").exists());
}

#[test]
fn concurrent_backups_remove_no_files_of_each_other() {
    let place = Place::filled(2);
    for round in 0..4 {
        edit(&place, 0, round);
        std::thread::scope(|scope| {
            let back_up = || {
                succeeds(&place.back_up(&["--keep-last", "1"]));
            };
            (0..3).for_each(|_| drop(scope.spawn(back_up)));
        });
        let list = run(&["restore", text(&place.backups), "--list"]);
        assert!(succeeds(&list).lines().count() >= 1);
        for name in list.out.lines() {
            let target = folder();
            succeeds(&place.restore(&files(target.path()), &["--backup", name]));
            assert_eq!(contents(target.path()), place.contents(), "round {round}: {name}");
        }
    }
}
