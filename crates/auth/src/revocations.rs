//! Tokens that were logged out before their time was over.
//!
//! A log of lines in `revoked.jsonl`. A line is durable before anybody is told that the token is out; the last one may be torn by a
//! crash, and was then never acknowledged. What is over anyway is dropped when the file is written anew.

use std::collections::HashMap;
use std::sync::Arc;

use primitives::strict_json;
use serde::{Deserialize, Serialize};

use super::token::is_over;

/// The file is not written anew while it has fewer lines.
const FEW: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Line {
    jti: Arc<str>,
    exp: i64,
}

/// What was logged out.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    /// When each would have expired.
    tokens: HashMap<Arc<str>, i64>,
    /// Lines in the file.
    lines: usize,
    /// With so many it is written anew.
    write_anew_at: usize,
    /// The file ends in the middle of a line.
    torn: bool,
}

/// What has to be written so that a token stays out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Behind what is in the file.
    Appended(Vec<u8>),
    /// In its place.
    Anew(Vec<u8>),
}

impl Revocations {
    /// Reads the file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut read = Self { write_anew_at: FEW, ..Self::default() };
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let whole = line.ends_with(b"\n");
            read.torn = !whole;
            read.lines += 1;
            match strict_json::from_slice(line) {
                Ok(Line { jti, exp }) => {
                    read.tokens.insert(jti, exp);
                }
                Err(_) if !whole => {}
                Err(error) => return Err(format!("line {} says nothing that was logged out: {error}", number + 1)),
            }
        }
        Ok(read)
    }

    pub(super) fn contains(&self, token: &str) -> bool {
        self.tokens.contains_key(token)
    }

    /// What to write when this token is logged out.
    pub(super) fn with(&self, token: &Arc<str>, expires: i64, now: i64) -> Result<Written, serde_json::Error> {
        let line = |jti: &Arc<str>, exp: i64| {
            let mut line = serde_json::to_vec(&Line { jti: Arc::clone(jti), exp })?;
            line.push(b'\n');
            Ok(line)
        };
        let new = line(token, expires)?;
        if !self.torn && self.lines < self.write_anew_at.max(FEW) {
            return Ok(Written::Appended(new));
        }
        let mut all = Vec::new();
        for (token, expires) in self.tokens.iter().filter(|(_, expires)| !is_over(**expires, now)) {
            all.extend(line(token, *expires)?);
        }
        all.extend(new);
        Ok(Written::Anew(all))
    }

    /// It was written.
    pub(super) fn add(&mut self, token: Arc<str>, expires: i64, anew: bool, now: i64) {
        if anew {
            self.tokens.retain(|_, expires| !is_over(*expires, now));
            (self.lines, self.torn) = (self.tokens.len(), false);
            // As many must be logged out before it is written anew again.
            self.write_anew_at = FEW.max(self.lines * 2);
        }
        self.lines += 1;
        self.tokens.insert(token, expires);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the file is kept: logs one out, and returns the file and what is known.
    fn log_out(file: &mut Vec<u8>, known: &mut Revocations, token: &str, expires: i64, now: i64) -> bool {
        let token: Arc<str> = token.into();
        let written = known.with(&token, expires, now).expect("JSON");
        let anew = match written {
            Written::Appended(line) => {
                file.extend(line);
                false
            }
            Written::Anew(all) => {
                *file = all;
                true
            }
        };
        known.add(token, expires, anew, now);
        anew
    }

    #[test]
    fn what_was_logged_out_is_found_again_in_the_file() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        for token in ["a", "b \"quoted\"\n"] {
            log_out(&mut file, &mut known, token, 100, 0);
        }
        let read = Revocations::read(&file).expect("the file");
        assert!(read.contains("a") && read.contains("b \"quoted\"\n") && !read.contains("c"));
        assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 2);
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_count_and_the_next_one_is_not_written_behind_it() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        log_out(&mut file, &mut known, "a", 100, 0);
        let whole = file.len();
        log_out(&mut file, &mut known, "b", 100, 0);
        for cut in whole..file.len() {
            let mut torn = file[..cut].to_vec();
            let mut read = Revocations::read(&torn).expect("torn");
            // All of it but the line's end is as good.
            assert_eq!((read.contains("a"), read.contains("b")), (true, cut == file.len() - 1), "cut at {cut}");
            assert_eq!(log_out(&mut torn, &mut read, "c", 100, 0), cut > whole, "cut at {cut}");
            let read = Revocations::read(&torn).expect("whole");
            assert!(read.contains("a") && read.contains("c"), "cut at {cut}");
        }
    }

    #[test]
    fn a_whole_line_that_says_nothing_is_an_error_with_its_number() {
        let file = b"{\"jti\":\"a\",\"exp\":1}\nnonsense\n{\"jti\":\"b\",\"exp\":1}\n";
        let error = Revocations::read(file).expect_err("nonsense");
        assert!(error.starts_with("line 2 "), "{error}");
    }

    #[test]
    fn what_is_over_is_dropped_and_the_file_does_not_grow_with_time() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        let mut written_anew = 0;
        for second in 0..20_000 {
            // Each token lives for 100 s.
            written_anew += u32::from(log_out(&mut file, &mut known, &format!("token-{second}"), second + 100, second));
            assert!(known.tokens.len() <= FEW && known.lines <= FEW, "{}", known.lines);
        }
        assert!((20..=25).contains(&written_anew), "{written_anew}");
        let read = Revocations::read(&file).expect("the file");
        assert!((19_900..20_000).all(|second| read.contains(&format!("token-{second}"))), "these are not over");
    }

    #[test]
    fn what_is_not_over_stays_and_is_not_written_anew_each_time() {
        let (mut file, mut known) = (Vec::new(), Revocations::default());
        let count =
            (0..10_000).filter(|id| log_out(&mut file, &mut known, &format!("token-{id}"), 1_000_000, 0)).count();
        assert!(count <= 5, "{count}");
        let read = Revocations::read(&file).expect("the file");
        assert!((0..10_000).all(|id| read.contains(&format!("token-{id}"))));
    }
}
