//! The network between a server and a database.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The state of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Works,
    /// Nothing passes. Everything arrives later.
    Stalls,
    /// Requests arrive, and their answers are lost.
    LosesAnswers,
    /// The connections are closed on the database's side, and the servers are not notified.
    IsHalfOpen,
    /// Connections are closed, and new ones are refused.
    IsCut,
}

/// Forwards connections to a port of this machine.
pub struct Proxy {
    pub port: u16,
    network: watch::Sender<Network>,
    /// Ends all connections when it changes.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub async fn new(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (network, state) = watch::channel(Network::Works);
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() == Network::IsCut {
                    continue;
                }
                let mut cut = cut.clone();
                cut.mark_unchanged();
                let connection = connection(client, to, state.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, network, cuts }
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
        if network == Network::IsCut {
            self.cuts.send_modify(|cuts| *cuts += 1);
        }
    }
}

async fn connection(mut client: TcpStream, to: u16, mut state: watch::Receiver<Network>) {
    let opens = |network: &Network| matches!(network, Network::Works | Network::LosesAnswers);
    if state.wait_for(opens).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let mut until_half_open = state.clone();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        () = forward(from_client, to_server, state.clone(), false) => return,
        () = forward(from_server, to_client, state, true) => return,
        _ = until_half_open.wait_for(|network| *network == Network::IsHalfOpen) => {}
    }
    drop(server);
    // Holds the client's end until the network is cut.
    std::future::pending::<()>().await;
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<Network>,
    is_answer: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let Ok(network) = state.wait_for(|network| *network != Network::Stalls).await.map(|network| *network) else {
            return;
        };
        if is_answer && network == Network::LosesAnswers {
            continue;
        }
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
