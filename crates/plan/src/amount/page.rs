//! `docs/amounts.md`, generated from the table of cases.

use std::fmt::Write;
use std::path::Path;

use super::tests::{Fixture, Group, Outcome};

const LANGUAGES: [&str; 4] = ["en", "en-IN", "de", "fr"];

const HEAD: &str = "\
# Amounts

<!-- Generated from tests/fixtures/amounts.json: UPDATE_DOCS=1 cargo test -p plan page_of_amounts_is_current -->

The legacy protocol, `happierwork import`, and the dashboard's cells, dialogs and tables read amounts of money by one
grammar:

```
[sign] [currency] number [unit word] [currency] [/-]
```

An amount is taken exactly, or refused with the reason. The JSON API takes JSON numbers only, in the plan's unit.

";

const TAIL: &str = "\
The marks are those of the reader's language in the dashboard. The legacy protocol and `happierwork import` read by the
marks of `en`.

";

fn page() -> String {
    let fixture = Fixture::read();
    let mut page = HEAD.to_owned();
    for Group { title, note, .. } in &fixture.groups {
        if let Some(note) = note {
            let _ = writeln!(page, "- **{title}.** {note}");
        }
    }
    page += "\n";
    page += TAIL;
    let _ = writeln!(page, "| the plan counts in | amount | {} |", LANGUAGES.join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(LANGUAGES.len()));
    for group in &fixture.groups {
        for (text, expected) in &group.cases {
            let cells = LANGUAGES.map(|language| cell(expected.under(language)));
            let _ = writeln!(page, "| {} | {} | {} |", plan(group), shown(text), cells.join(" | "));
        }
    }
    page
}

fn plan(group: &Group) -> String {
    let currency = group.currency.as_deref();
    let unit = match group.unit {
        1_000.0 => "thousand ",
        100_000.0 => "lakh ",
        10_000_000.0 => "crore ",
        500.0 => "500 ",
        _ => "",
    };
    let bare = if group.bare.is_some() { ", a legacy total" } else { "" };
    format!("{unit}{}{bare}", currency.unwrap_or("no currency"))
}

/// A text whose spaces and invisible characters can be told apart.
fn shown(text: &str) -> String {
    if text.is_empty() {
        return "(nothing)".to_owned();
    }
    let mut shown = String::new();
    for (at, letter) in text.char_indices() {
        let is_at_end = at == 0 || at + letter.len_utf8() == text.len();
        match letter {
            ' ' if is_at_end || text[at + 1..].starts_with(' ') => shown.push('␣'),
            ' ' => shown.push(' '),
            letter if letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{200b}' | '\u{feff}') => {
                let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(letter));
            }
            letter => shown.push(letter),
        }
    }
    format!("`{shown}`")
}

fn cell(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Value(value) => value.to_string(),
        Outcome::Refused(kind) => {
            let words = match kind.as_str() {
                "empty" => "empty",
                "notANumber" => "not an amount",
                "grouping" => "ambiguous marks",
                "negative" => "negative",
                "tooLarge" => "too large",
                "tooSmall" => "too small",
                "otherCurrency" => "other currency",
                "ambiguousUnit" => "ambiguous unit",
                "unknownWord" => "unknown word",
                other => panic!("unknown kind: {other}"),
            };
            format!("*{words}*")
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that can write the page anew")]
fn page_of_amounts_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/amounts.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("docs/amounts.md is writable");
        return;
    }
    let is_current = std::fs::read_to_string(&path).is_ok_and(|found| found == page);
    assert!(is_current, "docs/amounts.md is stale; run: UPDATE_DOCS=1 cargo test -p plan page_of_amounts_is_current");
}
