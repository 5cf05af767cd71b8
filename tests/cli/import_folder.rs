//! `import` of the folder of a stock automerge-repo server.

use std::fs;
use std::path::Path;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, Automerge, ROOT};
use primitives::DocumentId;

use super::support::process::{folder, run};

/// Writes a document as `NodeFSStorageAdapter` does. Returns it.
fn write(folder: &Path, seed: u8) -> (DocumentId, AutoCommit) {
    let id = DocumentId::from_random([seed; 16]);
    let mut document = AutoCommit::new();
    document.put(ROOT, "seed", i64::from(seed)).unwrap();
    let place = folder.join(&id.as_str()[..2]).join(&id.as_str()[2..]);
    fs::create_dir_all(place.join("snapshot")).unwrap();
    fs::create_dir_all(place.join("incremental")).unwrap();
    fs::write(place.join("snapshot/one"), document.save()).unwrap();
    document.put(ROOT, "more", true).unwrap();
    fs::write(place.join("incremental/two"), document.save_incremental()).unwrap();
    (id, document)
}

#[test]
fn folder_of_documents_is_imported_and_completed() {
    let folder = folder();
    let (data, target) = (folder.path().join("data"), folder.path().join("target"));
    let mut all: Vec<(DocumentId, AutoCommit)> = (1..=20).map(|seed| write(&data, seed)).collect();
    fs::create_dir_all(data.join("st")).unwrap();
    fs::write(data.join("st/orage-adapter-id"), "an id").unwrap();
    let import = || run(&["import", data.to_str().unwrap(), "--data-dir", target.to_str().unwrap()]);
    let damaged = data.join(&all[0].0.as_str()[..2]).join(&all[0].0.as_str()[2..]).join("incremental/two");
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, &whole[..whole.len() - 3]).unwrap();

    let ended = import();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.contains("20 documents: 19 imported and verified, 0 completed, 0 already there, 1 not imported"),
        "{ended:?}"
    );
    assert!(ended.out.ends_with(&format!("refused: {}\n", all[0].0.url())), "{ended:?}");
    assert!(ended.err.contains("incremental/two") && ended.err.contains("whole Automerge chunks"), "{ended:?}");

    // Repaired; another document has grown meanwhile, and one has been changed in the target.
    fs::write(&damaged, whole).unwrap();
    let (id, grown) = &mut all[1];
    grown.put(ROOT, "later", 1).unwrap();
    let place = data.join(&id.as_str()[..2]).join(&id.as_str()[2..]);
    fs::write(place.join("incremental/three"), grown.save_incremental()).unwrap();
    let changed = target.join(format!("documents/{}.automerge", all[2].0));
    let mut here = AutoCommit::load(&fs::read(&changed).unwrap()).unwrap();
    here.put(ROOT, "here", 1).unwrap();
    fs::write(&changed, here.save()).unwrap();
    let ended = import();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("1 imported and verified, 1 completed, 18 already there, 0 not imported"), "{ended:?}");

    all[2].1 = here;
    for (id, document) in &mut all {
        let stored = fs::read(target.join(format!("documents/{id}.automerge"))).unwrap();
        assert_eq!(Automerge::load(&stored).unwrap().get_heads(), document.get_heads(), "{id}");
    }
    assert!(!target.join("state.automerge").exists(), "the server makes the default document");
}

#[test]
fn folder_is_imported_into_a_database() {
    let folder = folder();
    let data = folder.path().join("data");
    let (id, mut document) = write(&data, 7);
    let database = format!("sqlite:{}", folder.path().join("plan.db").display());
    let ended = run(&["import", data.to_str().unwrap(), "--database", &database]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let listed = run(&["document", "list", "--database", &database]);
    assert!(listed.out.contains(id.as_str()), "{listed:?}");
    let out = folder.path().join("out");
    let moved = run(&["migrate", "--from", &database, "--to", &format!("files:{}", out.display())]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let stored = fs::read(out.join(format!("documents/{id}.automerge"))).unwrap();
    assert_eq!(Automerge::load(&stored).unwrap().get_heads(), document.get_heads());
}

#[test]
fn other_folders_and_flags_are_refused() {
    let folder = folder();
    let (data, empty) = (folder.path().join("data"), folder.path().join("empty"));
    write(&data, 7);
    fs::create_dir(&empty).unwrap();
    let target = folder.path().join("target");
    let import = |source: &Path, more: &[&str]| {
        run(&[&["import", source.to_str().unwrap(), "--data-dir", target.to_str().unwrap()], more].concat())
    };
    let ended = import(&empty, &[]);
    assert!(ended.code == Some(1) && ended.err.contains("holds no documents of an automerge-repo server"), "{ended:?}");
    for flags in [&["--skip-odd"][..], &["--total-budget", "5"], &["--document", "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]] {
        let ended = import(&data, flags);
        assert!(ended.code == Some(1) && ended.err.contains(flags[0]), "{ended:?}");
    }
    assert!(!target.exists());
}
