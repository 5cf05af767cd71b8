//! Metrics of the process and of HTTP, beside those of the documents.
//!
//! Durations are recorded per route, which is the pattern of a path: paths themselves contain ids, and clients choose them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Gauge, Histogram, Unit, describe_gauge, describe_histogram, gauge, histogram};
use metrics_process::Collector;
use parking_lot::RwLock;
use runtime::metrics::Metrics;

/// Requests whose path matches no route.
const NO_ROUTE: &str = "other";
/// Methods with a label of their own. Others, which clients may invent, share the last one.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Classes of statuses.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The histograms of a route, by method and class of status.
type Route = [[OnceLock<Histogram>; STATUSES.len()]; METHODS.len()];

/// The metrics of a server.
pub(super) struct ServerMetrics {
    process: Collector,
    /// When the certificate expires, in seconds since 1970; 0 without TLS.
    pub(super) certificate_expiry: Gauge,
    /// Grows to the number of routes.
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
}

impl ServerMetrics {
    /// Registers the metrics in the set of the documents.
    pub(super) fn new(metrics: &Metrics) -> Self {
        metrics.within(|| {
            describe_gauge!("happierwork_build_info", "1, with the version of the server as a label");
            describe_gauge!(
                "happierwork_certificate_expiry_timestamp_seconds",
                "When the first of the TLS certificates expires, in seconds since 1970; 0 without TLS"
            );
            describe_histogram!(
                "happierwork_http_request_seconds",
                Unit::Seconds,
                "Time from the head of an HTTP request to that of the answer, by method, route and class of status"
            );
            gauge!("happierwork_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            let process = Collector::default();
            process.describe();
            Self {
                process,
                certificate_expiry: gauge!("happierwork_certificate_expiry_timestamp_seconds"),
                routes: RwLock::default(),
            }
        })
    }

    /// Reads the figures of the process from the operating system.
    pub(super) fn update_process(&self, metrics: &Metrics) {
        metrics.within(|| self.process.collect());
    }

    /// Records the duration of a request. `route`: the pattern that its path matches.
    pub(super) fn record_request(
        &self,
        metrics: &Metrics,
        (method, route): (&Method, Option<&str>),
        status: StatusCode,
        duration: Duration,
    ) {
        // The connection continues as a WebSocket.
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let route = route.unwrap_or(NO_ROUTE);
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len()) - 1;
        let histograms = self.histograms(route);
        let histogram = histograms[method][class].get_or_init(|| {
            let (method, status) = (METHODS[method], STATUSES[class]);
            metrics.within(|| {
                histogram!(
                    "happierwork_http_request_seconds", "method" => method, "route" => route.to_owned(), "status" => status
                )
            })
        });
        histogram.record(duration.as_secs_f64());
    }

    fn histograms(&self, route: &str) -> Arc<Route> {
        if let Some(known) = self.routes.read().get(route) {
            return Arc::clone(known);
        }
        Arc::clone(self.routes.write().entry(route.into()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_bounded_labels() {
        let metrics = Metrics::new();
        let server = ServerMetrics::new(&metrics);
        let record = |method: &str, route, status| {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let status = StatusCode::from_u16(status).expect("a status");
            server.record_request(&metrics, (&method, route), status, Duration::from_millis(2));
        };
        record("GET", Some("/api/documents/{documentId}"), 200);
        record("GET", Some("/api/documents/{documentId}"), 204);
        record("INVENTED", None, 404);
        record("GET", Some("/sync"), 101);
        let text = metrics.render();
        for line in [
            "happierwork_http_request_seconds_count{method=\"GET\",route=\"/api/documents/{documentId}\",status=\"2xx\"} 2",
            "happierwork_http_request_seconds_count{method=\"other\",route=\"other\",status=\"4xx\"} 1",
            "happierwork_build_info{version=\"",
            "happierwork_certificate_expiry_timestamp_seconds 0",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(!text.contains("/sync"), "{text}");
    }
}
