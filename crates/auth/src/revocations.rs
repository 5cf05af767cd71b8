//! Tokens that were logged out before they expired.
//!
//! Stored as lines in `revoked.jsonl`. A revocation is acknowledged only when its line is durable, so a last line that
//! a crash has torn was never acknowledged. Rewriting the file drops expired tokens.

use std::collections::HashMap;
use std::sync::Arc;

use primitives::strict_json;
use serde::{Deserialize, Serialize};

use super::token::is_expired;

/// The file is not rewritten while it has fewer lines.
const MIN_LINES: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Line {
    jti: Arc<str>,
    exp: i64,
}

/// The revoked tokens, and the state of their file.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// Expiry of each revoked token, by its id.
    tokens: HashMap<Arc<str>, i64>,
    /// Number of lines in the file.
    lines: usize,
    /// Number of lines at which the file is rewritten.
    rewrite_at: usize,
    /// Whether the file ends in the middle of a line.
    torn: bool,
}

/// How to store a revocation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RevocationWrite {
    /// Append these bytes to the file.
    Appended(Vec<u8>),
    /// Replace the file by these bytes.
    Rewritten(Vec<u8>),
}

/// The line of a revocation.
fn line(jti: &Arc<str>, exp: i64) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&Line { jti: Arc::clone(jti), exp })?;
    line.push(b'\n');
    Ok(line)
}

impl Revocations {
    /// Parses the file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self { rewrite_at: MIN_LINES, ..Self::default() };
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let whole = line.ends_with(b"\n");
            read.torn = !whole;
            read.lines += 1;
            match strict_json::from_slice(line) {
                Ok(Line { jti, exp }) => {
                    read.tokens.insert(jti, exp);
                }
                Err(_) if !whole => {}
                Err(error) => return Err(format!("line {} is not a revocation: {error}", number + 1)),
            }
        }
        Ok(read)
    }

    /// Adds revocations that are not kept in a file, and drops expired ones. A revocation never ends before its token, so those that
    /// are known already stay.
    pub(super) fn extend(&mut self, tokens: impl IntoIterator<Item = (Arc<str>, i64)>, now: i64) {
        self.tokens.extend(tokens);
        self.tokens.retain(|_, expires| !is_expired(*expires, now));
    }

    /// The revoked tokens with their expiry.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&Arc<str>, i64)> {
        self.tokens.iter().map(|(token, expires)| (token, *expires))
    }

    /// The content of a file with these revoked tokens and their expiry.
    pub(super) fn to_file(tokens: &[(Arc<str>, i64)]) -> Result<Vec<u8>, serde_json::Error> {
        let mut file = Vec::new();
        for (token, expires) in tokens {
            file.extend(line(token, *expires)?);
        }
        Ok(file)
    }

    pub(super) fn contains(&self, token: &str) -> bool {
        self.tokens.contains_key(token)
    }

    /// How to store the revocation of this token.
    pub(super) fn write_of(
        &self,
        token: &Arc<str>,
        expires: i64,
        now: i64,
    ) -> Result<RevocationWrite, serde_json::Error> {
        if !self.torn && self.lines < self.rewrite_at.max(MIN_LINES) {
            return Ok(RevocationWrite::Appended(line(token, expires)?));
        }
        self.rewrite_with(token, expires, now)
    }

    /// The revocation of this token and all others that have not expired, as a new file.
    pub(super) fn rewrite_with(
        &self,
        token: &Arc<str>,
        expires: i64,
        now: i64,
    ) -> Result<RevocationWrite, serde_json::Error> {
        let mut all = Vec::new();
        for (token, expires) in self.tokens.iter().filter(|(_, expires)| !is_expired(**expires, now)) {
            all.extend(line(token, *expires)?);
        }
        all.extend(line(token, expires)?);
        Ok(RevocationWrite::Rewritten(all))
    }

    /// Notes that the revocation was stored.
    pub(super) fn add(&mut self, token: Arc<str>, expires: i64, rewritten: bool, now: i64) {
        if rewritten {
            self.tokens.retain(|_, expires| !is_expired(*expires, now));
            (self.lines, self.torn) = (self.tokens.len(), false);
            // The file doubles before the next rewrite, so rewriting stays cheap.
            self.rewrite_at = MIN_LINES.max(self.lines * 2);
        }
        self.lines += 1;
        self.tokens.insert(token, expires);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs a token out, in the file and in memory. Returns whether the file was rewritten.
    fn log_out(file: &mut Vec<u8>, known: &mut Revocations, token: &str, expires: i64, now: i64) -> bool {
        let token: Arc<str> = token.into();
        let written = known.write_of(&token, expires, now).expect("JSON");
        let rewritten = match written {
            RevocationWrite::Appended(line) => {
                file.extend(line);
                false
            }
            RevocationWrite::Rewritten(all) => {
                *file = all;
                true
            }
        };
        known.add(token, expires, rewritten, now);
        rewritten
    }

    #[test]
    fn older_reading_undoes_no_revocation() {
        let mut known = Revocations::default();
        known.add("own".into(), 1_000, false, 0);
        known.extend([("other".into(), 2_000), ("expired".into(), 10)], 500);
        assert!(known.contains("own") && known.contains("other") && !known.contains("expired"));
    }

    #[test]
    fn revocations_survive_a_round_trip() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        for token in ["a", "b \"quoted\"\n"] {
            log_out(&mut file, &mut known, token, 100, 0);
        }
        let read = Revocations::read(&file).expect("the file");
        assert!(read.contains("a") && read.contains("b \"quoted\"\n") && !read.contains("c"));
        assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 2);
    }

    #[test]
    fn torn_line_is_ignored_and_rewritten() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        log_out(&mut file, &mut known, "a", 100, 0);
        let whole = file.len();
        log_out(&mut file, &mut known, "b", 100, 0);
        for cut in whole..file.len() {
            let mut torn = file[..cut].to_vec();
            let mut read = Revocations::read(&torn).expect("torn");
            // Without only its line break, the line still counts.
            assert_eq!((read.contains("a"), read.contains("b")), (true, cut == file.len() - 1), "cut at {cut}");
            assert_eq!(log_out(&mut torn, &mut read, "c", 100, 0), cut > whole, "cut at {cut}");
            let read = Revocations::read(&torn).expect("whole");
            assert!(read.contains("a") && read.contains("c"), "cut at {cut}");
        }
    }

    #[test]
    fn malformed_line_is_an_error_with_its_number() {
        let file = b"{\"jti\":\"a\",\"exp\":1}\nnonsense\n{\"jti\":\"b\",\"exp\":1}\n";
        let error = Revocations::read(file).expect_err("nonsense");
        assert!(error.starts_with("line 2 "), "{error}");
    }

    #[test]
    fn expired_tokens_are_dropped_from_the_file() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        let mut rewrites = 0;
        for second in 0..20_000 {
            // Each token lives for 100 s.
            rewrites += u32::from(log_out(&mut file, &mut known, &format!("token-{second}"), second + 100, second));
            assert!(known.tokens.len() <= MIN_LINES && known.lines <= MIN_LINES, "{}", known.lines);
        }
        assert!((20..=25).contains(&rewrites), "{rewrites}");
        let read = Revocations::read(&file).expect("the file");
        assert!((19_900..20_000).all(|second| read.contains(&format!("token-{second}"))), "these are not over");
    }

    #[test]
    fn rewrites_stay_rare_while_tokens_are_valid() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        let count =
            (0..10_000).filter(|id| log_out(&mut file, &mut known, &format!("token-{id}"), 1_000_000, 0)).count();
        assert!(count <= 5, "{count}");
        let read = Revocations::read(&file).expect("the file");
        assert!((0..10_000).all(|id| read.contains(&format!("token-{id}"))));
    }
}
