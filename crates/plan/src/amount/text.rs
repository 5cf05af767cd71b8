//! Normalizes the text of an amount, and splits it into sign, currency, number and unit word.

use super::Refusal;
use super::currency::codes_of;
use super::number::is_mark;

/// Powers of ten by unit word.
const UNIT_WORDS: &[(&str, i64)] = &[
    ("thousand", 3),
    ("l", 5),
    ("lakh", 5),
    ("lakhs", 5),
    ("lac", 5),
    ("lacs", 5),
    ("million", 6),
    ("cr", 7),
    ("crore", 7),
    ("crores", 7),
    ("billion", 9),
];
/// Abbreviations with several meanings.
const AMBIGUOUS: &[&str] = &["k", "t", "m", "mm", "mn", "mil", "mio", "mln", "b", "bn", "mrd", "tn"];
/// The zeros of other scripts' decimal digits: Arabic, Indic, full-width. Nine more digits follow each.
const ZEROS: [u32; 12] = [0x660, 0x6f0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xff10];

/// Normalizes an amount: one space for each run of spaces, and one character for each kind of dash, apostrophe, plus sign and
/// digit.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let visible: String = text.chars().filter(|letter| !is_invisible(*letter)).collect();
    let is_outer =
        |letter: char| is_space(letter) || matches!(letter, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    for letter in visible.trim_matches(is_outer).chars() {
        match letter {
            letter if is_space(letter) => {
                if !cleaned.ends_with(' ') {
                    cleaned.push(' ');
                }
            }
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}' => cleaned.push('-'),
            '’' => cleaned.push('\''),
            '＋' => cleaned.push('+'),
            letter => cleaned.push(ascii_digit(letter).unwrap_or(letter)),
        }
    }
    cleaned
}

pub(super) fn is_blank(cleaned: &str) -> bool {
    matches!(cleaned, "" | "-")
}

/// Invisible characters: formatters put direction marks around amounts, and web pages put others into texts.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A space that may be inside of an amount.
fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

fn ascii_digit(letter: char) -> Option<char> {
    let code = u32::from(letter);
    let zero = ZEROS.into_iter().find(|zero| (*zero..zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// The parts of a normalized amount.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) is_negative: bool,
    /// Words as written, without a final point. They need not be currencies.
    pub(super) currencies: Vec<&'a str>,
    /// Digits, marks and an exponent.
    pub(super) number: &'a str,
    /// Power of ten of the unit word, if there is one.
    pub(super) power: Option<i64>,
}

/// The sign of an amount; there is at most one.
#[derive(Default)]
struct Sign {
    is_known: bool,
    is_negative: bool,
}

impl Sign {
    fn set(&mut self, is_negative: bool) -> Result<(), Refusal> {
        if self.is_known {
            return Err(Refusal::NotANumber);
        }
        *self = Self { is_known: true, is_negative };
        Ok(())
    }
}

/// Splits a normalized text into sign, currencies, number and unit word.
pub(super) fn split(cleaned: &str) -> Result<Parts<'_>, Refusal> {
    let mut body = cleaned;
    let mut sign = Sign::default();
    if let Some(inner) = body.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        sign.set(true)?;
        body = inner.trim();
    }
    if let Some(rest) = body.strip_prefix(['-', '+']) {
        sign.set(body.starts_with('-'))?;
        body = rest.trim();
    } else if let Some(rest) = body.strip_suffix('-')
        && rest.strip_suffix(' ').unwrap_or(rest).ends_with(is_digit)
    {
        // Some accounting programs put the sign at the end.
        sign.set(true)?;
        body = rest.trim();
    }
    let first = body.find(is_digit).ok_or(Refusal::NotANumber)?;
    let start = start_of_number(body, first)?;
    let mut head = body[..start].trim();
    if let Some(rest) = head.strip_suffix(['-', '+']) {
        sign.set(head.ends_with('-'))?;
        head = rest.trim();
    } else if let (Some(outside), Some(inside)) = (head.strip_suffix('('), body.strip_suffix(')')) {
        sign.set(true)?;
        head = outside.trim();
        body = inside.trim();
    }
    let mut currencies: Vec<&str> = if head.is_empty() { Vec::new() } else { head.split(' ').collect() };
    if currencies.iter().any(|word| codes_of(without_point(word)).is_empty() && !is_word(word)) {
        return Err(Refusal::NotANumber);
    }
    let number = &body[start..start + length_of_number(&body[start..])];
    let tail = &body[start + number.len()..];
    if tail.contains(is_digit) {
        return Err(Refusal::NotANumber);
    }
    let power = read_tail(tail, &mut currencies)?;
    for word in &mut currencies {
        *word = without_point(word);
    }
    Ok(Parts { is_negative: sign.is_negative, currencies, number, power })
}

/// A mark directly before the first digit is part of the number, unless it ends an abbreviation, as in `Rs.50`.
fn start_of_number(body: &str, first: usize) -> Result<usize, Refusal> {
    let Some(before) = body[..first].strip_suffix(['.', ',', '٫']) else { return Ok(first) };
    if !before.ends_with(char::is_alphabetic) {
        return Ok(before.len());
    }
    let is_usual = ["rs.", "fr."].iter().any(|usual| body[..first].eq_ignore_ascii_case(usual));
    if is_usual { Ok(first) } else { Err(Refusal::NotANumber) }
}

/// The length of the number at the beginning of a text: digits with marks between them, and an exponent.
fn length_of_number(text: &str) -> usize {
    let digits = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let marks = |at: usize| text[at..].chars().take_while(|letter| is_mark(*letter)).map(char::len_utf8).sum::<usize>();
    let mut at = marks(0);
    at += digits(at);
    loop {
        let after_marks = at + marks(at);
        match digits(after_marks) {
            0 => break,
            // Without a mark there is no digit either: all digits are consumed.
            count => at = after_marks + count,
        }
    }
    at += usize::from(text[at..].starts_with(['.', ',']));
    if let Some(exponent) = text[at..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let from = text.len() - unsigned.len();
        match digits(from) {
            0 => {}
            count => at = from + count,
        }
    }
    at
}

/// Parses unit word, currency and `/-` after a number. Adds the currency; returns the unit's power of ten.
fn read_tail<'a>(tail: &'a str, currencies: &mut Vec<&'a str>) -> Result<Option<i64>, Refusal> {
    let mut power = None;
    let (mut has_stroke, mut has_currency) = (false, false);
    let mut rest = tail.trim_start_matches(' ');
    while !rest.is_empty() {
        let length = match rest.strip_prefix('/') {
            Some(after) => 1 + usize::from(after.starts_with('-')),
            None => rest.find([' ', '/']).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(length);
        rest = after.trim_start_matches(' ');
        let bare = without_point(word);
        let lower = bare.to_lowercase();
        let named = UNIT_WORDS.iter().find(|(known, _)| *known == lower).map(|(_, power)| *power);
        if word == "/-" && !has_stroke {
            has_stroke = true;
        } else if named.is_some() && power.is_none() {
            power = named;
        } else if AMBIGUOUS.contains(&&*lower) {
            return Err(Refusal::AmbiguousUnit(word.to_owned()));
        } else if !has_currency && (!codes_of(bare).is_empty() || is_word(word)) {
            has_currency = true;
            currencies.push(bare);
        } else {
            return Err(Refusal::NotANumber);
        }
    }
    Ok(power)
}

fn without_point(word: &str) -> &str {
    word.strip_suffix('.').unwrap_or(word)
}

fn is_word(text: &str) -> bool {
    text.starts_with(char::is_alphabetic)
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}
