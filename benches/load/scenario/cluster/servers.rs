//! The servers of a case, and the database that they share.

use std::time::Duration;

use crate::Fallible;
use crate::client::Http;
use crate::contenders::Contender;
use crate::contenders::redis::Redis;
use crate::kind::{Address, Kind};
use crate::plan::Plan;
use crate::postgres::Postgres;
use crate::server::{Server, Workplace};

/// Running servers. They are stopped before the database.
pub struct Servers {
    pub all: Vec<Server>,
    pub postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Servers {
    /// Starts the servers of this kind with these documents.
    pub async fn start(kind: Kind, plans: &[Plan], place: &Workplace) -> Fallible<Self> {
        let mut servers = Self { all: Vec::new(), postgres: None, redis: None };
        let sharing = match kind {
            Kind::Cluster(_) => {
                let postgres = Postgres::start(place).await?;
                postgres.lay(plans).await?;
                let arguments = vec!["--database".to_owned(), postgres.url.clone()];
                servers.postgres = Some(postgres);
                arguments
            }
            Kind::Other(Contender::Hocuspocus) => {
                let redis = Redis::start(place).await?;
                let arguments = vec![redis.port.to_string()];
                servers.redis = Some(redis);
                arguments
            }
            _ => Vec::new(),
        };
        let sharing: Vec<&str> = sharing.iter().map(String::as_str).collect();
        for _ in 0..kind.servers() {
            servers.all.push(Server::start_with(kind, plans, place, &sharing).await?);
        }
        Ok(servers)
    }

    /// The server for a client with this number: clients take turns.
    pub fn address(&self, number: usize) -> &Address {
        &self.all[number % self.all.len()].address
    }

    /// Processor time of all servers, without the database.
    pub fn cpu(&self) -> Fallible<Duration> {
        let mut sum = Duration::ZERO;
        for server in &self.all {
            sum += server.process().cpu()?;
        }
        Ok(sum)
    }

    /// Processor time of the database or Redis; zero without one.
    pub fn database_cpu(&self) -> Fallible<Duration> {
        match (&self.postgres, &self.redis) {
            (Some(postgres), _) => Ok(postgres.cpu()?),
            (None, Some(redis)) => Ok(redis.process().cpu()?),
            (None, None) => Ok(Duration::ZERO),
        }
    }

    /// Adds the cause to an error if one of the servers has ended.
    pub fn explain(&mut self, error: impl std::fmt::Display) -> String {
        let mut error = error.to_string();
        for server in &mut self.all {
            error = server.explain(error);
        }
        error
    }

    /// The appends of all servers so far.
    pub async fn appends(&self) -> Fallible<Appends> {
        let mut sum = Appends::default();
        for server in &self.all {
            sum.add(&Appends::of(&server.address).await?);
        }
        Ok(sum)
    }
}

/// The appends of a server, from its metrics.
#[derive(Debug, Clone, Default)]
pub struct Appends {
    /// Number of appends.
    count: f64,
    /// Number of attempts that came too late.
    behind: f64,
    /// Upper bounds of durations in seconds, with the number of appends up to each.
    buckets: Vec<(f64, f64)>,
}

impl Appends {
    /// The appends of one server so far.
    pub async fn of(server: &Address) -> Fallible<Self> {
        let answer = Http::connect(server.socket).await?.get("/metrics", None).await?;
        let text = std::str::from_utf8(&answer.body)?;
        let mut found = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            if let Some(bound) = name.strip_prefix("happierwork_append_seconds_bucket{le=\"") {
                let bound = bound.trim_end_matches("\"}").parse().unwrap_or(f64::INFINITY);
                found.buckets.push((bound, value));
            } else if name == "happierwork_append_seconds_count" {
                found.count = value;
            } else if name == "happierwork_appends_behind_total" {
                found.behind = value;
            }
        }
        if found.buckets.is_empty() {
            return Err("the metrics do not tell the durations of appends".into());
        }
        Ok(found)
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.behind += other.behind;
        self.buckets.resize(other.buckets.len(), (0.0, 0.0));
        for (sum, (bound, count)) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = (*bound, sum.1 + count);
        }
    }

    /// The appends since an earlier time.
    pub fn since(&self, before: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&before.buckets);
        Self {
            count: self.count - before.count,
            behind: self.behind - before.behind,
            buckets: buckets.map(|(now, before)| (now.0, now.1 - before.1)).collect(),
        }
    }

    /// Attempts per append; 1 if no other server was ever first.
    pub fn tries(&self) -> f64 {
        1.0 + self.behind / self.count
    }

    /// The duration in milliseconds that this fraction of the appends does not exceed. Assumes that durations are evenly
    /// distributed within a bucket.
    pub fn percentile_ms(&self, part: f64) -> f64 {
        let rank = self.count * part;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= rank && *count > below {
                let place = (rank - below) / (count - below);
                return if bound.is_finite() { (low + (bound - low) * place) * 1e3 } else { low * 1e3 };
            }
            (low, below) = (*bound, *count);
        }
        f64::NAN
    }
}
