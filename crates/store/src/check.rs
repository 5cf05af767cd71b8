//! Is a file whole, and what would opening it cut? Only reads, so it can be asked of any file at any time.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use automerge::ReadDoc;

use super::content::{Content, Damage, Identity, Torn};
use super::file::is_named_as_document;

/// What a look at a file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub len: u64,
    /// What is in it; or why it would not be opened.
    pub result: Result<Found, Damage>,
}

/// What is in a file that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many whole chunks there are.
    pub chunks: usize,
    /// How many bytes a leading document chunk has.
    pub snapshot_len: u64,
    /// How many changes they hold.
    pub changes: u64,
    /// The hashes of the newest changes.
    pub heads: Vec<String>,
    /// What opening the file would cut off.
    pub torn: Option<Torn>,
}

impl Report {
    /// Whether the file can be opened as it is, with nothing cut.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(&self.result, Ok(found) if found.torn.is_none())
    }
}

/// Looks at a file.
///
/// A file that a server is writing to may be caught in the middle of an append, which looks like a torn tail.
///
/// # Errors
/// When it cannot be read.
pub fn check(path: &Path) -> io::Result<Report> {
    // To read a device or a pipe would not end; a folder has a clearer error this way.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(check_bytes(path, &std::fs::read(path)?))
}

fn check_bytes(path: &Path, bytes: &[u8]) -> Report {
    let result = judge(path, bytes);
    Report { path: path.to_owned(), len: bytes.len() as u64, result }
}

/// Whether a file with this content would be opened, and what is in it.
///
/// # Errors
/// When it would be refused.
pub fn judge(path: &Path, bytes: &[u8]) -> Result<Found, Damage> {
    let identity = if is_named_as_document(path) { Identity::Known } else { Identity::Carried };
    Content::of_file(bytes, identity).map(|content| Found {
        chunks: content.chunks,
        snapshot_len: content.snapshot_len,
        changes: content.document.stats().num_changes,
        heads: content.document.get_heads().iter().map(ToString::to_string).collect(),
        torn: content.torn,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.result {
            Err(damage) => {
                writeln!(f, "{path}: {damage}.")?;
                write!(f, "It would not be opened, and nothing in it would be changed. ")?;
                match damage {
                    Damage::NotAutomerge => write!(f, "Is it the right file?"),
                    Damage::Remnant { torn, .. } => write!(
                        f,
                        "Restore it from a backup. To use what is left all the same, copy it: \
                         head -c {} {path} > {path}.left",
                        torn.at
                    ),
                    Damage::TooManyActors(_) => write!(f, "Go on in a new document, with what a copy of it holds."),
                    _ => write!(f, "Restore it from a backup."),
                }
            }
            Ok(found) => {
                match &found.torn {
                    None => writeln!(f, "{path}: whole.")?,
                    Some(torn) => writeln!(
                        f,
                        "{path}: the last write was cut off. Opening it would cut {torn}, and keep them in \
                         {path}.torn-{}.",
                        torn.at
                    )?,
                }
                write!(
                    f,
                    "{} bytes, {} chunks (a snapshot of {} bytes first), {} changes, heads: {}",
                    self.len,
                    found.chunks,
                    found.snapshot_len,
                    found.changes,
                    if found.heads.is_empty() { "none".to_owned() } else { found.heads.join(" ") }
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Author;

    fn look_at(bytes: &[u8]) -> Report {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("{}.automerge", crate::conformance::id(1)));
        std::fs::write(&path, bytes).expect("written");
        let report = check(&path).expect("readable");
        assert_eq!(std::fs::read(&path).expect("there"), bytes, "nothing is changed");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1, "nothing is added");
        Report { path: "state.automerge".into(), ..report }
    }

    /// A snapshot of one change, and two changes.
    fn document() -> [Vec<u8>; 3] {
        let mut author = Author::new();
        author.edit();
        [author.save(), author.edit(), author.edit()]
    }

    #[test]
    fn a_whole_file_is_said_to_be_whole() {
        let report = look_at(&document().concat());
        assert!(report.is_whole());
        let found = report.result.as_ref().expect("good");
        assert_eq!((found.chunks, found.changes, found.heads.len()), (3, 3, 1));
        assert!(report.to_string().starts_with("state.automerge: whole.\n"), "{report}");
    }

    #[test]
    fn a_torn_tail_is_told_with_what_would_be_cut() {
        let [snapshot, first, second] = document();
        let whole = [snapshot, first].concat();
        let report = look_at(&[&whole[..], &second[..7]].concat());
        assert!(!report.is_whole());
        assert_eq!(report.result.as_ref().expect("good").changes, 2);
        let cut = format!(
            "would cut 7 bytes at byte {0} (the chunk is cut short), and keep them in state.automerge.torn-{0}",
            whole.len()
        );
        assert!(report.to_string().contains(&cut), "{report}");
    }

    #[test]
    fn damage_is_told_with_where_it_is_and_the_way_out() {
        let [snapshot, mut first, second] = document();
        first[4] ^= 1;
        let (at, next) = (snapshot.len(), snapshot.len() + first.len());
        let report = look_at(&[snapshot, first, second].concat());
        assert!(!report.is_whole());
        let text = report.to_string();
        assert!(
            text.contains(&format!("damaged at byte {at}")) && text.contains(&format!("from byte {next} on")),
            "{text}"
        );
        assert!(text.ends_with("Restore it from a backup."), "{text}");
        assert!(look_at(b"{}").to_string().ends_with("Is it the right file?"));
    }

    #[test]
    fn truncated_files_are_not_whole() {
        let [snapshot, ..] = document();
        assert!(look_at(b"").to_string().contains("it is empty"));
        let report = look_at(&snapshot[..40]);
        assert!(!report.is_whole() && report.to_string().contains("it holds no whole chunk"), "{report}");
    }

    #[test]
    fn what_is_no_file_is_an_error() {
        assert!(check(Path::new("/")).is_err());
        assert!(check(Path::new("/no such file")).is_err());
    }
}
