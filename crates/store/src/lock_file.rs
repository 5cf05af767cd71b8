//! Lock files. A process locks the file next to a resource while it uses the resource, and writes its process id into it.
//!
//! Other users may be able to write to the folder, and could replace a lock file by a link to another file. So symbolic links
//! are not followed, and a file is overwritten only once it is locked and contains nothing but a process id.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes to read: the longest process id with its newline, and one more that reveals other content.
const MAX_READ: u64 = 12;

/// Opens the lock file at `path`, or creates it with these permissions. Neither changes its content nor locks it.
///
/// # Errors
/// When the path is a symbolic link or not a regular file, or the file cannot be opened or created.
pub(super) fn open(path: &Path, mode: u32) -> io::Result<File> {
    open_checked(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode), path)
}

/// Opens an existing lock file, to check whether it is locked.
///
/// # Errors
/// As for [`open`], and when the file does not exist.
pub(super) fn open_existing(path: &Path) -> io::Result<File> {
    open_checked(OpenOptions::new().read(true), path)
}

fn open_checked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // The standard library adds `O_CLOEXEC`. `O_NONBLOCK` opens a pipe without waiting for its other end.
    let opened = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => not_a_lock_file(path, "a symbolic link"),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_lock_file(path, "not a regular file")) }
}

fn not_a_lock_file(path: &Path, what: &str) -> io::Error {
    let message = format!("`{}` is {what} instead of a lock file; move it away", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Reads the process id in a lock file. `None` if there is none.
pub(super) fn read_holder(file: &mut File) -> Option<u32> {
    read_content(file).ok()?.trim().parse().ok()
}

/// Writes the id of this process into a lock file that it has locked, so that other processes can report the holder.
///
/// # Errors
/// When the file cannot be read, or contains something else than a process id, which is left unchanged. A failed write is no
/// error: on a full disk the lock is valid without the id.
pub(super) fn write_holder(file: &mut File, path: &Path) -> io::Result<()> {
    let is_lock_file = read_content(file).is_ok_and(|text| text.trim_end().bytes().all(|byte| byte.is_ascii_digit()));
    if !is_lock_file {
        return Err(not_a_lock_file(path, "a file with other content"));
    }
    let written = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = written {
        tracing::debug!(%error, file = %path.display(), "could not write the process id to the lock file");
    }
    Ok(())
}

fn read_content(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_READ).read_to_string(&mut text)?;
    if text.len() as u64 == MAX_READ { Err(io::ErrorKind::InvalidData.into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Opens the file and writes the process id, as locking it does.
    fn open_and_write_holder(path: &Path) -> io::Result<()> {
        write_holder(&mut open(path, 0o600)?, path)
    }

    #[test]
    fn lock_file_contains_its_latest_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.automerge.lock");
        for left in [None, Some(""), Some("12345\n"), Some("7")] {
            if let Some(left) = left {
                fs::write(&path, left).expect("written");
            }
            open_and_write_holder(&path).expect("written");
            let mut file = open_existing(&path).expect("opens");
            assert_eq!(read_holder(&mut file), Some(std::process::id()), "{left:?}");
        }
    }

    #[test]
    fn symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("lock"), folder.path().join("precious"));
        fs::write(&precious, "7").expect("written");
        symlink(&precious, &path).expect("linked");
        let text = open_and_write_holder(&path).expect_err("rejected").to_string();
        assert!(text.contains("is a symbolic link") && text.contains("move it away"), "{text}");
        assert!(open_existing(&path).is_err());
        assert_eq!(fs::read(&precious).expect("there"), b"7");
        // The target of a dangling link is not created.
        fs::remove_file(&precious).expect("removed");
        assert!(open_and_write_holder(&path).is_err());
        assert!(!precious.exists());
    }

    #[test]
    fn file_with_other_content_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("lock"), folder.path().join("precious"));
        for content in [&b"salaries"[..], b"123456789012345", b"12\n34 ", b"\xff\xfe"] {
            fs::write(&precious, content).expect("written");
            fs::hard_link(&precious, &path).expect("linked");
            let text = open_and_write_holder(&path).expect_err("rejected").to_string();
            assert!(text.contains("other content"), "{text}");
            assert_eq!(fs::read(&precious).expect("there"), content);
            fs::remove_file(&path).expect("removed");
        }
        fs::create_dir(&path).expect("made");
        assert!(open_and_write_holder(&path).is_err());
    }
}
