//! Files that may change under a running server.

use std::path::PathBuf;

use super::AuthError;
use super::folder::FileIdentity;

/// Files that are read together, and as what they were seen when they were read last.
#[derive(Debug)]
pub(super) struct Watched {
    /// What they are, for the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    seen: Vec<Option<FileIdentity>>,
    /// Why they could not be read again, as it was said in the log.
    trouble: Option<String>,
}

impl Watched {
    /// Reads them for the first time. One that is not there may come to be later.
    pub(super) fn read<T>(
        what: &'static str,
        paths: Vec<PathBuf>,
        load: impl FnOnce() -> Result<T, AuthError>,
    ) -> Result<(Self, T), AuthError> {
        // Looked at first: should they change now, they are read again.
        let seen = paths.iter().map(|path| FileIdentity::of(path)).collect();
        let loaded = load()?;
        Ok((Self { what, paths, seen, trouble: None }, loaded))
    }

    /// Reads them again if they have changed. `None`: they have not, or cannot be read, so what was read last goes on to count.
    /// That is said once in the log.
    pub(super) fn reread<T>(&mut self, load: impl FnOnce() -> Result<T, AuthError>) -> Option<T> {
        let what = self.what;
        match self.changed(load) {
            Ok(None) => {
                if self.trouble.take().is_some() {
                    tracing::info!("{what} are there again, as they were read before");
                }
                None
            }
            Ok(Some(loaded)) => {
                self.trouble = None;
                tracing::info!("{what} have changed, and were read again");
                Some(loaded)
            }
            Err(error) => {
                let error = error.to_string();
                if self.trouble.as_ref() != Some(&error) {
                    tracing::error!(%error, "{what} could not be read again; what was read before goes on to count");
                    self.trouble = Some(error);
                }
                None
            }
        }
    }

    /// The same, for whoever has to know that it failed.
    pub(super) fn changed<T>(&mut self, load: impl FnOnce() -> Result<T, AuthError>) -> Result<Option<T>, AuthError> {
        let now: Vec<_> = self.paths.iter().map(|path| FileIdentity::of(path)).collect();
        if now == self.seen {
            return Ok(None);
        }
        // A file that was there and is not any more means nothing: not that all accounts are gone, nor that nobody was logged out.
        let gone = self.paths.iter().zip(&self.seen).zip(&now).find(|((_, seen), now)| seen.is_some() && now.is_none());
        if let Some(((path, _), _)) = gone {
            return Err(AuthError::Gone(path.clone()));
        }
        let loaded = load()?;
        self.seen = now;
        Ok(Some(loaded))
    }

    /// They were written by ourselves: nothing in them is new.
    pub(super) fn written(&mut self) {
        self.seen = self.paths.iter().map(|path| FileIdentity::of(path)).collect();
    }
}
