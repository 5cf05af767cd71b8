//! Many viewers on a thread of their own.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use happierwork::format::DocumentId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::LocalPoolHandle;

use super::answers::Answers;
use super::ledger::Ledger;
use super::socket::Socket;
use super::viewer::Viewer;
use crate::Fallible;
use crate::measure::Board;
use crate::server::Address;

/// Connections that are made at once.
const DIALING: usize = 64;
/// Connections from one source address.
const PER_ADDRESS: usize = 1_000;

/// The viewers of one document.
pub struct Audience {
    /// What they ask for.
    pub document: DocumentId,
    /// What its heads mean.
    pub ledger: Arc<Ledger>,
    /// How many they are.
    pub viewers: u32,
}

/// Viewers that are connected until this is dropped.
pub struct Crowd {
    /// Its tasks end with it.
    _thread: LocalPoolHandle,
}

impl Crowd {
    /// Lets them connect. Each is noted on the board when it has the document, and when it fails.
    pub fn gather(server: &Address, audiences: Vec<Audience>, board: &Arc<Board>) -> Self {
        let (server, board) = (server.clone(), Arc::clone(board));
        let pool = LocalPoolHandle::new(1);
        pool.spawn_pinned(move || async move {
            let mut all = JoinSet::new();
            let dialing = Rc::new(Semaphore::new(DIALING));
            let mut number = 0;
            for Audience { document, ledger, viewers } in audiences {
                let answers = Rc::new(RefCell::new(Answers::new(ledger)));
                for _ in 0..viewers {
                    let seat = Seat {
                        number,
                        server: server.clone(),
                        document: document.clone(),
                        answers: Rc::clone(&answers),
                        board: Arc::clone(&board),
                        dialing: Rc::clone(&dialing),
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

/// A viewer that is to come.
struct Seat {
    number: usize,
    server: Address,
    document: DocumentId,
    answers: Rc<RefCell<Answers>>,
    board: Arc<Board>,
    dialing: Rc<Semaphore>,
}

impl Seat {
    async fn take(self) {
        let Self { number, server, document, answers, board, dialing } = self;
        let result: Fallible<()> = async {
            let name = format!("viewer-{number:05}");
            let mut viewer = {
                let _turn = dialing.acquire().await?;
                let socket = Socket::connect(source(number), server.socket, server.path).await?;
                let document = server.knows_documents().then_some(&document);
                Viewer::join(socket, &name, document, answers, Arc::clone(&board)).await?
            };
            viewer.run().await
        }
        .await;
        if let Err(error) = result {
            board.note_failure(format!("viewer {number}: {error}"));
        }
    }
}

/// The address from which the client with this number connects.
pub fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(number / PER_ADDRESS % 250 + 1).unwrap_or(1))
}
