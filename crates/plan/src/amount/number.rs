//! Parses the number of an amount: groups of digits, decimals and an exponent, with the marks of a number format.

use super::{Marks, Refusal};

/// Largest exponent. No text is long enough to compensate for a larger one.
const MAX_EXPONENT: i64 = 1_000_000_000;

/// A number as an integer times a power of ten, so that units are converted without rounding.
#[derive(Debug, PartialEq)]
pub(super) struct Decimal {
    /// At least one ASCII digit.
    pub(super) digits: String,
    /// Power of ten.
    pub(super) exponent: i64,
}

/// Whether a character may be inside of a number.
pub(super) fn is_mark(letter: char) -> bool {
    matches!(letter, ' ' | '\'' | '٬' | '.' | ',' | '٫')
}

/// Parses a number that [`super::text::split`] has found.
pub(super) fn read(number: &str, marks: Marks) -> Result<Decimal, Refusal> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let Split { groups, fraction, mark } = split(mantissa, marks)?;
    if groups.len() > 1 && (exponent.is_some() || !is_grouped(&groups, mark)) {
        return Err(Refusal::Grouping);
    }
    let exponent = exponent.map_or(0, |exponent| {
        let limit = if exponent.starts_with('-') { -MAX_EXPONENT } else { MAX_EXPONENT };
        exponent.parse().unwrap_or(limit).clamp(-MAX_EXPONENT, MAX_EXPONENT)
    });
    let decimals = i64::try_from(fraction.len()).unwrap_or(MAX_EXPONENT);
    Ok(Decimal { digits: groups.concat() + fraction, exponent: exponent - decimals })
}

struct Split<'a> {
    groups: Vec<&'a str>,
    fraction: &'a str,
    /// Mark between the groups, if there are several.
    mark: Option<char>,
}

/// Finds the decimal mark and the groups before it.
fn split(text: &str, marks: Marks) -> Result<Split<'_>, Refusal> {
    let found: Vec<char> = text.chars().filter(|letter| is_mark(*letter)).collect();
    let Some((&last, earlier)) = found.split_last() else {
        return Ok(Split { groups: vec![text], fraction: "", mark: None });
    };
    let (before, after) = text.rsplit_once(last).unwrap_or((text, ""));
    let is_decimal = if earlier.contains(&last) || matches!(last, ' ' | '\'' | '٬') {
        false
    } else if last == '٫' {
        true
    } else if !earlier.is_empty() {
        // Group marks before it decide, unless three digits follow, which could be another group.
        earlier.contains(&'.') || earlier.contains(&',') || after.len() != 3 || !can_group(last, marks)
    } else {
        is_lone_decimal(last, before, after, marks)
    };
    let (whole, fraction, group_marks) = if is_decimal { (before, after, earlier) } else { (text, "", &*found) };
    let mark = group_marks.first().copied();
    if group_marks.iter().any(|other| Some(*other) != mark) {
        return Err(Refusal::Grouping);
    }
    let groups = mark.map_or_else(|| vec![whole], |mark| whole.split(mark).collect());
    Ok(Split { groups, fraction, mark })
}

/// Whether a mark can separate groups of digits. A comma always can, unless decimals follow it.
fn can_group(mark: char, marks: Marks) -> bool {
    mark != marks.decimal && (mark == ',' || mark == marks.group)
}

/// Whether the only mark of a number is a decimal mark.
fn is_lone_decimal(mark: char, before: &str, after: &str, marks: Marks) -> bool {
    if mark == marks.decimal {
        return true;
    }
    if mark == '.' {
        let is_first_group = matches!(before.len(), 1..=3) && !before.starts_with('0');
        return !(can_group(mark, marks) && after.len() == 3 && is_first_group);
    }
    let is_zero = before.bytes().all(|digit| digit == b'0');
    !before.is_empty() && (matches!(after.len(), 1 | 2) || (is_zero && !after.is_empty()))
}

/// Whether digits are grouped as in 1,234,567 or, except by points, as in 12,34,567.
fn is_grouped(groups: &[&str], mark: Option<char>) -> bool {
    let [first, middle @ .., last] = groups else { return false };
    let in_threes = first.len() <= 3 && middle.iter().all(|group| group.len() == 3);
    let the_indian_way = mark != Some('.') && first.len() <= 2 && middle.iter().all(|group| group.len() == 2);
    !first.is_empty() && !first.starts_with('0') && last.len() == 3 && (in_threes || the_indian_way)
}
