//! Checks whether a document file is intact, and what opening it would truncate. Only reads the file.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use automerge::ReadDoc;

use super::file::is_named_as_document;
use super::integrity::{Damage, IdSource, TornTail, VerifiedContent};

/// Result of checking a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Path of the file.
    pub path: PathBuf,
    /// Length of the file in bytes.
    pub len: u64,
    /// Summary of the content, or why the store would not open the file.
    pub result: Result<FileSummary, Damage>,
}

/// Summary of a file that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Number of valid chunks.
    pub chunks: usize,
    /// Length in bytes of a leading document chunk, else 0.
    pub snapshot_len: u64,
    /// Number of changes in the valid chunks.
    pub changes: u64,
    /// Hashes of the heads, in hexadecimal.
    pub heads: Vec<String>,
    /// The part that opening the file would truncate.
    pub torn_tail: Option<TornTail>,
}

impl CheckReport {
    /// Whether the file can be opened without truncating anything.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        matches!(&self.result, Ok(summary) if summary.torn_tail.is_none())
    }
}

/// Checks a file.
///
/// If a server is just appending to the file, the result may show a torn tail.
///
/// # Errors
/// When the file cannot be read.
pub fn check(path: &Path) -> io::Result<CheckReport> {
    // Reading a device or a pipe would not end. For a folder, this error is clearer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(check_bytes(path, &std::fs::read(path)?))
}

fn check_bytes(path: &Path, bytes: &[u8]) -> CheckReport {
    let result = check_content(path, bytes);
    CheckReport { path: path.to_owned(), len: bytes.len() as u64, result }
}

/// Checks `bytes` as the content of the file at `path`. Does not read the file; its name decides whether the document must
/// contain its id.
///
/// # Errors
/// When the store would not open the file.
pub fn check_content(path: &Path, bytes: &[u8]) -> Result<FileSummary, Damage> {
    let id_source = if is_named_as_document(path) { IdSource::Caller } else { IdSource::Document };
    VerifiedContent::from_file(bytes, id_source).map(|content| FileSummary {
        chunks: content.chunks,
        snapshot_len: content.snapshot_len,
        changes: content.document.stats().num_changes,
        heads: content.document.get_heads().iter().map(ToString::to_string).collect(),
        torn_tail: content.torn_tail,
    })
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.result {
            Err(damage) => {
                writeln!(f, "{path}: {damage}.")?;
                write!(f, "The server does not open it, and does not change it. ")?;
                match damage {
                    Damage::NotAutomerge => write!(f, "Is it the right file?"),
                    Damage::Truncated { torn_tail, .. } => write!(
                        f,
                        "Restore it from a backup. To use the part before it nevertheless, copy that part: \
                         head -c {} {path} > {path}.left",
                        torn_tail.at
                    ),
                    Damage::TooManyActors(_) => write!(f, "Continue in a new document, with the content of a copy."),
                    _ => write!(f, "Restore it from a backup."),
                }
            }
            Ok(summary) => {
                match &summary.torn_tail {
                    None => writeln!(f, "{path}: whole.")?,
                    Some(torn_tail) => writeln!(
                        f,
                        "{path}: the last write was cut off. Opening it truncates {torn_tail}, and keeps them in \
                         {path}.torn-{}.",
                        torn_tail.at
                    )?,
                }
                write!(
                    f,
                    "{} bytes, {} chunks (a snapshot of {} bytes first), {} changes, heads: {}",
                    self.len,
                    summary.chunks,
                    summary.snapshot_len,
                    summary.changes,
                    if summary.heads.is_empty() { "none".to_owned() } else { summary.heads.join(" ") }
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::TestEditor;

    fn check_file(bytes: &[u8]) -> CheckReport {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("{}.automerge", crate::conformance::id(1)));
        std::fs::write(&path, bytes).expect("written");
        let report = check(&path).expect("readable");
        assert_eq!(std::fs::read(&path).expect("there"), bytes, "nothing is changed");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1, "nothing is added");
        CheckReport { path: "state.automerge".into(), ..report }
    }

    /// A snapshot with one change, and two more changes.
    fn document() -> [Vec<u8>; 3] {
        let mut author = TestEditor::new();
        author.edit();
        [author.save(), author.edit(), author.edit()]
    }

    #[test]
    fn intact_file_is_reported_as_whole() {
        let report = check_file(&document().concat());
        assert!(report.is_intact());
        let summary = report.result.as_ref().expect("good");
        assert_eq!((summary.chunks, summary.changes, summary.heads.len()), (3, 3, 1));
        assert!(report.to_string().starts_with("state.automerge: whole.\n"), "{report}");
    }

    #[test]
    fn torn_tail_is_reported_with_the_truncated_bytes() {
        let [snapshot, first, second] = document();
        let whole = [snapshot, first].concat();
        let report = check_file(&[&whole[..], &second[..7]].concat());
        assert!(!report.is_intact());
        assert_eq!(report.result.as_ref().expect("good").changes, 2);
        let cut = format!(
            "truncates 7 bytes at byte {0} (the chunk is cut short), and keeps them in state.automerge.torn-{0}",
            whole.len()
        );
        assert!(report.to_string().contains(&cut), "{report}");
    }

    #[test]
    fn damage_is_reported_with_its_position_and_remedy() {
        let [snapshot, mut first, second] = document();
        first[4] ^= 1;
        let (at, next) = (snapshot.len(), snapshot.len() + first.len());
        let report = check_file(&[snapshot, first, second].concat());
        assert!(!report.is_intact());
        let text = report.to_string();
        assert!(
            text.contains(&format!("damaged at byte {at}")) && text.contains(&format!("from byte {next} on")),
            "{text}"
        );
        assert!(text.ends_with("Restore it from a backup."), "{text}");
        assert!(check_file(b"{}").to_string().ends_with("Is it the right file?"));
    }

    #[test]
    fn truncated_file_is_not_intact() {
        let [snapshot, ..] = document();
        assert!(check_file(b"").to_string().contains("it is empty"));
        let report = check_file(&snapshot[..40]);
        assert!(!report.is_intact() && report.to_string().contains("it holds no whole chunk"), "{report}");
    }

    #[test]
    fn path_without_a_regular_file_is_an_error() {
        assert!(check(Path::new("/")).is_err());
        assert!(check(Path::new("/no such file")).is_err());
    }
}
