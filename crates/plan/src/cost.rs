//! What positions cost in the twelve months of a plan.
//!
//! A position costs a twelfth of its budget in each month from its start to its end, both inclusive. Without a valid start it is active
//! from the beginning, without a valid end for ever. If it ends before it starts, it is never active. A position without a known
//! budget costs nothing.
//!
//! Sums are exact: budgets are decimals, are added up in units of 10⁻¹², and are divided once. So twelve months of a position cost
//! its budget.

use super::fields::{BUDGET, END, START};
use super::{Budget, MONTHS_PER_YEAR, Month, Position};

/// Decimal places of a budget that count. No amount of money has more; further ones are rounded.
const PLACES: usize = 12;
/// Units of a [`Total`] in 1.
const SCALE: u128 = 10_u128.pow(PLACES as u32);
/// Decimal places of a quotient: more than a float can represent.
const QUOTIENT_PLACES: usize = 20;

/// The sums of the positions of a plan, in units of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The sum of all known budgets.
    pub budget: f64,
    /// The cost in the twelve months of the plan; `None` if the plan has no year.
    pub year: Option<YearSums>,
}

/// The cost in the twelve months of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct YearSums {
    /// The cost in all twelve months.
    pub this_year: f64,
    /// The yearly cost of the positions that are active in the last month.
    pub run_rate: f64,
    /// The months, each with its cost.
    pub by_month: Vec<(Month, f64)>,
}

/// Adds up positions. `year_start` is the first month of the plan's year.
pub fn sums<'a>(positions: impl IntoIterator<Item = &'a Position>, year_start: Option<Month>) -> Sums {
    let months: Vec<Month> =
        year_start.iter().flat_map(|start| (0..MONTHS_PER_YEAR).filter_map(|month| start.plus(month))).collect();
    let mut budget = Total::default();
    let mut by_month = vec![Total::default(); months.len()];
    for position in positions {
        let Some(amount) = position.amount(BUDGET).map(Total::of) else { continue };
        budget.add(amount);
        let (start, end) = (position.month(START), position.month(END));
        for (month, total) in months.iter().zip(&mut by_month) {
            if start.is_none_or(|start| start <= *month) && end.is_none_or(|end| *month <= end) {
                total.add(amount);
            }
        }
    }
    let year = by_month.last().map(|last| {
        let mut all = Total::default();
        by_month.iter().for_each(|total| all.add(*total));
        YearSums {
            this_year: all.divided_by(MONTHS_PER_YEAR),
            run_rate: last.divided_by(1),
            by_month: months
                .iter()
                .copied()
                .zip(by_month.iter().map(|total| total.divided_by(MONTHS_PER_YEAR)))
                .collect(),
        }
    });
    Sums { budget: budget.divided_by(1), year }
}

/// A sum of decimals, in units of 10⁻¹². Room for ten thousand million times the largest budget.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Total(u128);

impl Total {
    /// A budget as the decimal number that JSON shows.
    fn of(amount: Budget) -> Self {
        match amount {
            Budget::Int(whole) => Self(u128::from(whole) * SCALE),
            Budget::Float(number) => {
                // Digits without an exponent: whole part, point, fraction.
                let digits = format!("{number:.PLACES$}");
                let shortest = number.to_string();
                // The shortest form is the number that was written; a longer one is rounded.
                let text = if shortest.split_once('.').is_some_and(|(_, fraction)| fraction.len() <= PLACES) {
                    shortest
                } else {
                    digits
                };
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
                let units = format!("{whole}{fraction:0<PLACES$}").parse().unwrap_or_default();
                Self(units)
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// The float next to the sum divided by a number.
    fn divided_by(self, divisor: u32) -> f64 {
        let divisor = SCALE * u128::from(divisor);
        let (whole, mut rest) = (self.0 / divisor, self.0 % divisor);
        let mut text = format!("{whole}.");
        for _ in 0..QUOTIENT_PLACES {
            rest *= 10;
            text.push(char::from(b'0' + u8::try_from(rest / divisor).unwrap_or_default()));
            rest %= divisor;
        }
        text.parse().unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn position(budget: Json, start: Option<&str>, end: Option<&str>) -> Position {
        let mut position = Position::new("a");
        position.fields[BUDGET] = Some(budget);
        position.fields[START] = start.map(Json::from);
        position.fields[END] = end.map(Json::from);
        position
    }

    fn year(positions: &[Position]) -> YearSums {
        sums(positions, Month::parse("2027-04")).year.unwrap()
    }

    /// This year, the run rate, and the number of months with a cost.
    fn figures(positions: &[Position]) -> (f64, f64, usize) {
        let YearSums { this_year, run_rate, by_month } = year(positions);
        (this_year, run_rate, by_month.iter().filter(|(_, cost)| *cost > 0.0).count())
    }

    #[test]
    fn start_and_end_are_inclusive() {
        for (start, end, expected) in [
            (None, None, (12.0, 12.0, 12)),
            (Some("2027-04"), None, (12.0, 12.0, 12)),
            (Some("2027-05"), None, (11.0, 12.0, 11)),
            (Some("2028-03"), None, (1.0, 12.0, 1)),
            (Some("2028-04"), None, (0.0, 0.0, 0)),
            (None, Some("2028-03"), (12.0, 12.0, 12)),
            (None, Some("2028-02"), (11.0, 0.0, 11)),
            (None, Some("2027-04"), (1.0, 0.0, 1)),
            (None, Some("2027-03"), (0.0, 0.0, 0)),
            (Some("2027-06"), Some("2027-06"), (1.0, 0.0, 1)),
            (Some("2027-07"), Some("2027-06"), (0.0, 0.0, 0)),
            (Some("1900-01"), Some("9999-12"), (12.0, 12.0, 12)),
        ] {
            assert_eq!(figures(&[position(json!(12), start, end)]), expected, "{start:?} {end:?}");
        }
    }

    #[test]
    fn invalid_months_count_as_not_set() {
        let mut row = position(json!(12), Some("June"), Some("2027-13"));
        assert_eq!(figures(std::slice::from_ref(&row)), (12.0, 12.0, 12));
        row.fields[START] = Some(json!(2027));
        assert_eq!(figures(&[row]), (12.0, 12.0, 12));
    }

    #[test]
    fn months_have_their_names_and_costs() {
        let by_month = year(&[position(json!(100), Some("2028-01"), None)]).by_month;
        let shown: Vec<(String, f64)> = by_month.iter().map(|(month, cost)| (month.to_string(), *cost)).collect();
        assert_eq!(
            (shown.len(), &shown[0], &shown[8]),
            (12, &("2027-04".to_owned(), 0.0), &("2027-12".to_owned(), 0.0))
        );
        assert_eq!(
            (&shown[9], &shown[11]),
            (&("2028-01".to_owned(), 100.0 / 12.0), &("2028-03".to_owned(), 100.0 / 12.0))
        );
    }

    #[test]
    fn sums_have_no_floating_point_noise() {
        let rows = [json!(0.1), json!(0.2), json!(11.7)].map(|budget| position(budget, None, None));
        let sums = sums(&rows, Month::parse("2027-04"));
        assert_eq!(sums.budget, 12.0);
        let year = sums.year.unwrap();
        assert_eq!((year.this_year, year.run_rate), (12.0, 12.0));
        assert!(year.by_month.iter().all(|(_, cost)| *cost == 1.0));
        assert_eq!(figures(&[position(json!(100), None, None)]).0, 100.0, "twelve twelfths");
    }

    #[test]
    fn unknown_budgets_cost_nothing() {
        let mut unknown = position(Json::Null, None, None);
        unknown.fields[BUDGET] = None;
        let rows = [
            unknown,
            position(json!("lots"), None, None),
            position(json!(-5), None, None),
            position(json!(3), None, None),
        ];
        assert_eq!(sums(&rows, None), Sums { budget: 3.0, year: None });
        assert_eq!(sums(&[], Month::parse("2027-04")).year.unwrap().this_year, 0.0);
    }

    #[test]
    fn extreme_budgets_are_added_up() {
        let large = json!(9_007_199_254_740_991_u64);
        let rows = vec![position(large, None, None); 1_000];
        assert_eq!(figures(&rows).0, 9_007_199_254_740_991_000.0);
        let tiny = [position(json!(5e-324), None, None), position(json!(1e-12), None, None)];
        assert_eq!(sums(&tiny, None).budget, 1e-12);
        assert_eq!(sums(&[position(json!(4_503_599_627_370_495.5), None, None)], None).budget, 4_503_599_627_370_495.5);
    }

    #[test]
    fn year_at_the_end_of_time_is_short() {
        let year = sums(&[position(json!(12), None, None)], Month::parse("9999-11")).year.unwrap();
        assert_eq!((year.by_month.len(), year.this_year), (2, 2.0));
    }

    proptest! {
        #[test]
        fn decimals_are_summed_exactly(cents in proptest::collection::vec(0_u64..10_000_000, 0..50)) {
            let rows: Vec<Position> = cents
                .iter()
                .map(|cents| position(serde_json::from_str(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap(), None, None))
                .collect();
            let sum: u64 = cents.iter().sum();
            let expected: f64 = format!("{}.{:02}", sum / 100, sum % 100).parse().unwrap();
            let sums = sums(&rows, Month::parse("2027-04"));
            prop_assert_eq!(sums.budget, expected);
            prop_assert_eq!(sums.year.unwrap().this_year, expected);
        }
    }
}
