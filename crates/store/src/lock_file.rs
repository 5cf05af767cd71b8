//! Lock files: empty files beside what they stand for, which a process locks as long as it uses that, and into which it writes its
//! process id.
//!
//! The folder may be one to which others can write. So a lock file is never reached through a symbolic link, and nothing is
//! removed from it before it is locked and known to be a lock file: someone may have put a link to a file of ours in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of the longest process id, with the end of its line, and one more that shows that it is something else.
const LONGEST: u64 = 12;

/// Opens the lock file at `path`, or makes it with these permissions. It is as it was; nothing is locked yet.
///
/// # Errors
/// When it is a symbolic link or no regular file, or cannot be opened or made.
pub(super) fn open(path: &Path, mode: u32) -> io::Result<File> {
    checked(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode), path)
}

/// Opens the lock file at `path` to see whether it is locked.
///
/// # Errors
/// As for [`open`], and when there is none.
pub(super) fn open_existing(path: &Path) -> io::Result<File> {
    checked(OpenOptions::new().read(true), path)
}

fn checked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // The standard library adds `O_CLOEXEC`. A pipe is opened without waiting for its other end.
    let opened = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => not_a_lock_file(path, "a symbolic link"),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_lock_file(path, "no regular file")) }
}

fn not_a_lock_file(path: &Path, what: &str) -> io::Error {
    let message = format!("`{}` is {what} where a lock file should be; move it away", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The process that has noted itself in a lock file, if it can be read.
pub(super) fn holder(file: &mut File) -> Option<u32> {
    content(file).ok()?.trim().parse().ok()
}

/// Notes this process in a lock file that it has locked, for those who find it locked.
///
/// # Errors
/// When something else than a process id stands in it, which is left as it is; or when it cannot be read. That it cannot be
/// written is no error: on a full disk the lock holds without the note.
pub(super) fn note_holder(file: &mut File, path: &Path) -> io::Result<()> {
    let is_lock_file = content(file).is_ok_and(|text| text.trim_end().bytes().all(|byte| byte.is_ascii_digit()));
    if !is_lock_file {
        return Err(not_a_lock_file(path, "a file with other content"));
    }
    let noted = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = noted {
        tracing::debug!(%error, file = %path.display(), "could not note the process id in the lock file");
    }
    Ok(())
}

fn content(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LONGEST).read_to_string(&mut text)?;
    if text.len() as u64 == LONGEST { Err(io::ErrorKind::InvalidData.into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Opens and notes, as whoever locks it does.
    fn taken(path: &Path) -> io::Result<()> {
        note_holder(&mut open(path, 0o600)?, path)
    }

    #[test]
    fn lock_file_names_its_latest_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.automerge.lock");
        for left in [None, Some(""), Some("12345\n"), Some("7")] {
            if let Some(left) = left {
                fs::write(&path, left).expect("written");
            }
            taken(&path).expect("taken");
            let mut file = open_existing(&path).expect("opens");
            assert_eq!(holder(&mut file), Some(std::process::id()), "{left:?}");
        }
    }

    #[test]
    fn link_in_place_of_a_lock_file_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("lock"), folder.path().join("precious"));
        fs::write(&precious, "7").expect("written");
        symlink(&precious, &path).expect("linked");
        let text = taken(&path).expect_err("refused").to_string();
        assert!(text.contains("is a symbolic link") && text.contains("move it away"), "{text}");
        assert!(open_existing(&path).is_err());
        assert_eq!(fs::read(&precious).expect("there"), b"7");
        // Nor is the target of a dangling one made.
        fs::remove_file(&precious).expect("removed");
        assert!(taken(&path).is_err());
        assert!(!precious.exists());
    }

    #[test]
    fn other_content_in_place_of_a_lock_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("lock"), folder.path().join("precious"));
        for content in [&b"salaries"[..], b"123456789012345", b"12\n34 ", b"\xff\xfe"] {
            fs::write(&precious, content).expect("written");
            fs::hard_link(&precious, &path).expect("linked");
            let text = taken(&path).expect_err("refused").to_string();
            assert!(text.contains("other content"), "{text}");
            assert_eq!(fs::read(&precious).expect("there"), content);
            fs::remove_file(&path).expect("removed");
        }
        fs::create_dir(&path).expect("made");
        assert!(taken(&path).is_err());
    }
}
