//! Comma-separated fields: the form of a frame whose inner text is not JSON.
//!
//! The legacy backend did not parse the inner text. It removed brackets and apostrophes from the ends, split at every comma, and
//! removed quotes from the ends of the fields. Some clients rely on this (`add,UI,Engineering,50000,Ahmedabad`).

/// Splits a text into its fields.
///
/// Unlike in the legacy backend, a field in double quotes keeps its commas, and white space around fields is removed. So a JSON array
/// without its closing bracket is still decoded as intended.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut rest = text.trim().trim_matches(['\'', '[', ']']);
    let mut fields = Vec::new();
    loop {
        let start = rest.len() - rest.trim_start().len();
        // A quote counts only at the start of a field, and only if it is closed. Elsewhere it is an inch mark.
        let from = quoted_length(&rest[start..]).map_or(0, |length| start + length);
        match rest[from..].find(',') {
            Some(comma) => {
                fields.push(unquote(&rest[..from + comma]));
                rest = &rest[from + comma + 1..];
            }
            None => {
                fields.push(unquote(rest));
                return fields;
            }
        }
    }
}

/// The length of the double-quoted string at the start of a text, including the quotes.
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

fn unquote(field: &str) -> String {
    let field = field.trim();
    serde_json::from_str(field).unwrap_or_else(|_| field.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::split;

    #[test]
    fn text_is_split_into_fields() {
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

    // The search for a closing quote may read far ahead, but the text after an unclosed quote holds no other quotes.
    #[test]
    fn many_quotes_take_linear_time() {
        let text = "\"x\\\",".repeat(20_000);
        assert!(!split(&text).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_has_fields(text in "[a\"',\\[\\] \\\\ä]{0,30}") {
            prop_assert!(!split(&text).is_empty());
        }
    }
}
