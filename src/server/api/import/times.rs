//! Times in files.

use jiff::Timestamp;
use primitives::iso_ms;

/// Parses a time as the API and the exports write it: ISO 8601, or its number of milliseconds since 1970 if its year has more than four
/// digits. Another number may be a year, a day or seconds.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .ok()
        .or_else(|| text.parse().ok().filter(|ms| iso_ms(*ms).is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_times_are_read() {
        for ms in [0, -1, 1_795_357_260_020, 253_402_300_799_999, i64::MAX] {
            let text = iso_ms(ms).unwrap_or_else(|| ms.to_string());
            assert_eq!(parse_time(&text), Some(ms), "{text}");
        }
        for text in ["", "yesterday", "2024", "20240918", "1795357260"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
