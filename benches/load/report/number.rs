//! Formats numbers for readers.

/// Three digits, with commas: `0.012`, `1.25`, `12.3`, `123`, `1,230`.
pub fn short(number: f64) -> String {
    // Rounded first: 9.996 is shown as 10.0, not 10.00.
    let magnitude = if number == 0.0 { 0 } else { number.abs().log10().floor() as i32 };
    let step = 10f64.powi(magnitude - 2);
    let rounded = if number == 0.0 { 0.0 } else { (number / step).round() * step };
    match rounded.abs() {
        0.0 => "0".to_owned(),
        ..0.001 => "< 0.001".to_owned(),
        ..1.0 => trimmed(format!("{rounded:.3}")),
        ..9.995 => format!("{rounded:.2}"),
        ..99.95 => format!("{rounded:.1}"),
        _ => thousands(number.round()),
    }
}

/// A whole number with commas.
pub fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A round number with only its significant digits: `0.05`, `10`, `2,000`.
pub fn exact(number: f64) -> String {
    if number < 1.0 { trimmed(format!("{number:.6}")) } else { thousands(number) }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Millis,
    Micros,
    Seconds,
    Times,
    EditsPerSecond,
    KiB,
    MiB,
    /// 0 or 1: whether all clients had the same document at the end.
    Agreement,
    Plain,
}

impl Unit {
    /// The unit that a figure's name ends with: `p99_ms`, `cpu_us_per_edit`, `p99_to_before`.
    pub fn of(name: &str) -> Self {
        let words: Vec<&str> = name.split('_').collect();
        if words.ends_with(&["per", "s"]) {
            return if words.contains(&"edits") { Self::EditsPerSecond } else { Self::Plain };
        }
        let unit = |word: &&str| match *word {
            "ms" => Some(Self::Millis),
            "us" => Some(Self::Micros),
            "s" => Some(Self::Seconds),
            "kib" => Some(Self::KiB),
            "mib" => Some(Self::MiB),
            "to" => Some(Self::Times),
            _ => None,
        };
        words.iter().find_map(unit).unwrap_or(Self::Plain)
    }

    /// A figure with its unit.
    pub fn show(self, figure: f64) -> String {
        let unit = match self {
            Self::Millis => " ms",
            Self::Micros => " µs",
            Self::Seconds => " s",
            Self::Times => " ×",
            Self::EditsPerSecond => " edits/s",
            Self::KiB => " KiB",
            Self::MiB => " MiB",
            Self::Plain => "",
            Self::Agreement if figure == 1.0 => return "converged".to_owned(),
            Self::Agreement => return "did not converge".to_owned(),
        };
        format!("{}{unit}", short(figure))
    }
}
