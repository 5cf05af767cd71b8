//! `generate`: writes the manual pages and the shell completions, which packages contain.

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use clap::CommandFactory;
use clap_complete::Shell;

use super::fail;
use crate::cli::config::{Cli, GenerateArgs};

const PROGRAM: &str = "happierwork";

/// Writes the files and returns the exit code of the process.
pub(super) fn run(args: &GenerateArgs) -> ExitCode {
    match generate(&args.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format_args!("{}: {error}", args.folder.display())),
    }
}

/// Writes one manual page for each command, and the completions of each shell, under the names that `man` and the shells
/// look for.
fn generate(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut Cli::command(), PROGRAM, folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_a_manual_page_and_completions() {
        let folder = tempfile::tempdir().expect("a folder");
        generate(folder.path()).expect("the files");
        let names: BTreeSet<_> = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        for name in ["happierwork.1", "happierwork.bash", "happierwork.fish", "_happierwork"] {
            assert!(names.contains(name), "{name} is not among {names:?}");
        }
        let command = Cli::command();
        for subcommand in command.get_subcommands() {
            let page = format!("happierwork-{}.1", subcommand.get_name());
            assert_eq!(names.contains(&page), !subcommand.is_hide_set(), "{page}");
        }
        let bash = fs::read_to_string(folder.path().join("happierwork.bash")).expect("the completions");
        assert!(bash.contains("--max-document-bytes"));
    }
}
