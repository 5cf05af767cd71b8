//! The export of traces to an OpenTelemetry collector, over OTLP with Protobuf and HTTP.
//!
//! The endpoint is a flag. Everything else is set by the variables of the [OpenTelemetry specification]: `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`, `OTEL_EXPORTER_OTLP_HEADERS` and others.
//!
//! [OpenTelemetry specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// The name of the service, if no variable sets another.
const SERVICE: &str = "happierwork";
/// Path of the collector for traces, below the endpoint.
const PATH: &str = "/v1/traces";
/// Time limit for the export of the last spans at the end of the process.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Exports spans in the background, in a thread of its own. If the collector is too slow, spans are dropped.
pub(super) struct TraceExport(SdkTracerProvider);

impl TraceExport {
    /// Starts the export. Does not connect yet.
    ///
    /// # Errors
    /// If a variable of OpenTelemetry has an invalid value, or the thread cannot be started.
    pub(super) fn start(endpoint: &str) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| format!("traces cannot be exported: {error}"))?;
        Ok(Self(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build()))
    }

    /// The source of spans.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer(SERVICE)
    }

    /// Exports the last spans.
    pub(super) fn stop(self) {
        if let Err(error) = self.0.shutdown_with_timeout(SHUTDOWN) {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Describes this process: name, version, and what the variables add.
fn resource() -> Resource {
    let from_variables = Resource::builder().build();
    let name = from_variables.get(&Key::from_static_str("service.name"));
    let named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    if named { resource.build() } else { resource.with_service_name(SERVICE).build() }
}
