//! Opening the state file in all its possible conditions.

use std::path::{Path, PathBuf};
use std::{fs, io};

use automerge_chunks::chunk::scan;
use tempfile::TempDir;

use super::*;
use crate::Position;

/// A folder with a state file of this content.
fn folder_with(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.automerge");
    fs::write(&path, bytes).expect("written");
    (folder, path)
}

/// A snapshot and four changes.
fn document() -> Vec<u8> {
    let mut editor = TestEditor::new();
    editor.edit();
    let mut bytes = editor.save();
    for _ in 0..4 {
        bytes.extend(editor.edit());
    }
    bytes
}

fn open_error(path: &Path) -> String {
    StateFile::open(path).err().expect("rejected").to_string()
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("readable");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn first_append_creates_a_missing_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    assert_eq!(names(&folder), ["state.automerge.lock"], "opening alone creates no document");
    let chunk = TestEditor::new().edit();
    store.append_chunks(&default_id(), chunk.clone()).await.expect("appends");
    assert_eq!(fs::read(folder.path().join("state.automerge")).expect("there"), chunk);
    assert_eq!(
        names(&folder),
        ["state.automerge", "state.automerge.lock"],
        "the folder of the documents is not created"
    );
}

#[test]
fn empty_file_is_rejected_unchanged() {
    let (folder, path) = folder_with(b"");
    let text = open_error(&path);
    assert!(text.contains("it is empty, as an interrupted copy leaves it") && text.contains("move it away"), "{text}");
    assert_eq!(fs::read(&path).expect("there"), b"");
    assert_eq!(names(&folder), ["state.automerge", "state.automerge.lock"]);
}

#[test]
fn missing_folder_is_reported_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = open_error(&folder.path().join("missing/state.automerge"));
    assert!(text.contains("the folder for `") && text.contains("does not exist") && text.contains("--state"), "{text}");
}

#[test]
fn folder_in_place_of_the_file_is_rejected() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("state.automerge")).expect("made");
    let text = open_error(&folder.path().join("state.automerge"));
    assert!(text.contains("is not a regular file") && text.contains("--state"), "{text}");
}

#[test]
fn file_of_another_format_is_rejected_unchanged() {
    for content in [&b"{\"positions\": []}"[..], b"x", &[0; 4096], &[0x85, 0x6f, 0x4a, 0x84]] {
        let (_folder, path) = folder_with(content);
        let text = open_error(&path);
        assert!(text.contains("is not an Automerge document") && text.contains("--state"), "{text}");
        assert_eq!(fs::read(&path).expect("there"), content);
    }
}

#[test]
fn read_only_file_is_rejected_at_the_start() {
    for op in [crate::faults::Op::Open, crate::faults::Op::Lock] {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            let disk = disk();
            disk.put("home/state.automerge", &document());
            disk.fail(op, 0, kind);
            let text = open_on(&disk).err().expect("rejected").to_string();
            assert!(text.contains("cannot be written") && text.contains("make it and its folder writable"), "{text}");
        }
    }
}

#[test]
fn file_in_use_is_rejected_with_its_holder() {
    let (_folder, path) = folder_with(&document());
    let first = StateFile::open(&path).expect("opens");
    let text = open_error(&path);
    let holder = format!("is in use by process {}; stop it, or give another file with --state", std::process::id());
    assert!(text.contains(&holder), "{text}");
    drop(first);
    StateFile::open(&path).expect("opens once the other is closed");
}

#[tokio::test]
async fn truncated_file_is_repaired_and_accepts_appends() {
    let whole = document();
    let ends: Vec<usize> = scan(&whole, u64::MAX).chunks.into_iter().map(|(_, range)| range.end).collect();
    for cut in ends[1]..whole.len() {
        let (folder, path) = folder_with(&whole[..cut]);
        let kept = ends.iter().copied().filter(|&end| end <= cut).max().expect("at least one");
        let state = StateFile::open(&path).expect("opens");
        assert_eq!(fs::read(&path).expect("there"), &whole[..kept], "cut at {cut}");
        match state.repair() {
            None => assert_eq!(cut, kept, "a whole file is not truncated"),
            Some(repair) => {
                assert_eq!(repair.saved_to, folder.path().join(format!("state.automerge.torn-{kept}")));
                assert_eq!(fs::read(&repair.saved_to).expect("kept"), &whole[kept..cut]);
            }
        }
        let store = FileStore::open(state, default_id(), folder.path().join("documents")).expect("opens");
        let next = TestEditor::from_bytes(&whole[..kept]).edit();
        store.append_chunks(&default_id(), next.clone()).await.expect("appends");
        drop(store);
        let state = StateFile::open(&path).expect("opens again");
        assert_eq!(fs::read(&path).expect("there"), [&whole[..kept], &next].concat(), "cut at {cut}");
        assert_eq!(state.repair(), None, "cut at {cut}");
    }
}

#[test]
fn file_without_a_whole_chunk_is_rejected_unchanged() {
    let whole = document();
    let first = scan(&whole, u64::MAX).chunks[0].1.end;
    for cut in 1..first {
        let (folder, path) = folder_with(&whole[..cut]);
        let text = open_error(&path);
        assert!(text.contains("it holds no whole chunk") && text.contains("backup"), "cut at {cut}: {text}");
        assert_eq!(fs::read(&path).expect("there"), &whole[..cut]);
        assert_eq!(names(&folder), ["state.automerge", "state.automerge.lock"]);
    }
}

#[test]
fn repair_never_overwrites_the_bytes_of_an_earlier_one() {
    let whole = document();
    let end = scan(&whole, u64::MAX).whole_len();
    let (folder, path) = folder_with(b"");
    for (round, name) in ["torn", "torn-2", "torn-3"].iter().enumerate() {
        let tail = vec![round as u8; 5];
        fs::write(&path, [&whole[..], &tail].concat()).expect("written");
        let state = StateFile::open(&path).expect("opens");
        assert_eq!(fs::read(&path).expect("there"), whole);
        let expected = folder.path().join(format!("state.automerge.torn-{end}{}", &name["torn".len()..]));
        assert_eq!(state.repair().map(|repair| &repair.saved_to), Some(&expected));
        assert_eq!(fs::read(expected).expect("kept"), tail);
    }
    assert_eq!(fs::read(folder.path().join(format!("state.automerge.torn-{end}"))).expect("kept"), [0; 5]);
}

#[test]
fn flipped_byte_before_the_last_chunk_is_not_truncated() {
    let whole = document();
    let last = scan(&whole, u64::MAX).chunks.pop().expect("chunks").1.start;
    let (folder, path) = folder_with(b"");
    for at in 0..last {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        if scan(&bytes, u64::MAX).end == automerge_chunks::chunk::ScanEnd::Whole {
            continue; // Padding of a deflated change: it carries nothing.
        }
        fs::write(&path, &bytes).expect("written");
        let text = open_error(&path);
        for word in ["is damaged at byte", "Restore it from a backup", &format!("happierwork check {}", path.display())]
        {
            assert!(text.contains(word), "byte {at}: {text}");
        }
        assert_eq!(fs::read(&path).expect("there"), bytes, "byte {at}");
    }
    assert_eq!(names(&folder), ["state.automerge", "state.automerge.lock"]);
}

#[test]
fn invalid_only_chunk_is_not_truncated() {
    let mut bytes = TestEditor::new().edit();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let (_folder, path) = folder_with(&bytes);
    assert!(open_error(&path).contains("it holds no whole chunk"));
    assert_eq!(fs::read(&path).expect("there"), bytes);
}

#[test]
fn chunks_with_missing_dependencies_are_damage() {
    let mut editor = TestEditor::new();
    editor.edit();
    let snapshot = editor.save();
    let (_lost, later, much_later) = (editor.edit(), editor.edit(), editor.edit());
    let orphans = [snapshot, later.clone()].concat();
    for bytes in [&orphans, &later, &[orphans.clone(), much_later[..20].to_vec()].concat()] {
        let (_folder, path) = folder_with(bytes);
        assert!(open_error(&path).contains("was not opened, and was left as it is"));
        assert_eq!(&fs::read(&path).expect("there"), bytes);
    }
}

#[test]
fn failed_repair_does_not_truncate() {
    use crate::faults::Op;
    let torn = [document(), vec![1, 2, 3]].concat();
    for op in [Op::Create, Op::Write, Op::Sync, Op::SyncDir, Op::Truncate] {
        let disk = disk();
        disk.put("home/state.automerge", &torn);
        disk.fail(op, 0, io::ErrorKind::StorageFull);
        assert!(open_on(&disk).is_err(), "{op:?}");
        assert_eq!(disk.content("home/state.automerge").as_ref(), Some(&torn), "{op:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn compaction_keeps_symbolic_link_and_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, target) = folder_with(&document());
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("set");
    let link = folder.path().join("link.automerge");
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    let state = StateFile::open(&link).expect("opens");
    assert!(open_error(&target).contains("is in use by process"), "both names lead to one file");
    let snapshot = TestEditor::from_bytes(&fs::read(&link).expect("there")).save();
    let store = FileStore::open(state, default_id(), folder.path().join("documents")).expect("opens");
    store.compact(&default_id(), Position::START, snapshot.clone()).await.expect("compacts");
    assert_eq!(fs::read(&target).expect("there"), snapshot);
    assert_eq!(fs::metadata(&target).expect("there").permissions().mode() & 0o777, 0o600);
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
}
