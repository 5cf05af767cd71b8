//! A TCP proxy that loses answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a port of this machine.
pub struct Proxy {
    pub port: u16,
    /// Requests that contain this text are forwarded; their answers are not, and the connection is closed.
    marker: Arc<parking_lot::Mutex<Option<Vec<u8>>>>,
    cut: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

impl Proxy {
    pub async fn new(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let (is_open, opened) = watch::channel(true);
        let proxy = Self { port, marker: Arc::default(), cut: watch::Sender::new(0), is_open };
        let (marker, cut) = (Arc::clone(&proxy.marker), proxy.cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*opened.borrow() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let (marker, cut, mut opened) = (Arc::clone(&marker), cut.clone(), opened.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = forward(client, server, marker, cut) => {}
                        _ = opened.wait_for(|is_open| !is_open) => {}
                    }
                });
            }
        });
        proxy
    }

    /// Loses the answer to each request that contains this text.
    pub fn lose_answers_to(&self, marker: &[u8]) {
        *self.marker.lock() = Some(marker.to_vec());
    }

    pub fn lose_nothing(&self) {
        *self.marker.lock() = None;
    }

    /// Connections that were closed in place of an answer.
    pub fn cut(&self) -> usize {
        *self.cut.borrow()
    }

    /// Waits until this many connections were closed in place of an answer.
    pub async fn wait_for_cuts(&self, count: usize) {
        self.cut.subscribe().wait_for(|cut| *cut >= count).await.expect("the proxy exists");
    }

    /// Closes all connections, and refuses new ones until [`open`](Self::open).
    pub fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn forward(
    client: TcpStream,
    server: TcpStream,
    marker: Arc<parking_lot::Mutex<Option<Vec<u8>>>>,
    cut: watch::Sender<usize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_cutting = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let cutting = Arc::clone(&is_cutting);
    let requests = async move {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(len @ 1..) = from_client.read(&mut buffer).await {
            let bytes = &buffer[..len];
            let is_marked =
                marker.lock().as_ref().is_some_and(|marker| bytes.windows(marker.len()).any(|at| at == marker));
            if is_marked {
                cutting.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(bytes).await.is_err() {
                return;
            }
        }
    };
    let answers = async move {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(len @ 1..) = from_server.read(&mut buffer).await {
            if is_cutting.load(Ordering::SeqCst) {
                cut.send_modify(|cut| *cut += 1);
                return;
            }
            if to_client.write_all(&buffer[..len]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
