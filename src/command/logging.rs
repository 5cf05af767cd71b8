//! The log: on standard error, as text or as JSON, and never more of it than a person can read.
//!
//! Much of what is worth a line is brought about by clients, and who means harm can do so ten thousand times a second. So each
//! place in the program writes some lines a second at the most, and how many were left out is said.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limits::token_bucket::TokenBucket;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogFormat, ServeArgs};

/// Unless asked for by name, the library is not traced: it opens a span for every column of every change that it reads.
const QUIET: &str = "automerge=warn";

/// Lines of one place in the program: so many a second, and so many at once.
const RATE: f64 = 10.0;
const BURST: f64 = 100.0;

/// How often it is said what was left out.
const EVERY: Duration = Duration::from_secs(10);

/// Begins to log.
///
/// # Errors
/// When the filter is not one, or something else logs already.
pub(super) fn start(args: &ServeArgs) -> Result<Lines, String> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{}", args.log)).map_err(|error| format!("--log {}: {error}", args.log))?;
    let lines = Lines::default();
    // A line that cannot be written is lost. To report that on standard error would fail the same way, and panic.
    let layer = fmt::layer().with_writer(io::stderr).log_internal_errors(false).with_ansi(io::stderr().is_terminal());
    let layer = match args.log_format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(lines.clone()))
        .with(filter)
        .try_init()
        .map_err(|error| format!("logging could not be started: {error}"))?;
    Ok(lines)
}

/// How many lines each place may still write. Who asked to see what is for debugging sees all of it.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    places: HashMap<Identifier, TokenBucket>,
    left_out: u64,
}

impl Lines {
    /// Says now and then how many lines were left out; for ever.
    pub(super) async fn tell(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let left_out = std::mem::take(&mut self.inner().left_out);
            if left_out > 0 {
                tracing::warn!(left_out, "lines like those above were left out of the log");
            }
        }
    }

    fn take(&self, place: Identifier, now: Instant) -> bool {
        let mut inner = self.inner();
        let bucket = inner.places.entry(place).or_insert_with(|| TokenBucket::new(RATE, BURST, now));
        let written = bucket.take(1.0, || now).is_ok();
        inner.left_out += u64::from(!written);
        written
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Filter<S> for Lines {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let place = event.metadata();
        *place.level() > Level::INFO || self.take(place.callsite(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_place_cannot_fill_the_log_and_silences_no_other() {
        let (written, lines) = (Count::default(), Lines::default());
        let logging = tracing_subscriber::registry().with(written.clone().with_filter(lines.clone()));
        let _logging = tracing::subscriber::set_default(logging);
        let seen = || written.0.swap(0, Ordering::Relaxed);
        for _ in 0..1_000 {
            tracing::warn!("refused");
        }
        assert_eq!(seen(), 100);
        tracing::error!("something else");
        assert_eq!(seen(), 1);
        for _ in 0..1_000 {
            tracing::debug!("asked for");
        }
        assert_eq!(seen(), 1_000);
        assert_eq!(lines.inner().left_out, 900);
        let _telling = tokio::spawn(lines.clone().tell());
        tokio::time::sleep(EVERY * 2).await;
        assert_eq!(seen(), 1, "how many were left out is said, and once");
    }
}
