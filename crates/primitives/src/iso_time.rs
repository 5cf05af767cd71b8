//! ISO 8601 timestamps in UTC, always with milliseconds, so that all have one width.

use jiff::Timestamp;

/// Midnight of 1 January of the year 0000 in milliseconds since 1970. Earlier years are written with a sign, in more
/// characters.
const FIRST: i64 = -62_167_219_200_000;

/// Formats an instant, in milliseconds since 1970, for the API, exports and the history: `2026-11-22T14:21:00.020Z`.
///
/// Returns `None` if the year is not between 0000 and 9999.
#[must_use]
pub fn iso_ms(ms_since_epoch: i64) -> Option<String> {
    let instant = Timestamp::from_millisecond(ms_since_epoch).ok().filter(|_| ms_since_epoch >= FIRST)?;
    Some(format!("{instant:.3}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_timestamp_has_milliseconds() {
        for (ms, text) in [
            (1_795_357_260_000, "2026-11-22T14:21:00.000Z"),
            (1_795_357_260_020, "2026-11-22T14:21:00.020Z"),
            (1_795_357_260_300, "2026-11-22T14:21:00.300Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (FIRST, "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_ms(ms).as_deref(), Some(text));
        }
    }

    #[test]
    fn years_beyond_four_digits_are_rejected() {
        for ms in [i64::MIN, FIRST - 1, 253_402_300_800_000, i64::MAX] {
            assert_eq!(iso_ms(ms), None, "{ms}");
        }
    }

    proptest! {
        #[test]
        fn timestamps_have_one_width(ms in any::<i64>(), near in FIRST..253_402_207_200_000) {
            for text in [iso_ms(ms), iso_ms(near)].into_iter().flatten() {
                prop_assert_eq!(text.len(), 24, "{}", text);
            }
            let read: Timestamp = iso_ms(near).expect("a year of four digits").parse().expect("ISO 8601");
            prop_assert_eq!(read.as_millisecond(), near);
        }
    }
}
