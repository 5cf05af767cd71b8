//! Texts in tables that no spreadsheet runs as a formula.
//!
//! A spreadsheet may split a file at another separator than the one it was written with, and takes quotation marks that
//! are not at the ends of a cell for text. So a formula can begin at the start of a text, and after each semicolon, tab,
//! bar and line break in it. An apostrophe goes in front of each, so that the spreadsheet shows text. Reading takes
//! exactly those apostrophes off again. The dashboard follows the same rule; `tests/fixtures/csv-guard.json` holds both
//! together.

use std::borrow::Cow;

/// The characters that begin a formula. Some spreadsheets take the full-width forms, too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// A reader may skip these before a formula.
const SKIPPED: [char; 5] = ['\'', '"', ' ', '\u{a0}', '\u{3000}'];
/// A reader may begin a cell after each of these.
const SEPARATORS: [char; 5] = [';', '\t', '|', '\r', '\n'];

/// The text with an apostrophe in front of everything that could run as a formula.
#[must_use]
pub fn guard(text: &str) -> Cow<'_, str> {
    let mut cells = cells(text);
    let Some(first) = cells.find(|(start, cell)| is_formula(*start, cell)).map(|(start, _)| start) else {
        return text.into();
    };
    let mut guarded = String::with_capacity(text.len() + 1);
    guarded.push_str(&text[..first]);
    for (start, cell) in self::cells(text).skip_while(|(start, _)| *start < first) {
        if is_formula(start, cell) {
            guarded.push('\'');
        }
        guarded.push_str(cell);
    }
    guarded.into()
}

/// The text that [`guard`] was given.
#[must_use]
pub fn unguard(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\'') {
        return cell.into();
    }
    cells(cell)
        .map(|(start, part)| match part.strip_prefix('\'') {
            Some(text) if is_formula(start, text) => text,
            _ => part,
        })
        .collect::<String>()
        .into()
}

/// Whether a cell is written in quotation marks: it holds a separator that some reader splits at, a quotation mark, or
/// spaces at its ends.
#[must_use]
pub fn needs_quotes(cell: &str) -> bool {
    cell.contains([',', '"']) || cell.contains(SEPARATORS) || cell.starts_with(' ') || cell.ends_with(' ')
}

/// The parts of a text that a reader may take for cells, each with the separator behind it and the byte at which it
/// starts.
fn cells(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive(SEPARATORS).map(move |cell| {
        let at = start;
        start += cell.len();
        (at, cell)
    })
}

/// Whether a part of a text could run as a formula. Spreadsheets also skip tabs and line breaks at the start of a cell.
fn is_formula(start: usize, cell: &str) -> bool {
    let bare = cell.trim_start_matches(SKIPPED);
    bare.starts_with(FORMULA) || (start == 0 && bare.starts_with(['\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn cells_are_guarded_as_on_the_page() {
        let fixture: Value = serde_json::from_str(include_str!("../../../tests/fixtures/csv-guard.json")).unwrap();
        for case in fixture["cells"].as_array().unwrap() {
            let part = |key: &str| case[key].as_str().unwrap();
            assert_eq!(guard(part("text")), part("cell"), "{case}");
            assert_eq!(unguard(part("cell")), part("text"), "{case}");
            assert_eq!(needs_quotes(part("cell")), part("written").starts_with('"'), "{case}");
        }
    }

    #[test]
    fn cells_that_were_never_guarded_stay() {
        for text in ["=1", "x;=1", "O'Brien", "'quoted'"] {
            assert_eq!(unguard(text), text);
        }
    }

    proptest! {
        #[test]
        fn unguard_is_the_inverse(text in "['=+@＝\t;|\n\" a-]{0,8}|(?s).*") {
            let cell = guard(&text);
            prop_assert_eq!(unguard(&cell), &*text);
        }
    }
}
