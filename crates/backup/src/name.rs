//! Names of backups. Pure.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The time in a name: no colons, so that it can be a file name everywhere.
const TIME: &str = "%Y-%m-%dT%H%M%S%.3fZ";
/// Bytes of the time in a name.
const TIME_LEN: usize = "2026-11-30T164000.123Z".len();
/// Bytes of the random part of a name, in hexadecimal.
const RANDOM_LEN: usize = 8;

/// Name of a backup: the time when it began, and a random number, such as `2026-11-30T164000.123Z-1f2e3d4c`. Names sort by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupName(String);

/// A text is not the name of a backup.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a backup, such as 2026-11-30T164000.123Z-1f2e3d4c")]
pub struct InvalidBackupName;

impl BackupName {
    /// The name of a backup that begins at `now`, in milliseconds since 1970.
    #[must_use]
    pub fn new(now: i64, random: u32) -> Self {
        let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        Self(format!("{}-{random:08x}", now.strftime(TIME)))
    }

    /// The name of a backup that begins at `now` after this one. Sorts after this name even if the clock was set back.
    #[must_use]
    pub fn next(&self, now: i64, random: u32) -> Self {
        Self::new(now.max(self.begun_at_ms().saturating_add(1)), random)
    }

    /// When the backup began, in seconds since 1970.
    #[must_use]
    pub fn begun_at(&self) -> i64 {
        self.begun_at_ms().div_euclid(1_000)
    }

    fn begun_at_ms(&self) -> i64 {
        parse_time(&self.0).map_or(0, Timestamp::as_millisecond)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse_time(name: &str) -> Option<Timestamp> {
    // `Z` stands for itself in the format, so the offset is added.
    let time = format!("{}+00:00", name.get(..TIME_LEN)?);
    Timestamp::strptime(format!("{TIME}%:z"), time).ok()
}

impl FromStr for BackupName {
    type Err = InvalidBackupName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_random = |random: &str| {
            random.len() == RANDOM_LEN
                && random.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
        };
        let random = text.get(TIME_LEN..).and_then(|rest| rest.strip_prefix('-'));
        // A file's name is a backup's name only in this spelling.
        let is_time = parse_time(text).is_some_and(|time| text.starts_with(&time.strftime(TIME).to_string()));
        if is_time && random.is_some_and(is_random) { Ok(Self(text.to_owned())) } else { Err(InvalidBackupName) }
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for BackupName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BackupName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_time_and_sort_by_it() {
        let name = BackupName::new(1_796_056_800_120, 0x1f2e_3d4c);
        assert_eq!(name.as_str(), "2026-11-30T164000.120Z-1f2e3d4c");
        assert_eq!((name.begun_at(), name.as_str().parse()), (1_796_056_800, Ok(name.clone())));
        assert!(name < BackupName::new(1_796_056_800_121, 0));
        assert_eq!(name.next(1_796_056_900_000, 7), BackupName::new(1_796_056_900_000, 7));
        assert_eq!(name.next(1_000, 7), BackupName::new(1_796_056_800_121, 7));
    }

    #[test]
    fn other_names_are_not_names_of_backups() {
        for text in [
            "",
            "2026-11-30",
            "2026-11-30T164000.120Z",
            "2026-11-30T164000Z-1f2e3d4c",
            "2026-11-30T164000.120Z-1f2e3d4",
            "2026-11-30T164000.120Z-1F2E3D4C",
            "2026-11-30T164000.120Z-1f2e3d4c/",
            "2026-13-30T164000.120Z-1f2e3d4c",
            "2026-11-30T164000.12ZZ-1f2e3d4c",
            "+026-11-30T164000.120Z-1f2e3d4c",
            "äääääääääää-1f2e3d4c",
        ] {
            assert_eq!(text.parse::<BackupName>(), Err(InvalidBackupName), "{text}");
        }
    }
}
