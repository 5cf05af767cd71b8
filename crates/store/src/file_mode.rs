//! The permissions of new files.

use std::fmt;
use std::str::FromStr;

/// Permissions that every mode includes.
const REQUIRED: u32 = 0o600;
/// Permissions that a mode may include.
const ALLOWED: u32 = 0o664;

/// Permissions of new files, in `chmod` notation. The owner reads and writes; the file is neither executable nor writable for
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

/// The text is not a valid [`FileMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not octal permissions such as 600, 640 or 660: the owner must read and write, others must not write, and no execute bit is \
     allowed"
)]
pub struct InvalidFileMode;

impl FileMode {
    /// Only the owner may read and write: the files hold salaries.
    pub const PRIVATE: Self = Self(REQUIRED);

    /// Permissions of a file.
    #[must_use]
    pub fn file(self) -> u32 {
        self.0
    }

    /// Permissions of a folder: users that may read its files may also enter and list it.
    #[must_use]
    pub fn folder(self) -> u32 {
        self.0 | (self.0 & 0o444) >> 2
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self::PRIVATE
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = InvalidFileMode;

    fn from_str(text: &str) -> Result<Self, InvalidFileMode> {
        let mode = u32::from_str_radix(text, 8).map_err(|_| InvalidFileMode)?;
        if mode & REQUIRED == REQUIRED && mode & !ALLOWED == 0 { Ok(Self(mode)) } else { Err(InvalidFileMode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_accessible_to_readers_of_its_files() {
        for (text, folder) in [("600", 0o700), ("640", 0o750), ("0660", 0o770), ("644", 0o755), ("664", 0o775)] {
            let mode: FileMode = text.parse().expect("a mode");
            assert_eq!(mode.folder(), folder, "{text}");
            assert_eq!(mode.to_string(), text.trim_start_matches('0'));
        }
    }

    #[test]
    fn other_permissions_are_rejected() {
        for text in ["", "x", "400", "200", "700", "666", "602", "4600", "610", "-600", "888"] {
            assert_eq!(text.parse::<FileMode>(), Err(InvalidFileMode), "{text}");
        }
    }
}
