//! Escapes texts in CSV files that a spreadsheet would evaluate as a formula.
//!
//! A spreadsheet may split a file at another separator than the one it was written with, and treats quotation marks inside of a
//! cell as text. So a formula can begin at the start of a text, and after each semicolon, tab, bar and line break in it. An
//! apostrophe is inserted before each, so that the spreadsheet shows text; reading removes exactly these apostrophes. The
//! dashboard uses the same rule, and both are tested with `tests/fixtures/csv-guard.json`.

use std::borrow::Cow;

/// Characters that begin a formula. Some spreadsheets also accept the full-width forms.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// A reader may skip these before a formula.
const SKIPPED: [char; 5] = ['\'', '"', ' ', '\u{a0}', '\u{3000}'];
/// A reader may begin a cell after each of these.
const SEPARATORS: [char; 5] = [';', '\t', '|', '\r', '\n'];

/// Inserts an apostrophe before everything that a spreadsheet could evaluate as a formula.
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

/// Reverts [`guard`].
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

/// Whether a cell needs quotation marks: it contains a separator of some reader or a quotation mark, or begins or ends with a
/// space.
#[must_use]
pub fn needs_quotes(cell: &str) -> bool {
    cell.contains([',', '"']) || cell.contains(SEPARATORS) || cell.starts_with(' ') || cell.ends_with(' ')
}

/// The parts of a text that a reader may treat as cells, each with its start in bytes and the separator after it.
fn cells(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive(SEPARATORS).map(move |cell| {
        let at = start;
        start += cell.len();
        (at, cell)
    })
}

/// Whether a spreadsheet could evaluate a part of a text as a formula. Spreadsheets also skip tabs and line breaks at the start of a cell.
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
    fn cells_are_guarded_as_in_the_dashboard() {
        let fixture: Value = serde_json::from_str(include_str!("../../../tests/fixtures/csv-guard.json")).unwrap();
        for case in fixture["cells"].as_array().unwrap() {
            let part = |key: &str| case[key].as_str().unwrap();
            assert_eq!(guard(part("text")), part("cell"), "{case}");
            assert_eq!(unguard(part("cell")), part("text"), "{case}");
            assert_eq!(needs_quotes(part("cell")), part("written").starts_with('"'), "{case}");
        }
    }

    #[test]
    fn unguard_keeps_unguarded_cells() {
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
