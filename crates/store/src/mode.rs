//! The permissions of new files.

use std::fmt;
use std::str::FromStr;

const OWNER: u32 = 0o600;
/// Reading and writing, but not writing for everybody.
const POSSIBLE: u32 = 0o664;

/// The permissions that new files get, as `chmod` counts them. The owner may read and write, and nobody may execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

/// Why a text is no [`FileMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not permissions of files such as 600, 640 or 660 (octal): the owner reads and writes, others never write, and nobody executes"
)]
pub struct InvalidFileMode;

impl FileMode {
    /// Only the owner may read and write: the files hold salaries.
    pub const PRIVATE: Self = Self(OWNER);

    /// The permissions of a file.
    #[must_use]
    pub fn file(self) -> u32 {
        self.0
    }

    /// The permissions of a folder: whoever may read a file may enter the folder and list it.
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
        if mode & OWNER == OWNER && mode & !POSSIBLE == 0 { Ok(Self(mode)) } else { Err(InvalidFileMode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_can_be_entered_by_those_who_read_its_files() {
        for (text, folder) in [("600", 0o700), ("640", 0o750), ("0660", 0o770), ("644", 0o755), ("664", 0o775)] {
            let mode: FileMode = text.parse().expect("a mode");
            assert_eq!(mode.folder(), folder, "{text}");
            assert_eq!(mode.to_string(), text.trim_start_matches('0'));
        }
    }

    #[test]
    fn other_permissions_are_refused() {
        for text in ["", "x", "400", "200", "700", "666", "602", "4600", "610", "-600", "888"] {
            assert_eq!(text.parse::<FileMode>(), Err(InvalidFileMode), "{text}");
        }
    }
}
