//! Something that fails again and again is tried again less and less often.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that cost no patience: most have a cause that is gone the next time.
const FREE: u32 = 2;
/// How long the first pause is; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// What has not failed for so long has recovered.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Counts the failures of one thing.
#[derive(Debug, Default)]
pub(crate) struct Damper {
    failures: u32,
    last: Option<Instant>,
}

impl Damper {
    /// It failed (again), now.
    pub(crate) fn failed(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now.duration_since(last) > FORGOTTEN + LONGEST) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
    }

    /// It works.
    pub(crate) fn works(&mut self) {
        *self = Self::default();
    }

    /// How long to wait before the next try.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        let Some(doublings) = self.failures.checked_sub(FREE + 1) else { return Duration::ZERO };
        let pause = FIRST.saturating_mul(1 << doublings.min(20)).min(LONGEST);
        (last + pause).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_after_the_free_failures() {
        let (mut damper, now) = (Damper::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..14 {
            damper.failed(now);
            pauses.push(damper.pause(now).as_millis());
        }
        assert_eq!(pauses[..6], [0, 0, 100, 200, 400, 800]);
        assert_eq!(pauses[13], LONGEST.as_millis());
        assert_eq!(damper.pause(now + LONGEST), Duration::ZERO, "waited for");
        damper.failed(now + FORGOTTEN + LONGEST * 2);
        assert_eq!(damper.pause(now + FORGOTTEN + LONGEST * 2), Duration::ZERO, "long ago");
        damper.works();
        damper.failed(now);
        assert_eq!(damper.pause(now), Duration::ZERO);
    }
}
