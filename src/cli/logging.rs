//! The log: text or JSON lines on standard error, rate limited per call site.
//!
//! Clients cause many of the lines, and a hostile client could cause ten thousand a second. Each call site therefore writes
//! a limited number of lines per second ([`RateLimit`]), and the log reports how many were dropped.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use limits::token_bucket::TokenBucket;
use parking_lot::{Mutex, MutexGuard};
use runtime::traces::TARGET;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::traces::TraceExport;
use crate::cli::config::{LogFormat, ServeArgs};

/// Disables Automerge's tracing by default: it opens a span for every column of every change that it reads.
const QUIET: &str = "automerge=warn";
/// Keeps the spans of traces out of the log.
const NO_TRACES: &str = "happierwork::traces=off";

/// Lines per second of one call site.
const RATE: f64 = 10.0;
/// Lines that one call site may write at once.
const BURST: f64 = 100.0;

/// Interval at which dropped lines are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Installs the global logger. `traces` gets the spans of traces; without it, none are created.
///
/// # Errors
/// If the filter is invalid, or a logger is already installed.
pub(super) fn start(args: &ServeArgs, traces: Option<&TraceExport>) -> Result<RateLimit, String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{},{NO_TRACES}", args.log))
        .map_err(|error| format!("--log {}: {error}", args.log))?;
    let rate_limit = RateLimit::default();
    // Lines that cannot be written are lost: an error report on standard error would fail the same way, and panic.
    let layer = fmt::layer().with_writer(io::stderr).log_internal_errors(false).with_ansi(io::stderr().is_terminal());
    let layer = match args.log_format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let traces = traces.map(|traces| {
        let layer =
            tracing_opentelemetry::layer().with_tracer(traces.tracer()).with_location(false).with_threads(false);
        layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(layer.with_filter(filter.and(rate_limit.clone())))
        .with(traces)
        .try_init()
        .map_err(|error| format!("logging could not be started: {error}"))?;
    Ok(rate_limit)
}

/// Log filter that limits the lines of each call site. Debug and trace lines are not limited. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct RateLimit(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    buckets: HashMap<Identifier, TokenBucket>,
    dropped: u64,
}

impl RateLimit {
    /// Logs the number of dropped lines at intervals. Never returns.
    pub(super) async fn report_dropped(self) {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            let left_out = std::mem::take(&mut self.inner().dropped);
            if left_out > 0 {
                tracing::warn!(left_out, "similar log lines were dropped");
            }
        }
    }

    fn allow(&self, call_site: Identifier, now: Instant) -> bool {
        let mut inner = self.inner();
        let bucket = inner.buckets.entry(call_site).or_insert_with(|| TokenBucket::new(RATE, BURST, now));
        let allowed = bucket.take(1.0, || now).is_ok();
        inner.dropped += u64::from(!allowed);
        allowed
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl<S: Subscriber> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        *metadata.level() > Level::INFO || self.allow(metadata.callsite(), Instant::now())
    }

    // Without it, the hint of a filter that this one is combined with is lost, and disabled events cost more.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
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
    async fn call_sites_are_rate_limited_separately() {
        let (written, rate_limit) = (Count::default(), RateLimit::default());
        let logging = tracing_subscriber::registry().with(written.clone().with_filter(rate_limit.clone()));
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
        assert_eq!(rate_limit.inner().dropped, 900);
        let _reporting = tokio::spawn(rate_limit.clone().report_dropped());
        tokio::time::sleep(REPORT_INTERVAL * 2).await;
        assert_eq!(seen(), 1, "dropped lines are reported once");
    }
}
