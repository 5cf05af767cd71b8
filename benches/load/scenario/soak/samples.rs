//! Regular samples, and whether their values grow.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use crate::Fallible;
use crate::client::Http;
use crate::measure::{Latencies, Process};

/// One sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Time since the start.
    pub minute: f64,
    pub rss_mib: f64,
    pub files: f64,
    pub threads: f64,
    /// Documents in memory.
    pub documents: f64,
    pub connections: f64,
    /// Size of the server's log output.
    pub log_kib: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Sample {
    pub(super) async fn take(
        minute: f64,
        process: Process,
        server: SocketAddr,
        folder: &Path,
        latencies: &mut Latencies,
    ) -> Fallible<Self> {
        let metrics = Http::connect(server).await?.get("/metrics", None).await?;
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        Ok(Self {
            minute,
            rss_mib: process.rss_mib()?,
            files: process.files()? as f64,
            threads: process.threads()?,
            documents: metric(&metrics, "happierwork_documents_open"),
            connections: metric(&metrics, "happierwork_connections"),
            log_kib: std::fs::metadata(folder.join("log"))?.len() as f64 / 1024.0,
            p50_ms: latencies.percentile_ms(0.5),
            p99_ms: latencies.percentile_ms(0.99),
        })
    }
}

/// The sum over all labels.
fn metric(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minute, rss_mib, files, threads, documents, connections, log_kib, p50_ms, p99_ms } = self;
        write!(
            f,
            "{minute:5.1} min: {rss_mib:.1} MiB, {files} files, {threads} threads, {documents} documents, {connections} \
             connections, log {log_kib:.0} KiB, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms"
        )
    }
}

/// A linear fit of samples.
#[derive(Debug, Clone, Copy)]
pub struct Trend {
    pub mean: f64,
    /// Slope per hour.
    pub slope: f64,
    /// Two standard errors of the slope. Computed from the means of minutes, because neighbouring samples correlate.
    pub uncertainty: f64,
}

impl Trend {
    /// Fits the samples after the warm-up. `None` if there are too few.
    pub fn of(samples: &[Sample], after_minute: f64, value: fn(&Sample) -> f64) -> Option<Self> {
        let mut minutes: Vec<(f64, Vec<f64>)> = Vec::new();
        for sample in samples.iter().filter(|sample| sample.minute >= after_minute && value(sample).is_finite()) {
            let minute = sample.minute.floor();
            match minutes.last_mut() {
                Some((last, values)) if *last == minute => values.push(value(sample)),
                _ => minutes.push((minute, vec![value(sample)])),
            }
        }
        let points: Vec<(f64, f64)> = minutes
            .into_iter()
            .map(|(minute, values)| (minute / 60.0, values.iter().sum::<f64>() / values.len() as f64))
            .collect();
        let count = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let slope = points.iter().map(|(x, y)| (x - mean_x) * (y - mean)).sum::<f64>() / spread;
        let rest: f64 = points.iter().map(|(x, y)| (y - mean - slope * (x - mean_x)).powi(2)).sum();
        let uncertainty = 2.0 * (rest / (count - 2.0) / spread).sqrt();
        Some(Self { mean, slope, uncertainty })
    }

    /// Whether the slope may be zero.
    pub fn is_flat(&self) -> bool {
        self.slope.abs() <= self.uncertainty
    }
}
