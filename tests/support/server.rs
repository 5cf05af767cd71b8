//! A real server in this process.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::ChangeHash;
use bytes::Bytes;
use happierwork::legacy;
use happierwork::server::{App, Options, StartError, Started, start_on};
use hyper::HeaderMap;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Edit, LastEdit, NewPosition};
use primitives::DocumentId;
use runtime::hub::Requester;
use rustls::ClientConfig;
use serde_json::Value;
use store::OpenError;
use store::disk::{Disk, RealDisk};
use store::sql::{DatabaseOptions, DatabaseUrl};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::ClientRequestBuilder;

use super::PATIENCE;
use super::http::{Answer, encrypted, request_over};
use super::ports::free_port;
use super::socket::{Socket, connect_to};

/// A running server. Stops when dropped.
pub struct TestServer {
    pub address: SocketAddr,
    /// The default document.
    pub document: DocumentId,
    pub app: Arc<App>,
    pub folder: Arc<TempDir>,
    /// TLS configuration of the clients; `None` without TLS.
    pub tls: Option<Arc<ClientConfig>>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<bool>>,
    /// The server's own runtime, if it can be killed.
    runtime: Option<Runtime>,
}

/// Makes the servers of all tests keep their documents in a database: `sqlite`, a file in their folder. For a run of tests whose
/// subject is not the files.
const TEST_DATABASE: &str = "HAPPIERWORK_TEST_DATABASE";

/// Starts a server, and waits for what an earlier server of this process may hold for a moment longer: the locks of its files, in a
/// detached call, and its port and locks, in a child process that has copies of the files until it runs its own program.
async fn start_patiently(disk: Arc<dyn Disk>, options: Options) -> Started {
    let begun = Instant::now();
    loop {
        let error = match start_on(Arc::clone(&disk), options.clone()).await {
            Ok(started) => return started,
            Err(error) => error,
        };
        let held = match &error {
            StartError::Open(OpenError::Locked { pid, .. }) => *pid == Some(std::process::id()),
            StartError::Bind { address, source } => address.port() != 0 && source.kind() == ErrorKind::AddrInUse,
            _ => false,
        };
        assert!(held && begun.elapsed() < PATIENCE, "the server starts: {error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Options for a server in `folder`.
pub fn options(folder: &Path) -> Options {
    let database = std::env::var(TEST_DATABASE).ok().map(|kind| {
        assert_eq!(kind, "sqlite", "{TEST_DATABASE}");
        DatabaseOptions {
            url: DatabaseUrl::Sqlite(folder.join("plan.db")),
            listen: None,
            wait: Duration::from_secs(10),
        }
    });
    Options {
        database,
        state: folder.join("state.automerge"),
        documents: folder.join("documents"),
        max_message: 16 << 20,
        max_pending: 1_000,
        keep_deleted: Duration::from_secs(86_400),
        additional: Some(happierwork::legacy::surface),
        ..Options::default()
    }
}

impl TestServer {
    /// Starts a server with an empty plan.
    pub async fn start() -> Self {
        Self::start_in(Arc::new(TempDir::new().expect("a folder")), |_| {}).await
    }

    /// Starts a server in a folder that may have been used before.
    pub async fn start_in(folder: Arc<TempDir>, adjust: impl FnOnce(&mut Options)) -> Self {
        Self::start_on(Arc::new(RealDisk::default()), folder, adjust).await
    }

    /// Starts a server on the given disk.
    pub async fn start_on(disk: Arc<dyn Disk>, folder: Arc<TempDir>, adjust: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(folder.path());
        adjust(&mut options);
        let started = start_patiently(disk, options).await;
        Self::run(started, folder, None)
    }

    /// Starts a server in a runtime of its own, so that [`kill`](Self::kill) can end it.
    pub async fn start_killable(folder: &Arc<TempDir>) -> Self {
        Self::start_killable_at(folder, SocketAddr::from(([127, 0, 0, 1], free_port()))).await
    }

    /// Starts a server in a runtime of its own, at the address of an earlier one.
    pub async fn start_killable_at(folder: &Arc<TempDir>, address: SocketAddr) -> Self {
        let mut options = options(folder.path());
        options.listen = vec![address];
        options.timeouts.close = Duration::from_millis(200);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let started = runtime.spawn(start_patiently(Arc::new(RealDisk::default()), options)).await.unwrap();
        Self::run(started, Arc::clone(folder), Some(runtime))
    }

    fn run(started: Started, folder: Arc<TempDir>, runtime: Option<Runtime>) -> Self {
        let Started { server, addresses, document, .. } = started;
        let app = Arc::clone(server.app());
        let (stop, stopped) = oneshot::channel();
        let serving = server.run(async move {
            let _ = stopped.await;
        });
        let running = match &runtime {
            Some(runtime) => runtime.spawn(serving),
            None => tokio::spawn(serving),
        };
        let (address, stop, running) = (addresses[0], Some(stop), Some(running));
        Self { address, document, app, folder, tls: None, stop, running, runtime }
    }

    /// Stops the server as a signal does. Returns whether it stopped within its grace period.
    pub async fn stop(mut self) -> bool {
        let _ = self.stop.take().expect("not stopped yet").send(());
        let in_time = self.running.take().expect("runs").await.expect("the server does not panic");
        self.end_runtime().await;
        // Closed connections may hold the application, and with it the locks of its files, for a moment longer.
        let released = async {
            while Arc::strong_count(&self.app) > 1 {
                tokio::task::yield_now().await;
            }
        };
        let _ = timeout(Duration::from_secs(2), released).await;
        in_time
    }

    /// Ends a server that was started as killable at once, like a power cut that spares the disk.
    pub async fn kill(mut self) {
        assert!(self.runtime.is_some(), "killable");
        self.end_runtime().await;
    }

    /// Drops all tasks of the server's own runtime, which releases the port and the locks.
    async fn end_runtime(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let ending = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10)));
            ending.await.unwrap();
        }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state.automerge")
    }

    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Sends a request. Returns status, headers and body.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        self.call(method, path, headers, "").await.into_parts()
    }

    /// Gets an answer that must be JSON.
    pub async fn get_json(&self, path: &str) -> (u16, Value) {
        let answer = self.get(path).await;
        (answer.status.as_u16(), answer.json())
    }

    /// Posts JSON. Returns the status and the answer, which must be JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.send("POST", path, body).await;
        (answer.status.as_u16(), answer.json())
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    /// Sends JSON.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Sends a request on a connection of its own.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        match &self.tls {
            None => request_over(stream, self.address, method, path, headers, body).await,
            Some(config) => {
                let stream = encrypted(stream, config).await.expect("speaks TLS");
                request_over(stream, self.address, method, path, headers, body).await
            }
        }
    }

    /// Opens a socket at this path.
    pub async fn connect(&self, path: &str) -> Socket {
        self.connect_with(path, &[]).await
    }

    pub async fn connect_with(&self, path: &str, headers: &[(&str, &str)]) -> Socket {
        connect_to(&self.url(path), headers, self.tls.clone()).await
    }

    /// Opens a socket from another address of this machine, such as 127.0.0.2.
    pub async fn connect_from(&self, source: &str, path: &str, headers: &[(&str, &str)]) -> Socket {
        let tcp = self.tcp_from(source).await;
        let mut request = ClientRequestBuilder::new(self.url(path).parse().expect("a URL"));
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        let stream = tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// Opens a socket with another host name in the request.
    pub async fn connect_as(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Socket {
        let tcp = TcpStream::connect(self.address).await.expect("connects");
        let mut request = ClientRequestBuilder::new(format!("ws://{host}{path}").parse().expect("a URL"));
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        let stream = tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// Opens a TCP connection from another address of this machine.
    pub async fn tcp_from(&self, source: &str) -> TcpStream {
        let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
        tcp.bind(SocketAddr::new(source.parse().expect("an address"), 0)).expect("bound");
        tcp.connect(self.address).await.expect("connects")
    }

    /// A legacy client that has read its greeting.
    pub async fn legacy(&self) -> Socket {
        let mut socket = self.connect("/ws/dashboard/").await;
        assert_eq!(socket.json().await["type"], "login_update");
        socket
    }

    /// Like [`legacy`](Self::legacy), with a small receive buffer.
    pub async fn legacy_with_small_buffers(&self) -> Socket {
        let mut socket = self.connect_with_small_buffers("/ws/dashboard/").await;
        assert_eq!(socket.json().await["type"], "login_update");
        socket
    }

    /// Opens a socket with a small receive buffer.
    pub async fn connect_with_small_buffers(&self, path: &str) -> Socket {
        let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
        tcp.set_recv_buffer_size(128 << 10).expect("set");
        let tcp = tcp.connect(self.address).await.expect("connects");
        let stream = tokio_tungstenite::client_async(self.url(path), MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// Imports the rows of a legacy data.json into the document. Rows without an id get `row 0`, `row 1` …
    pub async fn import(&self, json: &[u8]) {
        let mut ids = 0;
        let mut new_id = || {
            ids += 1;
            format!("row {}", ids - 1)
        };
        let rows = legacy::import(json, &plan::Plan::default().scale(), 1_750_000_000_000, &mut new_id)
            .expect("a legacy file with only valid rows");
        let positions = rows.into_iter().map(|row| NewPosition {
            created_at: Some(row.created_at_ms),
            updated: Some(LastEdit::new(row.updated_by, row.updated_at_ms)),
            ..NewPosition::new(row.id, row.designation)
                .with(DEPARTMENT, row.department)
                .with(BUDGET, row.budget)
                .with(LOCATION, row.location)
        });
        self.edit(Edit::AddAll(positions.collect())).await;
    }

    /// Makes an edit like the API, by the user `editor`.
    pub async fn edit(&self, edit: Edit) {
        let author = Author { name: "editor".to_owned(), now: 1_750_000_000_000 };
        self.app.hub.edit(&Requester::server(), &self.document, edit, author).await.expect("stored");
    }

    /// The value of one line of `/metrics`, such as `happierwork_documents_open`.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.app.hub.metrics().render();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no line {line} in\n{text}"))
    }

    /// Waits until the value of a line of `/metrics` satisfies `wanted`.
    pub async fn until_metric(&self, line: &str, wanted: impl Fn(f64) -> bool) {
        let seen = async {
            while !wanted(self.metric(line)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{line} stays at {}", self.metric(line)));
    }

    /// Waits until large messages reserve at least `bytes`, or, for 0, nothing.
    pub async fn until_held(&self, bytes: u64) {
        let memory = self.app.hub.memory_budget();
        let held = async {
            while if bytes == 0 { memory.used() > 0 } else { memory.used() < bytes } {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, held).await.expect("in time");
    }

    /// Ids of the positions in the published view.
    pub async fn positions(&self) -> Vec<String> {
        let view = self.app.hub.view(&Requester::server(), &self.document).await.expect("opens").expect("exists");
        let view = plan::read_view(&view);
        view.rows().map(|row| row.position.id.to_string()).collect()
    }

    /// Returns the heads and the number of rows of a document's published view.
    pub async fn content(&self, document: &DocumentId) -> (Vec<ChangeHash>, usize) {
        let view = self.app.hub.view(&Requester::server(), document).await.expect("opens").expect("exists");
        let view = plan::read_view(&view);
        (view.heads().to_vec(), view.len())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
