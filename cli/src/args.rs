//! The command line as typed.
//!
//! Two things are settled before clap reads it. Global flags go to the front wherever they
//! stand, because what follows `update` is read later, by flags that only the host knows. And
//! `adapter NAME settings` becomes `adapter settings NAME`, so that both spellings work.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use dittofs_api::{MAX_ATTRIBUTE_CACHE_MS, NOBODY};

/// Administers a DittoFS host.
#[derive(Debug, Parser)]
#[command(
    name = "dfsctl",
    version,
    propagate_version = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that may stand anywhere.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The host's REST address, such as http://127.0.0.1:8080 [default: the host on this machine]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DITTOFS_SERVER",
        hide_env_values = true
    )]
    pub(crate) server: Option<String>,
    /// The administrator's token [default: the one in the state directory]
    #[arg(long, global = true, env = "DITTOFS_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The state directory of the host on this machine
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "DITTOFS_STATE_DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// How to print the answer
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Format,
    /// Print without colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Show each request on stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// How answers are printed: for people, or as the host sent them. (Without documentation at
/// the variants, which would make clap's help three times as long.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show whether the host serves, its adapters and its shares
    Status,
    /// Protocol adapters: list, switch, configure
    #[command(subcommand)]
    Adapter(AdapterCommand),
    /// Exported file systems
    #[command(subcommand)]
    Share(ShareCommand),
    /// The time after a restart in which clients take back what they had
    #[command(subcommand)]
    Grace(GraceCommand),
    /// Clients of the adapters
    #[command(subcommand)]
    Client(ClientCommand),
    /// Copies that the host makes for clients in the background
    #[command(subcommand)]
    Copy(CopyCommand),
    /// Print a completion script
    Completion {
        /// The shell that is to read it
        shell: Shell,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GraceCommand {
    /// Show whether there is such a time now, and how long it lasts yet
    Status,
    /// End it now; clients that have not taken back what they had lose it
    End,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// List the clients
    List(Protocol),
    /// Take away all that a client has: its opens and locks
    Disconnect {
        /// The client, as `dfsctl client list` names it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        protocol: Protocol,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CopyCommand {
    /// List the copies, and how far they are
    List(Protocol),
    /// End a copy; what was copied stays, and its client may copy the rest by itself
    Cancel {
        /// The copy, as `dfsctl copy list` names it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        protocol: Protocol,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Protocol {
    /// Only those of this adapter
    #[arg(long, value_name = "NAME")]
    pub(crate) protocol: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    /// List the adapters
    List,
    /// Show one adapter
    Show(AdapterName),
    /// Start an adapter, now and whenever the host starts
    Enable(AdapterName),
    /// Stop an adapter, now and whenever the host starts
    Disable(AdapterName),
    /// Stop an adapter and start it again
    Restart(AdapterName),
    /// Show a view of a running adapter's inside, such as what it serves now
    Inspect {
        #[command(flatten)]
        adapter: AdapterName,
        /// The view; which there are is the adapter's affair
        view: String,
    },
    /// Show and change an adapter's settings
    Settings {
        #[command(flatten)]
        adapter: AdapterName,
        #[command(subcommand)]
        command: SettingsCommand,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AdapterName {
    /// The adapter, as `dfsctl adapter list` names it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show the settings, by group; `*` marks what was changed, `!` what this run overrides
    Show,
    /// Change settings; `dfsctl adapter settings NAME update --help` lists the adapter's flags
    #[command(disable_help_flag = true)]
    Update {
        /// Flags made of the adapter's schema, and --dry-run
        #[arg(
            value_name = "FLAGS",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<OsString>,
    },
    /// Set all settings, or one, back to the default
    Reset {
        /// The one, as `show` names it
        #[arg(long, value_name = "FIELD")]
        setting: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShareCommand {
    /// List the shares
    List,
    /// Show one share
    Show(ShareName),
    /// Export a directory, or memory
    Create(ShareCreate),
    /// Stop exporting; what was exported stays where it is
    Remove(ShareName),
}

#[derive(Debug, Args)]
pub(crate) struct ShareName {
    /// The path under which clients see it, such as /export
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct ShareCreate {
    #[command(flatten)]
    pub(crate) share: ShareName,
    #[command(flatten)]
    pub(crate) source: Source,
    /// For how many milliseconds the host may tell attributes of a directory's files again without a look;
    /// changes by other programs on its machine are seen so much later
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_ATTRIBUTE_CACHE_MS)),
        conflicts_with = "memory"
    )]
    pub(crate) attribute_cache: u32,
    /// Refuse changes
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Whose requests run as the anonymous user: nobody's, the superuser's or everybody's
    #[arg(long, default_value = "root")]
    pub(crate) squash: Squash,
    /// The user that squashed requests run as
    #[arg(long, value_name = "UID", default_value_t = NOBODY)]
    pub(crate) anonymous_uid: u32,
    /// The group that squashed requests run as
    #[arg(long, value_name = "GID", default_value_t = NOBODY)]
    pub(crate) anonymous_gid: u32,
    /// Networks that may use it, such as 10.0.0.0/8,192.168.1.7/32 [default: every one]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    pub(crate) clients: Vec<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Source {
    /// A directory of the host's machine
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// Memory, gone when the host stops
    #[arg(long)]
    pub(crate) memory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Squash {
    None,
    Root,
    All,
}

/// Reads a command line, the program's name first.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words = in_order(words.into_iter().collect());
    let plain = words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--no-color");
    let color = if plain {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    Cli::from_arg_matches(&Cli::command().color(color).try_get_matches_from(words)?)
}

/// The same command line with the global flags in front and the adapter's name last.
fn in_order(words: Vec<OsString>) -> Vec<OsString> {
    let cli = Cli::command();
    let globals: Vec<&Arg> = cli
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .collect();
    let mut words = words.into_iter();
    let (mut front, mut rest) = (Vec::from_iter(words.next()), Vec::new());
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word);
            rest.extend(words.by_ref());
            break;
        }
        match global(&globals, &word) {
            Some(Word::Alone) => front.push(word),
            Some(Word::WithNext) => front.extend([Some(word), words.next()].into_iter().flatten()),
            None => rest.push(word),
        }
    }
    if let [adapter, name, settings, ..] = rest.as_mut_slice()
        && adapter == "adapter"
        && settings == "settings"
        && cli
            .find_subcommand("adapter")
            .is_some_and(|adapter| adapter.find_subcommand(&*name).is_none())
    {
        std::mem::swap(name, settings);
    }
    front.append(&mut rest);
    front
}

/// How a word that is a global flag takes its value.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// It has none, or has it in itself.
    Alone,
    /// It is the next word.
    WithNext,
}

fn global(globals: &[&Arg], word: &OsStr) -> Option<Word> {
    let word = word.to_str()?;
    let takes_value = |arg: &&Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long
            .split_once('=')
            .map_or((long, None), |(name, value)| (name, Some(value)));
        let arg = globals.iter().find(|arg| arg.get_long() == Some(name))?;
        return Some(if takes_value(arg) && value.is_none() {
            Word::WithNext
        } else {
            Word::Alone
        });
    }
    let mut letters = word
        .strip_prefix('-')
        .filter(|letters| !letters.is_empty())?
        .chars();
    while let Some(letter) = letters.next() {
        let arg = globals.iter().find(|arg| arg.get_short() == Some(letter))?;
        if takes_value(arg) {
            return Some(if letters.as_str().is_empty() {
                Word::WithNext
            } else {
                Word::Alone
            });
        }
    }
    Some(Word::Alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(line: &str) -> String {
        let words = in_order(line.split(' ').map(OsString::from).collect());
        words.join(OsStr::new(" ")).into_string().unwrap()
    }

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_anywhere() {
        assert_eq!(
            ordered(
                "dfsctl adapter settings x update --a-b 3 -o json --server=u --c d -vojson --token t"
            ),
            "dfsctl -o json --server=u -vojson --token t adapter settings x update --a-b 3 --c d"
        );
        assert_eq!(
            ordered("dfsctl share show -- -v"),
            "dfsctl share show -- -v"
        );
        assert_eq!(ordered("dfsctl status -o"), "dfsctl -o status");
    }

    #[test]
    fn the_adapter_may_stand_before_settings() {
        for line in [
            "dfsctl adapter x settings show -v",
            "dfsctl -v adapter settings x show",
        ] {
            let cli = parsed(line).unwrap();
            let Command::Adapter(AdapterCommand::Settings { adapter, .. }) = cli.command else {
                panic!("{cli:?}")
            };
            assert_eq!((adapter.name.as_str(), cli.global.verbose), ("x", true));
        }
    }

    #[test]
    fn words_after_update_are_left_for_the_schema() {
        let cli =
            parsed("dfsctl adapter x settings update --help --dry-run -o yaml --n 1").unwrap();
        let Command::Adapter(AdapterCommand::Settings { command, .. }) = cli.command else {
            panic!()
        };
        let SettingsCommand::Update { words } = command else {
            panic!("{command:?}")
        };
        assert_eq!(words, ["--help", "--dry-run", "--n", "1"]);
        assert_eq!(cli.global.output, Format::Yaml);
    }

    #[test]
    fn a_share_is_either_a_directory_or_memory() {
        assert!(parsed("dfsctl share create /s --memory").is_ok());
        assert!(parsed("dfsctl share create /s --path /d").is_ok());
        assert!(parsed("dfsctl share create /s").is_err());
        assert!(parsed("dfsctl share create /s --memory --path /d").is_err());
    }

    #[test]
    fn a_directory_alone_has_an_attribute_cache() {
        let bound = |flags: &str| {
            let cli = parsed(&format!("dfsctl share create /s {flags}"))?;
            let Command::Share(ShareCommand::Create(create)) = cli.command else {
                panic!()
            };
            Ok::<u32, clap::Error>(create.attribute_cache)
        };
        assert_eq!(bound("--path /d").unwrap(), 0);
        assert_eq!(bound("--path /d --attribute-cache 60000").unwrap(), 60_000);
        for flags in [
            "--path /d --attribute-cache 60001",
            "--path /d --attribute-cache -1",
            "--path /d --attribute-cache",
            "--memory --attribute-cache 0",
            "--attribute-cache 1",
        ] {
            assert!(bound(flags).is_err(), "{flags}");
        }
    }
}
