//! The simulated database as an engine of the SQL store.

use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use store::News;
use store::sql::{
    ClusterKeys, DatabaseOpenError, Dialect, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement,
    Step, TransactionEnd,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::broken::Broken;
use super::database::{Answer, Request};
use super::network::{Life, Network};

/// Deadline for the answer to a call.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which a node checks for missed hints.
const LOOK: Duration = Duration::from_secs(10);

pub struct SimulatedEngine {
    network: Network,
    life: Life,
    broken: Broken,
    news: broadcast::Sender<News>,
    looking: Mutex<Option<JoinHandle<()>>>,
}

impl SimulatedEngine {
    pub fn new(network: Network, life: Life, broken: Broken) -> Self {
        let news = network.lock().join(life);
        Self { network, life, broken, news, looking: Mutex::default() }
    }

    async fn call(&self, request: Request) -> Result<Answer, EngineError> {
        let is_append = matches!(&request, Request::Execute(statement) if is_append(statement));
        let request = self.broken.rewrite(request);
        let (reply, answer) = oneshot::channel();
        self.network.lock().call(self.life.node, request, reply);
        let result = match timeout(TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(EngineError::new(Failure::Unknown, "connection lost")),
            Err(_) => Err(EngineError::new(Failure::Unknown, "no answer in time")),
        };
        match result {
            Err(error) if is_append && error.failure == Failure::Unknown => self.broken.unknown(error),
            result => result,
        }
    }
}

fn is_append(statement: &Statement) -> bool {
    statement.sql.starts_with("INSERT INTO batch")
}

impl Engine for SimulatedEngine {
    const DIALECT: Dialect = Dialect::Sqlite;

    type SchemaSession = Session;

    async fn query(&self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        match self.call(Request::Query(statement)).await? {
            Answer::Rows(rows) => Ok(rows),
            _ => unreachable!("a query returns rows"),
        }
    }

    async fn execute(&self, statement: Statement) -> Result<u64, EngineError> {
        match self.call(Request::Execute(statement)).await? {
            Answer::Affected(rows) => Ok(rows),
            _ => unreachable!("a statement affects rows"),
        }
    }

    async fn transaction(&self, steps: Vec<Step>) -> Result<TransactionEnd, EngineError> {
        match self.call(Request::Transaction(steps)).await? {
            Answer::End(end) => Ok(end),
            _ => unreachable!("a transaction ends"),
        }
    }

    async fn lock_schema(&self) -> Result<Session, EngineError> {
        Ok(Session(self.network.clone()))
    }

    fn open_error(&self, error: EngineError) -> DatabaseOpenError {
        DatabaseOpenError::Unreachable { location: "the simulation".to_owned(), detail: error.detail }
    }

    fn max_value(&self) -> usize {
        1 << 30
    }

    fn join(&self, _: ClusterKeys) {
        if self.broken == Broken::HintsOnly {
            return;
        }
        let news = self.news.clone();
        let look = async move {
            loop {
                sleep(LOOK).await;
                let _ = news.send(News::LookAtAll);
            }
        };
        *self.looking.lock() = Some(tokio::spawn(look));
    }

    fn news(&self) -> BoxStream<'static, News> {
        let hints_only = self.broken == Broken::HintsOnly;
        let next = |mut receiver: broadcast::Receiver<News>| async move {
            match receiver.recv().await {
                Ok(news) => Some((news, receiver)),
                Err(RecvError::Lagged(_)) => Some((News::LookAtAll, receiver)),
                Err(RecvError::Closed) => None,
            }
        };
        let news = stream::unfold(self.news.subscribe(), next);
        news.filter(move |news| std::future::ready(!hints_only || *news != News::LookAtAll)).boxed()
    }

    fn tell(&self, news: News) {
        self.network.lock().tell(self.life.node, &news);
    }

    fn news_mode(&self) -> NewsMode {
        NewsMode::Notified
    }

    async fn shut_down(&self) {
        if let Some(looking) = self.looking.lock().take() {
            looking.abort();
        }
    }
}

/// Migrations run at once: they are tested elsewhere.
pub struct Session(Network);

impl SchemaSession for Session {
    async fn run(&mut self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        self.0.lock().database.read(&statement)
    }

    async fn finish(self) -> Result<(), EngineError> {
        Ok(())
    }
}
