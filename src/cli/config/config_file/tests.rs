use clap::Parser;

use super::*;

/// The page with the complete example.
const PAGE: &str = include_str!("../../../../docs/configuration.md");

fn keys(text: &str) -> Vec<(String, Vec<Option<String>>)> {
    let settings = parse(&Cli::command(), text).unwrap_or_else(|error| panic!("{error:?}"));
    settings.into_iter().map(|setting| (setting.key, setting.values)).collect()
}

fn refused(text: &str) -> (usize, String) {
    let InvalidLine { line, reason } = parse(&Cli::command(), text).expect_err(text);
    (line, reason)
}

/// The command line of these arguments and the text of a file, without the environment.
fn completed(arguments: &[&str], text: &str) -> (Vec<String>, bool) {
    let server = Cli::command();
    let settings = parse(&server, text).unwrap_or_else(|error| panic!("{error:?}"));
    let arguments: Vec<OsString> = std::iter::once(&"happierwork").chain(arguments).map(OsString::from).collect();
    let first_pass = without_environment(server.clone()).ignore_errors(true).try_get_matches_from(&arguments);
    let Completed { arguments, has_files } = complete(&server, &first_pass.expect("parses"), &settings, arguments);
    (arguments.into_iter().skip(1).map(|argument| argument.into_string().expect("text")).collect(), has_files)
}

fn without_environment(command: Command) -> Command {
    command.mut_args(|argument| argument.env(Resettable::Reset)).mut_subcommands(without_environment)
}

/// The example of the page.
fn example() -> &'static str {
    PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example")
}

/// The lines of the example that are not in use: alternatives to those that are.
fn alternatives() -> impl Iterator<Item = &'static str> {
    let line = |line: &'static str| line.strip_prefix("# ");
    let is_key = |line: &&str| {
        line.split_once(" = ").is_some_and(|(key, _)| key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')))
    };
    example().lines().filter_map(line).filter(is_key)
}

#[test]
fn example_in_the_docs_is_valid_and_complete() {
    let (arguments, _) = completed(&[], example());
    let cli = Cli::try_parse_from(std::iter::once("happierwork".to_owned()).chain(arguments)).expect("parses");
    cli.serve.options().expect("options");
    let mut shown: Vec<String> = keys(example()).into_iter().map(|(key, _)| key).collect();
    for line in alternatives() {
        shown.extend(keys(line).into_iter().map(|(key, _)| key));
    }
    let server = Cli::command();
    let flags = server.get_arguments().filter_map(Arg::get_long).filter(|name| flag(&server, name).is_some());
    let mut flags: Vec<&str> = flags.collect();
    flags.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, flags, "the example shows each flag once");
}

#[test]
fn values_have_the_types_of_toml() {
    let text = "listen = [\"127.0.0.1:0\", \"[::1]:0\"]\nopen = true\ngrace = 1_0\nfile-mode = \"640\"\n\
                peer-unencrypted = false\nlog-format = 'json'\n";
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(
        keys(text),
        [
            ("listen".to_owned(), vec![some("127.0.0.1:0"), some("[::1]:0")]),
            ("open".to_owned(), vec![None]),
            ("grace".to_owned(), vec![some("10")]),
            ("file-mode".to_owned(), vec![some("640")]),
            ("peer-unencrypted".to_owned(), Vec::new()),
            ("log-format".to_owned(), vec![some("json")]),
        ]
    );
}

#[test]
fn wrong_lines_are_named_with_number_and_reason() {
    for (text, line, words) in [
        ("open = true\nlissen = \"127.0.0.1:0\"\n", 2, &["unknown key `lissen`", "serve --help"][..]),
        ("max_message = 1024", 1, &["unknown key `max_message`", "`max-message`"]),
        ("config = \"other.toml\"", 1, &["unknown key `config`"]),
        ("[tls]\ncert = \"a\"", 1, &["unknown key `tls`"]),
        ("grace = 10\ngrace = 20", 2, &["this is no TOML"]),
        ("\n\nopen = yes", 3, &["this is no TOML"]),
        ("open = \"true\"", 1, &["open: must be true or false"]),
        ("state = true", 1, &["state: must be a text or a whole number"]),
        ("grace = 1.5", 1, &["grace: must be a text or a whole number"]),
        ("file-mode = 0o640", 1, &["file-mode: must be a decimal number"]),
        ("state = [\"a\", \"b\"]", 1, &["state: must be one value"]),
        ("grace = 0", 1, &["grace: ", "1..=3600"]),
        ("log-format = \"xml\"", 1, &["log-format: must be one of text, json"]),
        ("state = \"\"", 1, &["state: must not be empty"]),
        ("# a comment\nlisten = [\"127.0.0.1:0\", \"nonsense\"]", 2, &["listen: "]),
    ] {
        let (at, reason) = refused(text);
        assert_eq!(at, line, "{text:?}: {reason}");
        assert!(words.iter().all(|word| reason.contains(word)), "{text:?}: {reason}");
    }
    let (_, reason) = refused("database = \"https://user:horse@example.com/plans\"");
    assert!(!reason.contains("horse"), "{reason}");
}

#[test]
fn command_line_comes_first() {
    let text = "state = \"file.automerge\"\ngrace = 20\nopen = true";
    let (arguments, has_files) = completed(&["--grace", "5"], text);
    assert_eq!(arguments, ["--grace", "5", "--state=file.automerge", "--open"]);
    assert!(has_files);
}

#[test]
fn contradicting_flags_replace_the_files_keys() {
    let files = "state = \"s\"\ndocuments = \"d\"\nauth = \"a\"\n";
    let database = "database = \"postgres://db/plans\"\ndatabase-listen = \"postgres://direct/plans\"\n";
    for (arguments, text, added, has_files) in [
        (&["--port", "80"][..], "listen = [\"127.0.0.1:0\"]", &[][..], false),
        (&["--database", "sqlite:plans"], files, &["--auth=a"], false),
        (&["--data-dir", "/srv"], files, &[], false),
        (&["--state", "s"], database, &[], false),
        (&["--database", "sqlite:plans"], database, &[], false),
        (&["--peer", "wss://b/sync"], "peer = [\"wss://a/sync\"]\npeer-token-file = [\"token\"]", &[], false),
        (&["--jwks", "keys.json"], "oidc-issuer = \"https://a\"\noidc-client-id = \"b\"", &[], false),
        (&["--oidc-client-id", "c"], "oidc-client-id = \"b\"\noidc-client-secret-file = \"secret\"", &[], false),
        (&["check", "plan.automerge"], database, &[], false),
        (&["check"], database, &["--database=postgres://db/plans"], false),
        (&["import", "data.json"], database, &["--database=postgres://db/plans"], false),
    ] {
        let (completed, found) = completed(arguments, text);
        assert_eq!(completed, [arguments, added].concat(), "{arguments:?} {text:?}");
        assert_eq!(found, has_files, "{arguments:?} {text:?}");
    }
}

#[test]
fn commands_take_the_keys_that_they_know() {
    let text = "listen = [\"127.0.0.1:9\"]\nstate = \"s\"\ndocuments = \"d\"\nauth = \"a\"\ndata-dir = \"/srv\"\n\
                backup = \"/backup\"\nbackup-keep-last = 7";
    for (arguments, added) in [
        (&["document", "list"][..], &["--state=s", "--documents=d", "--data-dir=/srv"][..]),
        (&["user", "list"], &["--auth=a", "--data-dir=/srv"]),
        (&["health"], &["--listen=127.0.0.1:9", "--data-dir=/srv"]),
        (&["restore", "--list"], &["--auth=a", "--data-dir=/srv", "/backup"]),
    ] {
        let (mut completed, _) = completed(arguments, text);
        let given = completed.drain(..arguments.len()).collect::<Vec<_>>();
        completed.sort_unstable();
        let mut added = added.to_vec();
        added.sort_unstable();
        assert_eq!(
            (given, completed),
            (arguments.iter().map(ToString::to_string).collect(), added.iter().map(ToString::to_string).collect())
        );
    }
    // Arguments after `--` are no flags.
    let (completed, _) = completed(&["import", "--", "--data.json"], "state = \"s\"");
    assert_eq!(completed, ["import", "--state=s", "--", "--data.json"]);
    let (completed, _) = self::completed(&["backup"], text);
    assert!(
        completed.ends_with(&["--keep-last=7".to_owned()]) && completed.contains(&"/backup".to_owned()),
        "{completed:?}"
    );
}
