//! The command line.

use std::{path::PathBuf, str::FromStr};

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use dv_proto::Addresses;
use dv_types::{HostName, InvalidName, ReleaseId, RolloutId, ServiceName, Span, Version};

use crate::{exit::Exit, output::Format};

/// Rolls new versions of services through a fleet of hosts, and back.
#[derive(Debug, Parser)]
#[command(name = "dvctl", version, after_long_help = exit_codes(), max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// The file that says where the coordinator is and who you are [default: ~/.config/dv/context.yaml]
    #[arg(long, global = true, env = "DV_CONTEXT", value_name = "FILE")]
    pub(crate) context: Option<PathBuf>,
    /// Other addresses of coordinators than the context's: host:port, several with a comma between
    #[arg(long, global = true, env = "DV_COORDINATOR", value_name = "ADDRESSES")]
    pub(crate) coordinator: Option<Addresses>,
    /// The form of what is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// No colours; so does the variable NO_COLOR
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a manifest, or a release with its manifests, offline
    Validate {
        /// The manifest, or the file of a release of several services
        manifest: PathBuf,
    },
    /// Show what a rollout would do, and change nothing
    Plan(Release),
    /// Start, follow and steer rollouts
    #[command(subcommand)]
    Rollout(Rollout),
    /// Take a service back to what its hosts ran before its last rollout
    Rollback(Rollback),
    /// List the fleet
    Hosts {
        #[command(subcommand)]
        what: Option<Hosts>,
    },
    /// List the operators
    Operators {
        #[command(subcommand)]
        what: Option<Operators>,
    },
    /// Show the certificate authority, and who depends on which
    Ca {
        #[command(subcommand)]
        what: Option<Ca>,
    },
    /// Let agents in
    #[command(subcommand)]
    Agent(Agent),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the JSON Schema of manifests
    Schema,
    /// Print the exit codes and what they mean
    #[command(long_about = exit_codes())]
    ExitCodes,
}

/// Which rollout is taken back, and how.
#[derive(Debug, ClapArgs)]
pub(crate) struct Rollback {
    /// The service, or the rollout or release that is to be taken back [default: the only service there is]
    #[arg(value_name = "SERVICE|ID")]
    pub(crate) what: Option<String>,
    /// Show what would be done, with what becomes of the database and why, and change nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// All hosts at once instead of in the manifest's batches
    #[arg(long)]
    pub(crate) all_at_once: bool,
    /// Leave the database as it is, whatever was migrated
    #[arg(long, group = "database")]
    pub(crate) code_only: bool,
    /// Take migrations back although that loses data
    #[arg(long, group = "database")]
    pub(crate) accept_data_loss: bool,
    /// Restore the backup that the rollout made: what was written since is lost
    #[arg(long, group = "database")]
    pub(crate) restore_backup: bool,
    /// With --restore-backup: the rollout that is taken back, like r42, instead of typing it when asked
    #[arg(long, value_name = "ID", requires = "restore_backup")]
    pub(crate) confirm: Option<RolloutId>,
    /// Why; it is kept in the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Sign the way back's own plan with this SSH key: what was signed with the rollout has expired, or takes back too little
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) follow: Follow,
    /// Start it and don't follow it
    #[arg(long)]
    pub(crate) detach: bool,
}

/// How a plan is signed.
#[derive(Debug, ClapArgs)]
pub(crate) struct Signing {
    /// Sign the plan with this SSH key; where ssh-agent holds it, the file of its public half will do
    #[arg(long, env = "DV_SIGN_KEY", value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    /// How long what is signed may be begun
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) valid_for: Span,
}

/// Whether something that happens once was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Answer {
    /// It was.
    Done,
    /// It was not, and may be done now.
    NotDone,
}

/// A manifest, or a release of several, and a version of it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Release {
    /// The manifest, or the file of a release of several services
    pub(crate) manifest: PathBuf,
    /// The version that goes out
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) version: Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rollout {
    /// Bring a version to every host of a manifest, and follow it
    Start {
        #[command(flatten)]
        release: Release,
        /// Start it and don't follow it
        #[arg(long)]
        detach: bool,
        /// Start although this version was rolled back before
        #[arg(long, requires = "reason")]
        force: bool,
        /// Why; it is kept in the record
        #[arg(long)]
        reason: Option<String>,
        /// Refuse if the plan is no longer the one of this hash
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        /// Go on in spite of what a gate says
        #[arg(long = "override", value_name = "GATE", requires = "reason")]
        overrides: Vec<String>,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        follow: Follow,
    },
    /// Follow a rollout to its end
    Watch {
        #[command(flatten)]
        which: Any,
        #[command(flatten)]
        follow: Follow,
    },
    /// Show where a rollout stands
    Status(Any),
    /// Begin no further host; hosts that have begun go on to their end
    Pause(Said),
    /// Go on; failures so far are forgiven
    Resume(Said),
    /// Let the hosts after the canary begin
    Promote(Said),
    /// End it here and leave every host as it is
    Abort {
        #[command(flatten)]
        which: Any,
        /// Why; it is kept in the record
        #[arg(long)]
        reason: Option<String>,
    },
    /// Write down everything that happened in a rollout, to attach to a change ticket
    Report(ReportOf),
    /// Say why nothing is happening, and what would end the wait
    Explain(Any),
    /// Try a host again from its first step
    Retry(SaidOfHost),
    /// Leave a host out
    Skip(SaidOfHost),
    /// Go on in spite of what a gate says
    Override {
        /// The rollout, like r42
        id: RolloutId,
        /// The gate
        gate: String,
        /// Why; it is kept in the record
        #[arg(long)]
        reason: String,
    },
    /// Say whether something that happens once was done, where nobody knows
    Resolve {
        /// The rollout, like r42
        id: RolloutId,
        /// What: backup, migrate …
        #[arg(value_name = "STEP")]
        once: String,
        /// Whether it was done
        #[arg(long = "as", value_name = "ANSWER")]
        answer: Answer,
        /// How that is known; it is kept in the record
        #[arg(long)]
        reason: String,
    },
    /// List rollouts, the newest first
    History {
        /// Only this service's
        service: Option<ServiceName>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
}

/// Which rollout is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct Which {
    /// The rollout, like r42 [default: the only unfinished one]
    pub(crate) id: Option<RolloutId>,
}

/// Of which rollout everything is written down, and where.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportOf {
    /// The rollout, like r42 [default: the last one of the only service]
    pub(crate) id: Option<RolloutId>,
    /// The form of the report [default: what FILE's name says, or else text]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) format: Option<ReportFormat>,
    /// The file to write it to, in place of one that is there; - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    /// For a terminal, a mail, a log.
    Text,
    /// For programs.
    Json,
    /// One page for a browser or paper that needs nothing else.
    Html,
}

/// Which rollout or release is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct Any {
    /// The rollout, like r42, or the release, like rel7 [default: the only unfinished rollout]
    pub(crate) id: Option<Target>,
}

/// A rollout or a release.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Rollout(RolloutId),
    Release(ReleaseId),
}

impl FromStr for Target {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.strip_prefix("rel") {
            Some(_) => text.parse().map(Self::Release),
            None => text.parse().map(Self::Rollout),
        }
    }
}

/// Something said to a rollout.
#[derive(Debug, ClapArgs)]
pub(crate) struct Said {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why; it is kept in the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Something said of a host in a rollout.
#[derive(Debug, ClapArgs)]
pub(crate) struct SaidOfHost {
    /// The rollout, like r42
    pub(crate) id: RolloutId,
    /// The host
    pub(crate) host: HostName,
    /// Why; it is kept in the record
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// How a rollout is followed.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct Follow {
    /// Give up after being out of contact for this long
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub(crate) reconnect_timeout: Span,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hosts {
    /// Let a host in no more, from this moment on, until it has a new token
    Revoke {
        /// The host
        host: HostName,
        /// Why; it is kept in the record
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Operators {
    /// Make a further operator, and print its context file
    Add {
        /// Its name
        name: String,
    },
    /// Let an operator in no more, from this moment on, until it is added again
    Revoke {
        /// Its name
        name: String,
        /// Why; it is kept in the record
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Ca {
    /// Make a new one, which issues from now on; the old one is trusted beside it
    Rotate,
    /// Trust the former one no more; refused while somebody depends on it
    Retire {
        /// Also then: those that depend on it are shut out
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Make a single-use, short-lived token with which one host enrols
    Token {
        /// The host
        host: HostName,
        /// A label that the host gets, like zone=a
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// How long it can be used
        #[arg(long, default_value = "30m", value_name = "TIME")]
        ttl: Span,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write KEY=VALUE, like zone=a".to_owned()),
    }
}

fn exit_codes() -> String {
    format!("Exit codes:\n{}", Exit::table())
}
