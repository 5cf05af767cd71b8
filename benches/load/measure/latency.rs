//! Latencies. All values are kept, so that percentiles are exact.

use std::collections::BTreeMap;

/// Latencies in microseconds.
#[derive(Debug, Default, Clone)]
pub struct Latencies(pub Vec<u32>);

impl Latencies {
    /// The latency in milliseconds that this fraction of the values does not exceed.
    pub fn percentile_ms(&mut self, part: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let rank = ((self.0.len() as f64 * part).ceil() as usize).clamp(1, self.0.len()) - 1;
        let (_, value, _) = self.0.select_nth_unstable(rank);
        f64::from(*value) / 1_000.0
    }

    /// Adds `p50_ms`, `p99_ms` and `max_ms`, unless there are no values.
    pub fn describe(&mut self, figures: &mut BTreeMap<String, f64>) {
        if self.0.is_empty() {
            return;
        }
        for (name, part) in [("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)] {
            figures.insert(name.to_owned(), self.percentile_ms(part));
        }
    }
}
