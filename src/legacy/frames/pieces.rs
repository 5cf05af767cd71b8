//! The comma-separated form: what is left when the inner text of a frame is not JSON.
//!
//! The original never parsed the inner text. It took brackets and apostrophes from the ends, split at every comma, and
//! took quotes from the ends of the pieces. Clients were seen that rely on it (`add,UI,Engineering,50000,Ahmedabad`).

/// The pieces of a comma-separated text.
///
/// Other than in the original, a piece in double quotes keeps its commas, and white space around pieces is no part of
/// them: so a JSON array that only lacks its end is still read as it was meant.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut rest = text.trim().trim_matches(['\'', '[', ']']);
    let mut pieces = Vec::new();
    loop {
        let start = rest.len() - rest.trim_start().len();
        // A quote opens only at the beginning of a piece and only if it is closed; elsewhere it is an inch mark.
        let from = quoted_length(&rest[start..]).map_or(0, |length| start + length);
        match rest[from..].find(',') {
            Some(comma) => {
                pieces.push(unquote(&rest[..from + comma]));
                rest = &rest[from + comma + 1..];
            }
            None => {
                pieces.push(unquote(rest));
                return pieces;
            }
        }
    }
}

/// The length of the double-quoted text at the beginning, quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.strip_prefix('"')?.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 2),
            _ => {}
        }
    }
    None
}

fn unquote(piece: &str) -> String {
    let piece = piece.trim();
    serde_json::from_str(piece).unwrap_or_else(|_| piece.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::split;

    #[test]
    fn pieces() {
        for (text, expected) in [
            ("add,UI,HR,5,Pune", &["add", "UI", "HR", "5", "Pune"][..]),
            ("add, UI , HR", &["add", "UI", "HR"]),
            (r#"["tracking","x""#, &["tracking", "x"]),
            (r#"["add","Engineer, Senior","the \"best\"""#, &["add", "Engineer, Senior", "the \"best\""]),
            ("['add','UI']", &["add", "UI"]),
            (r#"add,24" monitor,HR"#, &["add", "24\" monitor", "HR"]),
            (r#"add,"open,HR"#, &["add", "open", "HR"]),
            ("add,,", &["add", "", ""]),
            ("hello", &["hello"]),
            ("[]", &[""]),
            ("", &[""]),
            ("\"", &[""]),
            ("ä,\"ü", &["ä", "ü"]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    // The end of a quote may be far; the whole is read once all the same, as what follows an open quote has no others.
    #[test]
    fn many_quotes_take_linear_time() {
        let text = "\"x\\\",".repeat(20_000);
        assert!(!split(&text).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_has_pieces(text in "[a\"',\\[\\] \\\\ä]{0,30}") {
            prop_assert!(!split(&text).is_empty());
        }
    }
}
