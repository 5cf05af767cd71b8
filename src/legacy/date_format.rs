//! The date format of the legacy protocol, in UTC: `Nov 22, 2026 02:21 PM`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// English month, two-digit day, four-digit year, two-digit 12-hour clock.
const FORMAT: &str = "%b %d, %Y %I:%M %p";

/// Formats a Unix time in milliseconds. Omits the seconds.
#[must_use]
pub fn format_date(ms_since_epoch: i64) -> String {
    // A document may hold any number as a time. Times beyond the year 9999 are clamped.
    let nearest = if ms_since_epoch < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let instant = Timestamp::from_millisecond(ms_since_epoch).unwrap_or(nearest);
    instant.to_zoned(TimeZone::UTC).strftime(FORMAT).to_string()
}

/// Parses a date to a Unix time in milliseconds. `None` if the text has another format.
///
/// Also parses the format of the oldest rows: `Jun 4, 2022 11:33 am`.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let local = DateTime::strptime(FORMAT, text).ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_recorded_formats_are_parsed() {
        for (text, ms, written) in [
            ("Nov 22, 2026 02:21 PM", 1_795_357_260_000, "Nov 22, 2026 02:21 PM"),
            ("Jun 4, 2022 11:33 am", 1_654_342_380_000, "Jun 04, 2022 11:33 AM"),
            ("Feb 7, 2022 11:42 pm", 1_644_277_320_000, "Feb 07, 2022 11:42 PM"),
            ("Sep 18, 2024 12:07 AM", 1_726_618_020_000, "Sep 18, 2024 12:07 AM"),
            ("Sep 18, 2024 12:00 PM", 1_726_660_800_000, "Sep 18, 2024 12:00 PM"),
            ("Jan 01, 1970 12:00 AM", 0, "Jan 01, 1970 12:00 AM"),
        ] {
            assert_eq!(parse_date(text), Some(ms), "{text}");
            assert_eq!(format_date(ms), written);
        }
    }

    #[test]
    fn other_texts_are_not_dates() {
        for text in [
            "",
            "yesterday",
            "2026-11-22T14:21:00Z",
            "Nov 22, 2026",
            "Nov 22, 2026 14:21 PM",
            "Nov 22, 2026 02:21",
            "Feb 30, 2026 02:21 PM",
            "Now 22, 2026 02:21 PM",
            "Nov 22, 2026 02:21 PM.",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_number_can_be_formatted(ms in any::<i64>()) {
            prop_assert!(!format_date(ms).is_empty());
        }

        #[test]
        fn formatted_dates_are_parsed(minute in 0_i64..100_000_000) {
            prop_assert_eq!(parse_date(&format_date(minute * 60_000)), Some(minute * 60_000));
        }
    }
}
