//! [`Month`]: a month of a year, in the form `2027-06`.

use std::fmt;

/// Months of a year.
pub const MONTHS_PER_YEAR: u32 = 12;
const FIRST_YEAR: u32 = 1_900;
const LAST_YEAR: u32 = 9_999;

/// A month from 1900-01 to 9999-12. Displays as `2027-06`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

impl Month {
    /// Parses `2027-06`. `None` for any other form, and for months out of range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let number = |digits: &str, length: usize| -> Option<u32> {
            let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number)
        };
        let (year, month) = (number(year, 4)?, number(month, 2)?);
        let is_valid = (FIRST_YEAR..=LAST_YEAR).contains(&year) && (1..=MONTHS_PER_YEAR).contains(&month);
        is_valid.then_some(Self(year * MONTHS_PER_YEAR + month - 1))
    }

    /// The month that many months later. `None` after the year 9999.
    #[must_use]
    pub fn plus(self, months: u32) -> Option<Self> {
        let later = Self(self.0.checked_add(months)?);
        (later.0 / MONTHS_PER_YEAR <= LAST_YEAR).then_some(later)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / MONTHS_PER_YEAR, self.0 % MONTHS_PER_YEAR + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_parse_and_display_in_one_form() {
        for text in ["1900-01", "2027-06", "2027-12", "9999-12"] {
            assert_eq!(Month::parse(text).map(|month| month.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "-",
            "2027",
            "2027-6",
            "2027-00",
            "2027-13",
            "1899-12",
            "02027-06",
            "2027-06-01",
            "2027/06",
            " 2027-06",
            "2027-06 ",
            "+027-06",
            "2027-+6",
            "June",
            "10000-01",
            "２０２７-06",
        ] {
            assert_eq!(Month::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn months_are_counted_across_years() {
        let plus = |text: &str, months| Month::parse(text).unwrap().plus(months).map(|month| month.to_string());
        assert_eq!(plus("2027-04", 11).as_deref(), Some("2028-03"));
        assert_eq!(plus("2027-12", 1).as_deref(), Some("2028-01"));
        assert_eq!(plus("9999-12", 1), None);
        assert_eq!(plus("9999-12", u32::MAX), None);
        assert!(Month::parse("2027-12") < Month::parse("2028-01"));
    }
}
