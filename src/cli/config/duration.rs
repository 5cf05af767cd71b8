//! Durations on the command line.

use jiff::{Span, SpanRelativeTo};

/// Parses a duration such as `30m`, `12h` or `90d` into whole seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || "not a duration such as 30m, 12h or 90d".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Ok(duration.as_secs())
}
