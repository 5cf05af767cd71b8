//! Many viewers on a dedicated thread.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::task::LocalPoolHandle;

use super::answers::Answers;
use super::ledger::Ledger;
use super::socket::Socket;
use super::viewer::{Language, Viewer};
use crate::Fallible;
use crate::kind::Address;
use crate::measure::Board;

/// Number of concurrent connection attempts, unless the scenario sets it.
pub const IN_ORDER: usize = 64;
/// Number of connections from one source address.
const PER_ADDRESS: usize = 1_000;

/// The viewers of one document.
pub struct Audience {
    /// Protocol of the viewers.
    pub language: Language,
    /// Maps heads of the document to edits.
    pub ledger: Arc<Ledger>,
    /// Number of viewers.
    pub viewers: u32,
    /// Viewers that stop reading on command. Their latencies are not recorded.
    pub sleepers: Option<Sleepers>,
}

/// The first viewers, up to this number, do not read while the value is true.
#[derive(Clone)]
pub struct Sleepers {
    pub count: u32,
    pub asleep: watch::Receiver<bool>,
}

/// Viewers that stay connected until this is dropped.
pub struct Crowd {
    /// The runtime of the viewers' tasks.
    _thread: LocalPoolHandle,
}

impl Crowd {
    /// Connects the viewers, up to `at_once` at a time. Records on the board when each has the document, or fails.
    pub fn gather(server: &Address, audiences: Vec<Audience>, board: &Arc<Board>, at_once: usize) -> Self {
        Self::gather_from(0, server, audiences, board, at_once)
    }

    /// Like [`gather`](Self::gather). The viewers have numbers from `first` on, which differ from those of other crowds.
    pub fn gather_from(
        first: usize,
        server: &Address,
        audiences: Vec<Audience>,
        board: &Arc<Board>,
        at_once: usize,
    ) -> Self {
        let (server, board) = (server.clone(), Arc::clone(board));
        let pool = LocalPoolHandle::new(1);
        pool.spawn_pinned(move || async move {
            let mut all = JoinSet::new();
            let dialing = Rc::new(Semaphore::new(at_once));
            let mut number = first;
            for Audience { language, ledger, viewers, sleepers } in audiences {
                let answers = Rc::new(RefCell::new(Answers::new(ledger)));
                for viewer in 0..viewers {
                    let seat = Seat {
                        number,
                        server: server.clone(),
                        language: language.clone(),
                        answers: Rc::clone(&answers),
                        board: Arc::clone(&board),
                        dialing: Rc::clone(&dialing),
                        asleep: sleepers.clone().filter(|some| viewer < some.count).map(|some| some.asleep),
                    };
                    all.spawn_local(seat.take());
                    number += 1;
                }
            }
            while all.join_next().await.is_some() {}
        });
        Self { _thread: pool }
    }
}

/// A viewer that will connect.
struct Seat {
    number: usize,
    server: Address,
    language: Language,
    answers: Rc<RefCell<Answers>>,
    board: Arc<Board>,
    dialing: Rc<Semaphore>,
    asleep: Option<watch::Receiver<bool>>,
}

impl Seat {
    async fn take(self) {
        let Self { number, server, language, answers, board, dialing, asleep } = self;
        let result: Fallible<()> = async {
            let name = format!("viewer-{number:05}");
            let mut viewer = {
                let _turn = dialing.acquire().await?;
                let socket = Socket::connect(source(number), server.socket, server.path).await?;
                Viewer::join(socket, &name, &language, answers, Arc::clone(&board), asleep.is_none()).await?
            };
            viewer.run(asleep).await
        }
        .await;
        if let Err(error) = result {
            board.note_failure(format!("viewer {number}: {error}"));
        }
    }
}

/// The source address of the client with this number.
pub fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(number / PER_ADDRESS % 250 + 1).unwrap_or(1))
}
