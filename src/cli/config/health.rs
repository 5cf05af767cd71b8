//! Flags of `health`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::DEFAULT_PORTS;

/// Flags of `health`. They default to the variables of the server, as `docker exec` and health checks of containers pass them.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// An address of the server: the first one of its --listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR", env = "HAPPIERWORK_LISTEN", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// The server's --port; ignored if --listen is given
    #[arg(long, value_name = "PORT", env = "PORT", hide_env_values = true)]
    pub port: Option<u16>,
    /// The server's --tls-cert: requires TLS, and this certificate
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Time limit in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
}

impl HealthArgs {
    /// The address to connect to. A server that listens on all addresses also listens on the loopback address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let mut address = match (self.listen.first(), self.port) {
            (Some(address), _) => *address,
            (None, port) => (Ipv4Addr::LOCALHOST, port.unwrap_or(DEFAULT_PORTS[0])).into(),
        };
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }

    /// The time limit.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_the_first_one_of_the_server() {
        let args = |listen: &[&str], port| HealthArgs {
            listen: listen.iter().map(|address| address.parse().expect("an address")).collect(),
            port,
            tls_cert: None,
            timeout: 5,
        };
        for (listen, port, expected) in [
            (&[][..], None, "127.0.0.1:8000"),
            (&[], Some(80), "127.0.0.1:80"),
            (&["0.0.0.0:9000", "10.0.0.1:1"], Some(80), "127.0.0.1:9000"),
            (&["[::]:9000"], None, "[::1]:9000"),
            (&["10.0.0.1:1"], None, "10.0.0.1:1"),
        ] {
            assert_eq!(args(listen, port).address().to_string(), expected);
        }
    }
}
