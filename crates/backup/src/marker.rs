//! Marks of backups that are being made.

use crate::{BackupTarget, StoredFile, TargetError};

/// Folder of the marks at a target.
const RUNNING: &str = "running";
/// Marks that are older, in seconds, belong to backups that were interrupted.
const MAX_AGE: i64 = 86_400;

/// A file that exists while a backup is being made.
pub(crate) struct Marker {
    path: String,
}

impl Marker {
    pub(crate) async fn set(target: &BackupTarget) -> Result<Self, TargetError> {
        let path = format!("{RUNNING}/{:032x}", u128::from_be_bytes(rand::random()));
        target.put(&path, Vec::new()).await?;
        Ok(Self { path })
    }

    /// Whether the mark is still there. Without it, another backup has taken this one for an interrupted one.
    pub(crate) async fn is_set(&self, target: &BackupTarget) -> Result<bool, TargetError> {
        Ok(running_backups(target).await?.contains(&self.path))
    }

    /// Removes the mark. If that fails, the mark delays the removal of files by a day.
    pub(crate) async fn clear(self, target: &BackupTarget) {
        if let Err(error) = target.delete(&self.path).await {
            tracing::warn!(%error, "the mark of a running backup was not removed; old backups stay for a day longer");
        }
    }

    /// Whether another backup is being made. Removes the marks of interrupted ones.
    pub(crate) async fn is_another_running(&self, target: &BackupTarget) -> Result<bool, TargetError> {
        let marks = target.list(RUNNING).await?;
        let (old, running) = split(&marks, &self.path);
        for mark in old {
            target.delete(mark).await?;
        }
        Ok(running)
    }
}

/// The marks of all backups that are being made, or were interrupted within the last day.
///
/// # Errors
/// When they cannot be listed.
pub async fn running_backups(target: &BackupTarget) -> Result<Vec<String>, TargetError> {
    Ok(target.list(RUNNING).await?.into_iter().map(|mark| mark.path).collect())
}

/// The marks of interrupted backups, and whether there is one of a running backup besides the own. By the clock of the target: those
/// of several servers may differ.
fn split<'a>(marks: &'a [StoredFile], own: &str) -> (Vec<&'a str>, bool) {
    let Some(now) = marks.iter().find(|mark| mark.path == own).map(|mark| mark.written_at) else {
        // Another backup took this one for an interrupted one.
        return (Vec::new(), true);
    };
    let is_old = |mark: &&StoredFile| now.saturating_sub(mark.written_at) > MAX_AGE;
    let old: Vec<&str> = marks.iter().filter(is_old).map(|mark| mark.path.as_str()).collect();
    let running = marks.len() > old.len() + 1;
    (old, running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_interrupted_backups_expire() {
        let mark = |path: &str, written_at| StoredFile { path: path.to_owned(), len: 0, written_at };
        let own = mark("own", 100_000);
        assert_eq!(split(std::slice::from_ref(&own), "own"), (vec![], false));
        assert_eq!(split(&[own.clone(), mark("other", 100_000 - MAX_AGE)], "own"), (vec![], true));
        assert_eq!(split(&[own.clone(), mark("other", 100_000 - MAX_AGE - 1)], "own"), (vec!["other"], false));
        assert_eq!(split(&[mark("other", 200_000), own], "own"), (vec![], true));
        assert_eq!(split(&[], "own"), (vec![], true));
    }
}
