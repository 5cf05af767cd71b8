//! Flags of the servers that this server dials.

use std::path::PathBuf;

use auth::Documents;
use clap::Args;

use super::ConfigError;
use crate::server::PeerOptions;

/// Stands for a peer without a token.
const NO_TOKEN: &str = "none";

/// Flags of peerings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Peers")]
pub struct PeerArgs {
    /// Dial this automerge-repo server and keep documents in step with it; repeatable (docs/peering.md)
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_PEER", value_delimiter = ',')]
    pub peer: Vec<String>,
    /// Documents to keep in step with peers: comma-separated ids, `default`, or * for all
    #[arg(long, value_name = "LIST", env = "HAPPIERWORK_PEER_DOCUMENTS", default_value = "*")]
    pub peer_documents: Documents,
    /// File with the bearer token for the peer; with several peers one for each, in their order, or `none`. Read again when it
    /// changes
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_PEER_TOKEN_FILE", value_delimiter = ',', requires = "peer")]
    pub peer_token_file: Vec<PathBuf>,
    /// Trust these certificates (PEM) of peers, in addition to those that the operating system trusts
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_PEER_CA", requires = "peer")]
    pub peer_ca: Option<PathBuf>,
    /// Allow ws:// to peers on other machines: documents and tokens are sent unencrypted
    #[arg(long, env = "HAPPIERWORK_PEER_UNENCRYPTED", value_parser = clap::builder::BoolishValueParser::new())]
    pub peer_unencrypted: bool,
}

impl PeerArgs {
    /// The servers to dial.
    ///
    /// # Errors
    /// If the number of token files is not that of the peers.
    pub fn options(&self) -> Result<Vec<PeerOptions>, ConfigError> {
        let (peers, files) = (self.peer.len(), self.peer_token_file.len());
        if files != 0 && files != peers {
            return Err(ConfigError::PeerTokenFiles { peers, files });
        }
        let token_files = self.peer_token_file.iter().map(|file| (file.as_os_str() != NO_TOKEN).then(|| file.clone()));
        let peers = self.peer.iter().zip(token_files.chain(std::iter::repeat(None)));
        let options = peers.map(|(url, token_file)| PeerOptions {
            url: url.clone(),
            token_file,
            authorities: self.peer_ca.clone(),
            documents: self.peer_documents.clone(),
            unencrypted: self.peer_unencrypted,
        });
        Ok(options.collect())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::Cli;

    fn peers(flags: &[&str]) -> Result<Vec<PeerOptions>, ConfigError> {
        let cli = Cli::parse_from(["happierwork"].iter().chain(flags));
        cli.serve.peers.options()
    }

    #[test]
    fn each_peer_gets_its_own_token_file() {
        let two = ["--peer", "wss://one.example.com/sync", "--peer", "wss://two.example.com/sync"];
        let token = |flags: &[&str]| -> Vec<Option<PathBuf>> {
            peers(&[&two, flags].concat()).unwrap().into_iter().map(|peer| peer.token_file).collect()
        };
        assert_eq!(token(&[]), [None, None]);
        assert_eq!(token(&["--peer-token-file", "none,two"]), [None, Some(PathBuf::from("two"))]);
        let error = peers(&[&two[..], &["--peer-token-file", "one"]].concat()).unwrap_err();
        assert_eq!(error, ConfigError::PeerTokenFiles { peers: 2, files: 1 });
    }

    #[test]
    fn documents_are_all_or_a_list() {
        let url = ["--peer", "wss://one.example.com/sync"];
        assert_eq!(peers(&url).unwrap()[0].documents, Documents::All);
        let named = peers(&[&url[..], &["--peer-documents", "default"]].concat()).unwrap();
        assert_eq!(named[0].documents.to_string(), "default");
    }
}
