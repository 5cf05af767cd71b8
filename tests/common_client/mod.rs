//! A server in a folder that can be stopped and killed, and what tests of replicas say again and again.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use auth::Role;
use client::{Replica, ReplicaOptions};
use happierwork::server::{self, Dashboard, Limits, Options, SocketTimes};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Edit, NewPosition, PositionPatch, read_view};
use primitives::DocumentId;
use runtime::hub::{APPLY_BUDGET, Caller, Hub};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server in a runtime of its own, so that it can be killed: all its tasks end where they are.
pub struct TestServer {
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<JoinHandle<bool>>,
    address: SocketAddr,
    /// The default document.
    pub document: DocumentId,
    /// Its documents.
    pub hub: Hub,
}

impl TestServer {
    /// Starts one on a free port.
    pub async fn start(home: &Path) -> Self {
        Self::start_at(home, "127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts one where another was.
    pub async fn start_at(home: &Path, address: SocketAddr) -> Self {
        let options = Options {
            listen: vec![address],
            tls: None,
            state: home.join("state.automerge"),
            documents: home.join("documents"),
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            auth: None,
            who_may_create: Some(Role::Editor),
            max_message: 64 << 20,
            idle_after: Duration::from_secs(60),
            max_pending: 100,
            apply_budget: APPLY_BUDGET,
            limits: Limits::default(),
            dashboard: Dashboard::none(),
            keep_deleted: Duration::from_secs(86_400),
            times: SocketTimes { goodbye: Duration::from_millis(200), ..SocketTimes::default() },
            grace: Duration::from_secs(5),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let started = runtime.spawn(server::start(options)).await.unwrap().unwrap();
        let hub = started.server.app().hub.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = runtime.spawn(started.server.run(async {
            let _ = stopped.await;
        }));
        Self {
            runtime: Some(runtime),
            stop: Some(stop),
            ended: Some(ended),
            address: started.addresses[0],
            document: started.document,
            hub,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("ws://{}/sync", self.address)
    }

    /// Ends it as an operator would.
    pub async fn stop(mut self) -> SocketAddr {
        self.stop.take().unwrap().send(()).unwrap();
        assert!(self.ended.take().unwrap().await.unwrap(), "the server ends within its grace period");
        self.kill().await
    }

    /// Ends it as a power cut would, but for the disk.
    pub async fn kill(mut self) -> SocketAddr {
        let (runtime, address) = (self.runtime.take().unwrap(), self.address);
        drop(self);
        // Dropping the tasks releases the port and the locks.
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
        address
    }

    /// Edits on the server.
    pub async fn edit(&self, document: &DocumentId, edit: Edit) {
        let author = Author { name: "server".to_owned(), now: 1_750_000_000_000 };
        self.hub.edit(&Caller::server(), document, edit, author).await.unwrap();
    }

    /// The heads and the ids of the rows, as the server would tell them.
    pub async fn content(&self, document: &DocumentId) -> (Vec<automerge::ChangeHash>, usize) {
        let view = self.hub.view(&Caller::server(), document).await.unwrap().expect("the document exists");
        let view = read_view(&view);
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

/// Options for a replica of the server's default document; the file is named after the author.
pub fn options(home: &Path, document: &DocumentId, author: &str) -> ReplicaOptions {
    ReplicaOptions::new(home.join(format!("{author}.automerge")), document.clone(), author)
}

/// An edit that adds a position.
pub fn add(id: &str, budget: u64) -> Edit {
    Edit::Add(
        NewPosition::new(id, format!("Engineer {id}"))
            .with(DEPARTMENT, "Engineering")
            .with(BUDGET, Budget::Int(budget))
            .with(LOCATION, "Bengaluru"),
    )
}

/// An edit that sets a position's budget.
pub fn set_budget(id: &str, budget: u64) -> Edit {
    let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
    Edit::Patch { id: id.to_owned(), patch }
}

/// How many positions a replica shows.
pub fn rows(replica: &Replica) -> usize {
    read_view(replica.view()).len()
}

/// Waits until a replica is as wished; looks again after every change.
pub async fn until(replica: &Replica, mut wished: impl FnMut(&Replica) -> bool) {
    let mut changes = replica.changes();
    let waiting = async {
        while !wished(replica) {
            // Lagging is no end.
            let _ = changes.recv().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

/// Waits until a replica and its server agree.
pub async fn synced(replica: &Replica) {
    let waiting = tokio::time::timeout(Duration::from_secs(20), replica.wait_until_synced()).await;
    waiting.unwrap_or_else(|_| panic!("not synced in time, but {:?}", replica.status())).unwrap();
}
