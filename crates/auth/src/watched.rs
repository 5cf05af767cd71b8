//! Files that may change while the server runs.

use std::path::PathBuf;

use super::AuthError;
use super::folder::FileIdentity;

/// Files that are loaded together, with their identities at the last load.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    /// The content of the files, for the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    seen: Vec<Option<FileIdentity>>,
    /// The last logged error of a reload.
    logged_error: Option<String>,
}

impl WatchedFiles {
    /// Loads the files for the first time. A missing file may appear later.
    pub(super) fn read<T>(
        what: &'static str,
        paths: Vec<PathBuf>,
        load: impl FnOnce() -> Result<T, AuthError>,
    ) -> Result<(Self, T), AuthError> {
        // Identities are read first: a change during the load leads to a reload.
        let seen = paths.iter().map(|path| FileIdentity::of(path)).collect();
        let loaded = load()?;
        Ok((Self { what, paths, seen, logged_error: None }, loaded))
    }

    /// Reloads the files if they have changed. `None` if they have not, or cannot be loaded: the last content stays in
    /// use. Logs each error once.
    pub(super) fn reread<T>(&mut self, load: impl FnOnce() -> Result<T, AuthError>) -> Option<T> {
        let what = self.what;
        match self.reload_if_changed(load) {
            Ok(None) => {
                if self.logged_error.take().is_some() {
                    tracing::info!("{what} are there again, unchanged");
                }
                None
            }
            Ok(Some(loaded)) => {
                self.logged_error = None;
                tracing::info!("{what} have changed, and were read again");
                Some(loaded)
            }
            Err(error) => {
                let error = error.to_string();
                if self.logged_error.as_ref() != Some(&error) {
                    tracing::error!(%error, "{what} could not be read again; the previous content stays in use");
                    self.logged_error = Some(error);
                }
                None
            }
        }
    }

    /// Like [`reread`](Self::reread), but returns the error.
    pub(super) fn reload_if_changed<T>(
        &mut self,
        load: impl FnOnce() -> Result<T, AuthError>,
    ) -> Result<Option<T>, AuthError> {
        let now: Vec<_> = self.paths.iter().map(|path| FileIdentity::of(path)).collect();
        if now == self.seen {
            return Ok(None);
        }
        // A file that has disappeared is an error, not an empty file: that would remove all accounts or revocations.
        let gone = self.paths.iter().zip(&self.seen).zip(&now).find(|((_, seen), now)| seen.is_some() && now.is_none());
        if let Some(((path, _), _)) = gone {
            return Err(AuthError::Gone(path.clone()));
        }
        let loaded = load()?;
        self.seen = now;
        Ok(Some(loaded))
    }

    /// Notes that this process has written the files, so they need no reload.
    pub(super) fn note_written(&mut self) {
        self.seen = self.paths.iter().map(|path| FileIdentity::of(path)).collect();
    }
}
