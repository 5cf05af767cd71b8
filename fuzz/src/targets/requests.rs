//! HTTP requests to the real routes, without a socket.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use happierwork::server::{self, Limits, Options};
use http_body_util::BodyExt;
use store::faults::FaultyDisk;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Requests to one server before a new one starts with an empty plan.
const LIFE: u32 = 500;

/// Methods, routes and media types of their bodies.
const ROUTES: [(&str, &str, &str); 13] = [
    ("POST", "/api/documents", "application/json"),
    ("GET", "/api/documents/?", ""),
    ("PATCH", "/api/documents/default", "application/json"),
    ("POST", "/api/documents/default/positions", "application/json"),
    ("PATCH", "/api/documents/default/positions/a", "application/merge-patch+json"),
    ("PATCH", "/api/documents/default/positions/?", "application/json"),
    ("DELETE", "/api/documents/default/positions/?", ""),
    ("GET", "/api/documents/default/export.csv", ""),
    ("POST", "/data/add/", "application/json"),
    ("PUT", "/data/update/?/", "application/json"),
    ("DELETE", "/data/delete/?/", ""),
    ("POST", "/accounts/api/login/", "application/json"),
    ("GET", "/data/?", ""),
];

struct Life {
    router: Router,
    runtime: Runtime,
    requests: u32,
    _server: server::Server,
    _folder: TempDir,
}

impl Life {
    fn begin() -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().to_str().expect("a name");
        let disk = FaultyDisk::new(&[path]);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = runtime.block_on(server::start_on(Arc::new(disk), options(folder.path()))).expect("starts").server;
        Self { router: server.router(), runtime, requests: 0, _server: server, _folder: folder }
    }
}

fn options(folder: &Path) -> Options {
    Options {
        listen: Vec::new(),
        state: folder.join("state.automerge"),
        documents: folder.join("documents"),
        max_message: 16 << 20,
        max_pending: 1_000,
        apply_budget: Duration::from_secs(3_600),
        limits: Limits { new_documents_per_minute: 0, ..Limits::default() },
        keep_deleted: Duration::from_secs(86_400),
        additional: Some(happierwork::legacy::surface),
        ..Options::default()
    }
}

/// Route, headers and query are in the bytes up to the first zero, and the rest is the body.
pub fn http_request(bytes: &[u8]) {
    thread_local! {
        static NOW: RefCell<Option<Life>> = const { RefCell::new(None) };
    }
    let [which, rest @ ..] = bytes else { return };
    let (head, body) = match rest.iter().position(|byte| *byte == 0) {
        Some(zero) => (&rest[..zero], &rest[zero + 1..]),
        None => (&[][..], rest),
    };
    let (method, path, kind) = ROUTES[usize::from(*which) % ROUTES.len()];
    let place = String::from_utf8_lossy(head);
    let uri = path.replace('?', &percent(&place));
    let mut request = Request::builder().method(method).uri(uri).header(header::HOST, "localhost");
    if !kind.is_empty() {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    if let Ok(tag) = header::HeaderValue::from_bytes(head) {
        request = request.header(header::IF_MATCH, tag.clone()).header(header::ACCEPT, tag);
    }
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
    NOW.with_borrow_mut(|life| {
        let life = match life {
            Some(life) if life.requests < LIFE => life,
            over => over.insert(Life::begin()),
        };
        life.requests += 1;
        let router = life.router.clone();
        let (status, json, answer) = life.runtime.block_on(async move {
            let answer = router.oneshot(request).await.expect("a router always answers");
            let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let json = kind.is_some_and(|kind| kind.contains("json"));
            (answer.status(), json, answer.into_body().collect().await.expect("a whole answer").to_bytes())
        });
        assert!(!status.is_server_error(), "{method} {path}: {status}");
        if json {
            serde_json::from_slice::<serde_json::Value>(&answer).expect("a JSON media type means valid JSON");
        }
    });
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
