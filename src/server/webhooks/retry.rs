//! When a failed delivery is repeated: the schedule that Standard Webhooks recommends, about three days in all.

use std::time::Duration;

/// The delays after the first, second, … failed attempt. After the last, the webhook is switched off.
const DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(14 * 3_600),
    Duration::from_secs(20 * 3_600),
    Duration::from_secs(24 * 3_600),
];

#[cfg(test)]
/// Attempts of one delivery.
pub const MAX_ATTEMPTS: u32 = DELAYS.len() as u32 + 1;

/// Longest delay, with its jitter.
pub const MAX_DELAY: Duration = Duration::from_secs(29 * 3_600);

/// The delay after this many failed attempts. `jitter` is a random number from 0 to 1: deliveries that failed together are not
/// repeated together. `None` if the delivery is not repeated.
#[must_use]
pub fn delay(failed: u32, jitter: f64) -> Option<Duration> {
    let index = usize::try_from(failed.checked_sub(1)?).ok()?;
    // From 80 % to 120 %.
    DELAYS.get(index).map(|delay| delay.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_end_after_three_days() {
        let delays: Vec<Duration> = (1..MAX_ATTEMPTS).map(|failed| delay(failed, 0.5).unwrap()).collect();
        assert!((1..MAX_ATTEMPTS).all(|failed| delay(failed, 1.0).unwrap() <= MAX_DELAY));
        assert!(delays.is_sorted() && delays[0] == Duration::from_secs(5), "{delays:?}");
        let days = delays.iter().sum::<Duration>().as_secs_f64() / 86_400.0;
        assert!((3.0..3.5).contains(&days), "{days}");
        assert_eq!((delay(0, 0.5), delay(MAX_ATTEMPTS, 0.5)), (None, None));
    }

    #[test]
    fn jitter_spreads_a_delay_by_a_fifth() {
        let seconds = |jitter| delay(2, jitter).unwrap().as_secs_f64();
        assert_eq!([seconds(0.0), seconds(0.5), seconds(1.0), seconds(7.0)], [240.0, 300.0, 360.0, 360.0]);
    }
}
