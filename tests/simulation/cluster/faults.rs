//! Faults of the database, the network and the nodes.

use std::time::Duration;

use rand::RngExt;

use super::{Cluster, Trouble, Violation};
use crate::broken::Broken;
use crate::network::{Reach, Weather};

impl Cluster {
    pub(super) fn inject_fault(&mut self) -> Result<(), Violation> {
        let node = self.rng.random_range(0..self.nodes.len());
        match self.rng.random_range(0..18) {
            0..3 => {
                let weather = self.random_weather();
                self.log(|| format!("fault probabilities change: {weather:?}"));
                self.network.lock().weather = weather;
            }
            3 => {
                self.log(|| "calls and hints are reliable again".to_owned());
                self.network.lock().weather = Weather::default();
            }
            4 => {
                let ms = self.rng.random_range(100..12_000);
                let reach = if self.rng.random_bool(0.5) { Reach::Refusing } else { Reach::Silent };
                self.log(|| format!("the database is {reach:?} for {ms} ms"));
                self.network.lock().interrupt(reach, ms);
            }
            5 => {
                let ms = self.rng.random_range(0..5_000);
                self.log(|| format!("the database restarts within {ms} ms"));
                self.network.lock().restart(ms);
            }
            6 => {
                let is_full = self.rng.random_bool(0.3);
                self.log(|| format!("the database is full: {is_full}"));
                self.network.lock().database.set_full(is_full);
            }
            7 => {
                let is_deaf = self.rng.random_bool(0.6);
                self.log(|| format!("node {node} receives no hints: {is_deaf}"));
                self.network.lock().set_deaf(node, is_deaf);
            }
            8 => {
                let is_cut_off = self.rng.random_bool(0.5);
                self.log(|| format!("node {node} is cut off from the database: {is_cut_off}"));
                self.network.lock().set_cut_off(node, is_cut_off);
            }
            9 | 10 => self.crash(node),
            11 | 12 => {
                self.log(|| format!("node {node} is frozen"));
                self.nodes[node].freeze();
            }
            13 => self.thaw(node),
            14..17 if self.trouble == Trouble::Failover => self.fail_over(),
            _ => {
                self.log(|| "the network and the database work again".to_owned());
                self.network.lock().heal();
            }
        }
        Ok(())
    }

    pub(super) fn random_weather(&mut self) -> Weather {
        let mut probability = |most: f64| if self.rng.random_bool(0.4) { self.rng.random::<f64>() * most } else { 0.0 };
        Weather {
            request_lost: probability(0.2),
            answer_lost: probability(0.2),
            late: probability(0.15),
            slow: probability(0.2),
            retry: probability(0.2),
            hint_lost: probability(1.0),
            hint_doubled: probability(0.5),
            hint_late: probability(0.5),
        }
    }

    /// A process crashes at any moment and is restarted.
    pub(super) fn crash(&mut self, node: usize) {
        self.log(|| format!("node {node} crashes and restarts"));
        self.restart(node);
        self.release_forgotten();
    }

    fn restart(&mut self, node: usize) {
        let life = self.nodes[node].life;
        self.network.lock().leave(node);
        self.forget_calls(life);
        self.forget_pairs(life);
        self.forget_role_changes(life);
        self.forget_connections(node);
        self.nodes[node] = self.start(node);
    }

    pub(super) fn thaw(&mut self, node: usize) {
        if self.nodes[node].is_frozen() {
            // The node may have been frozen for minutes.
            if self.rng.random_bool(0.3) {
                let minutes = self.rng.random_range(1..5);
                self.nodes[node].pass(Duration::from_secs(60 * minutes));
            }
            self.log(|| format!("node {node} continues"));
            self.nodes[node].thaw();
        }
    }

    /// A replica without the last transactions takes over.
    fn fail_over(&mut self) {
        let (transactions, ms) = (self.rng.random_range(1..12), self.rng.random_range(0..4_000));
        self.log(|| format!("a failover: {transactions} transactions are forgotten"));
        self.failovers += 1;
        let mut network = self.network.lock();
        network.restart(ms);
        network.database.forget(transactions);
        drop(network);
        self.release_forgotten();
        if self.broken == Broken::NoHealing {
            (0..self.nodes.len()).for_each(|node| self.restart(node));
        }
    }
}
