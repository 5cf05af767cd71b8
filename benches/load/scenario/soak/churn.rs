//! Clients of all kinds who come, do something, and go: with a goodbye, without one, or thrown out.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use primitives::DocumentId;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::LocalPoolHandle;

use crate::Fallible;
use crate::client::newcomer::Newcomer;
use crate::client::{Http, Socket};
use crate::kind::Address;

/// Between two who come.
const EVERY: Duration = Duration::from_millis(100);
/// The longest that one stays.
const STAY: Duration = Duration::from_secs(15);
/// The longest that one may take to be served.
const PATIENCE: Duration = Duration::from_secs(30);
/// Documents made here that others may look at.
const REMEMBERED: usize = 50;

#[derive(Default)]
struct Notes {
    visits: AtomicU64,
    documents: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// They come until this is dropped.
pub struct Churn {
    notes: Arc<Notes>,
    _thread: LocalPoolHandle,
}

/// What a visitor knows.
struct Town {
    server: Address,
    looked_at: Vec<DocumentId>,
    made: RefCell<Vec<DocumentId>>,
    notes: Arc<Notes>,
}

impl Churn {
    pub fn begin(server: &Address, looked_at: Vec<DocumentId>) -> Self {
        let notes = Arc::new(Notes::default());
        let thread = LocalPoolHandle::new(1);
        let (server, told) = (server.clone(), Arc::clone(&notes));
        thread.spawn_pinned(move || async move {
            let town = Rc::new(Town { server, looked_at, made: RefCell::default(), notes: told });
            let (mut visitors, mut coming) = (JoinSet::new(), interval(EVERY));
            for number in 0_usize.. {
                coming.tick().await;
                visitors.spawn_local(Rc::clone(&town).visit(number));
                while visitors.try_join_next().is_some() {}
            }
        });
        Self { notes, _thread: thread }
    }

    /// How many have come and gone.
    pub fn visits(&self) -> u64 {
        self.notes.visits.load(Relaxed)
    }

    /// How many documents they made.
    pub fn documents(&self) -> u64 {
        self.notes.documents.load(Relaxed)
    }

    /// What went wrong first.
    pub fn failure(&self) -> Option<String> {
        self.notes.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Town {
    async fn visit(self: Rc<Self>, number: usize) {
        let visit = async {
            match number % 10 {
                0..4 => self.looks(number, &self.looked_at).await,
                4..6 => {
                    let made = self.made.borrow().clone();
                    self.looks(number, &made).await
                }
                6..8 => self.makes().await,
                8 => self.talks().await,
                _ => self.babbles().await,
            }
        };
        let result = timeout(PATIENCE + STAY, visit).await.unwrap_or_else(|_| Err("not served in time".into()));
        self.notes.visits.fetch_add(1, Relaxed);
        if let Err(error) = result {
            let mut failure = self.notes.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| format!("visitor {number}: {error}"));
        }
    }

    /// Asks for some documents, stays a while and is gone without a word.
    async fn looks(&self, number: usize, documents: &[DocumentId]) -> Fallible<()> {
        let mut newcomer = Newcomer::connect(&self.server, number % 10_000).await?;
        for _ in 0..3.min(documents.len()) {
            newcomer.fetch_any(&documents[rand::random_range(0..documents.len())]).await?;
        }
        sleep(STAY.mul_f64(rand::random())).await;
        Ok(())
    }

    /// Makes a document, fills it, and takes some of it away.
    async fn makes(&self) -> Fallible<()> {
        let mut http = Http::connect(self.server.socket).await?;
        let made = http.send_json(Method::POST, "/api/documents", &json!({ "name": "A short life" })).await?;
        let made: serde_json::Value = serde_json::from_slice(&made.body)?;
        let id: DocumentId = made["id"].as_str().ok_or("a document without an id")?.parse()?;
        self.notes.documents.fetch_add(1, Relaxed);
        let positions = format!("/api/documents/{id}/positions");
        for row in 0..5 {
            let position = json!({ "id": row.to_string(), "designation": "Designer", "department": "Product",
                "budget": row, "location": "Pune" });
            http.send_json(Method::POST, &positions, &position).await?;
        }
        http.send_json(Method::DELETE, &format!("{positions}/3"), &json!(null)).await?;
        http.get(&format!("/api/documents/{id}/export.csv"), None).await?;
        let mut others = self.made.borrow_mut();
        if others.len() >= REMEMBERED {
            others.remove(0);
        }
        others.push(id);
        Ok(())
    }

    /// A legacy client: logs in, is told what the others do, and goes.
    async fn talks(&self) -> Fallible<()> {
        let mut socket = Socket::connect([127, 0, 0, 1].into(), self.server.socket, "/").await?;
        // A frame of the old page: a text in JSON that holds JSON.
        socket.outbox.text(&json!(json!(["login", "CFO"]).to_string()).to_string());
        while socket.inbox.next(&mut socket.outbox)?.is_none() {
            socket.turn().await?;
        }
        sleep(STAY.mul_f64(rand::random())).await;
        Ok(())
    }

    /// Says what nobody understands, and is thrown out.
    async fn babbles(&self) -> Fallible<()> {
        let mut socket = Socket::connect([127, 0, 0, 1].into(), self.server.socket, self.server.path).await?;
        socket.outbox.binary(&[&rand::random::<[u8; 32]>()]);
        loop {
            if socket.turn().await.is_err() || socket.inbox.next(&mut socket.outbox).is_err() {
                return Ok(());
            }
        }
    }
}
