//! Axes.

use crate::report::number::exact;

/// A logarithmic axis.
pub struct Log {
    ticks: Vec<f64>,
    low: f64,
    high: f64,
}

impl Log {
    /// From the tick below the least value to the tick above the largest. Ticks are 1, 2 and 5 times the powers of
    /// ten.
    pub fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (least, largest) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
        let powers = (least.log10().floor() as i32 - 1)..=(largest.log10().ceil() as i32 + 1);
        let all: Vec<f64> = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(power))).collect();
        // Computed powers of ten are not always exact.
        let first = all.iter().rposition(|tick| *tick <= least * 1.000_001).unwrap_or(0);
        let mut last = all.iter().position(|tick| *tick >= largest / 1.000_001).unwrap_or(all.len() - 1);
        if last == first {
            last += 1;
        }
        let ticks = all[first..=last].to_vec();
        Self { low: ticks[0].log10(), high: ticks[ticks.len() - 1].log10(), ticks }
    }

    /// Position of a value on the axis, between 0 and 1.
    pub fn place(&self, value: f64) -> f64 {
        (value.log10() - self.low) / (self.high - self.low)
    }

    /// Positions and labels of the ticks. Only powers of ten if there would be too many.
    pub fn ticks(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        let sparse = self.ticks.len() > 10;
        let power = |tick: f64| (tick.log10() - tick.log10().round()).abs() < 1e-6;
        let kept = self.ticks.iter().filter(move |tick| !sparse || power(**tick));
        kept.map(|tick| (self.place(*tick), exact(*tick)))
    }
}

/// A linear axis from zero to a round number above this one. Returns its end, and the distance of its ticks.
pub fn linear(largest: f64) -> (f64, f64) {
    let power = 10f64.powf(largest.log10().floor());
    let step = [0.2, 0.5, 1.0, 2.0].map(|step| step * power).into_iter().find(|step| largest / step <= 5.0);
    let step = step.unwrap_or(2.0 * power);
    ((largest / step).ceil() * step, step)
}
