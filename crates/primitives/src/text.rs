//! Limits, blankness and comparison of the texts of positions. The dashboard has the same rules in `plan/text.ts`.

use unicode_normalization::UnicodeNormalization;

/// Most Unicode characters of one text of a position. The dashboard counts in the same way.
pub const MAX_TEXT: usize = 1_000;

/// Whether a text has no visible character.
///
/// Invisible are white space, control characters, and what Unicode allows to ignore in display (zero-width spaces, byte
/// order marks, soft hyphens, variation selectors). `tests/fixtures/texts.json` lists all of them for the dashboard,
/// too.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// Folds case, width, spacing and invisible characters, so that spellings of one name become equal. Blank names fold to "".
///
/// `tests/fixtures/texts.json` has examples, which the tests of the dashboard read as well.
#[must_use]
pub fn fold_text(text: &str) -> String {
    if is_blank(text) {
        return String::new();
    }
    let letters: String = text.nfkc().filter(|letter| !is_ignorable(*letter)).collect();
    let words: Vec<&str> = letters.split(is_space).filter(|word| !word.is_empty()).collect();
    words.join(" ").to_lowercase()
}

/// A text without the white space at its ends.
#[must_use]
pub fn trim_text(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// White space as in JavaScript.
fn is_space(letter: char) -> bool {
    (letter.is_whitespace() && letter != '\u{85}') || letter == '\u{feff}'
}

/// White space, control characters, ignorable characters, and the Braille pattern without dots.
fn is_invisible(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == '\u{2800}' || is_ignorable(letter)
}

/// `Default_Ignorable_Code_Point`, and the marks of interlinear annotation.
fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn blank_characters_are_those_of_the_dashboard() {
        let rules: Value = serde_json::from_str(include_str!("../../../tests/fixtures/texts.json")).unwrap();
        let ranges: Vec<(u32, u32)> = rules["blankRanges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|range| {
                let end = |at: usize| u32::from_str_radix(range[at].as_str().unwrap(), 16).unwrap();
                (end(0), end(1))
            })
            .collect();
        for letter in '\0'..=char::MAX {
            let listed = ranges.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(letter)));
            assert_eq!(is_blank(letter.encode_utf8(&mut [0; 4])), listed, "U+{:04X}", u32::from(letter));
        }
    }

    #[test]
    fn folding_is_that_of_the_dashboard() {
        let rules: Value = serde_json::from_str(include_str!("../../../tests/fixtures/texts.json")).unwrap();
        let folded = rules["folded"].as_array().unwrap();
        assert!(folded.len() > 10);
        for example in folded {
            let (text, key) = (example["text"].as_str().unwrap(), example["key"].as_str().unwrap());
            assert_eq!(fold_text(text), key, "{text:?}");
        }
    }

    #[test]
    fn one_visible_character_is_enough() {
        assert!(is_blank("") && is_blank("\u{200b} \u{feff}\n"));
        assert!(!is_blank("\u{200b}a\u{200b}"));
    }
}
