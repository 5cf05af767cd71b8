//! How long to wait before the next attempt to connect. Pure: randomness is an argument.

use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of all.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wait after a server has asked for patience, however early in the series.
const PATIENT: Duration = Duration::from_secs(5);

/// What the end of the last session says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// An outage: soon at first, then slower and slower.
    Usual,
    /// The server is alive and asked to be left alone for a while.
    Patient,
    /// The server does not want us, which only people can change: as seldom as ever.
    Slowest,
}

/// The series of attempts since the last good session.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt. `random`: from 0 to 1.
    pub(super) fn next(&mut self, pace: Pace, random: f64) -> Duration {
        let wait = delay(self.failures, pace, random);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// There was a good session, or somebody wants to connect now.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The wait after so many `failures` before this one.
///
/// Full jitter (anything from nothing to a limit that doubles): clients that lost the same server do not come back in
/// step. Only for [`Pace::Slowest`] the lower half is left out, as nobody is waiting for that attempt.
fn delay(failures: u32, pace: Pace, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    let doubled = FIRST.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST);
    match pace {
        Pace::Usual => doubled.mul_f64(random),
        Pace::Patient => doubled.max(PATIENT).mul_f64(random),
        Pace::Slowest => LONGEST.mul_f64(0.5 + random / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_thirty_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(Pace::Usual, 1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(delay(31, Pace::Usual, 1.0), LONGEST);
        assert_eq!(delay(u32::MAX, Pace::Usual, 1.0), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(Pace::Usual, 1.0), FIRST);
    }

    #[test]
    fn jitter_covers_the_whole_delay() {
        assert_eq!(delay(3, Pace::Usual, 0.0), Duration::ZERO);
        assert_eq!(delay(3, Pace::Usual, 0.5), Duration::from_millis(800));
        // Whatever a caller's randomness is worth.
        assert_eq!(delay(0, Pace::Usual, 7.0), FIRST);
        assert_eq!(delay(0, Pace::Usual, -7.0), Duration::ZERO);
    }

    #[test]
    fn busy_and_refusing_servers_are_dialled_later() {
        assert_eq!(delay(0, Pace::Patient, 1.0), PATIENT);
        assert_eq!(delay(20, Pace::Patient, 1.0), LONGEST);
        assert_eq!(delay(0, Pace::Slowest, 0.0), LONGEST / 2);
        assert_eq!(delay(0, Pace::Slowest, 1.0), LONGEST);
    }
}
