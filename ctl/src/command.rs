//! The commands, one file each; steering a rollout shares one.

mod authority;
mod history;
mod hosts;
mod operate;
mod operators;
mod plan;
mod release;
mod renewal;
mod report;
mod rollback;
mod show;
mod sign;
mod start;
mod token;
mod validate;
mod which;

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use dv_types::record::Verb;

use crate::{
    Exit,
    args::{
        Agent, Answer, Any, Args, Command, Global, Hosts, Operators, Rollout, Said, Target, Which,
    },
    client::{Client, IsOld},
    context::Context,
    error::{Error, Result},
    follow::Follower,
    manifest,
    output::Output,
};

/// Does what the command line says.
pub(crate) fn run(args: Args, output: &Output) -> Result<Exit> {
    match args.command {
        Command::Validate { manifest } => validate::run(&manifest, output),
        Command::Schema => {
            output.document(&manifest::schema()).map(|()| Exit::Succeeded).map_err(Into::into)
        }
        Command::ExitCodes => {
            output.text(&Exit::table()).map(|()| Exit::Succeeded).map_err(Into::into)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "dvctl", &mut script);
            output.text(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Succeeded)
        }
        online => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(ask(online, &args.global, output)),
    }
}

async fn ask(command: Command, global: &Global, output: &Output) -> Result<Exit> {
    // What can be wrong here is said before the coordinator is asked.
    let context = || {
        let mut context = Context::read(global.context.as_deref())?;
        if let Some(addresses) = &global.coordinator {
            context.coordinator = addresses.clone();
        }
        Ok::<_, Error>(context)
    };
    let is_old = IsOld::default();
    let client = || Ok(Client::new(&context()?)?.noting(&is_old));
    let done = answer(command, &context, client, output).await;
    if is_old.get() {
        renewal::renew(context()?, output).await;
    }
    done
}

async fn answer(
    command: Command,
    context: impl Fn() -> Result<Context>,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    match command {
        Command::Plan(release) => plan::run(&release, client, output).await,
        Command::Rollback(back) => rollback::run(back, &client()?, output).await,
        Command::Hosts { what: None } => hosts::run(&client()?, output).await,
        Command::Hosts { what: Some(Hosts::Revoke { host, reason }) } => {
            hosts::revoke(&host, &reason, &client()?, output).await
        }
        Command::Operators { what: None } => operators::list(&client()?, output).await,
        Command::Operators { what: Some(Operators::Add { name }) } => {
            operators::add(&name, &context()?, &client()?, output).await
        }
        Command::Operators { what: Some(Operators::Revoke { name, reason }) } => {
            operators::revoke(&name, &reason, &client()?, output).await
        }
        Command::Ca { what } => authority::run(what, &client()?, output).await,
        Command::Agent(Agent::Token { host, labels, ttl }) => {
            token::run(&host, labels, ttl, &client()?, output).await
        }
        Command::Rollout(rollout) => self::rollout(rollout, client, output).await,
        Command::Validate { .. }
        | Command::Schema
        | Command::ExitCodes
        | Command::Completions { .. } => unreachable!("done offline"),
    }
}

async fn rollout(
    command: Rollout,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    match command {
        Rollout::Start { release, detach, force, reason, plan, overrides, signing, follow } => {
            let start =
                start::Start { release, detach, force, reason, plan, overrides, signing, follow };
            start::run(start, client, output).await
        }
        Rollout::Watch { which, follow } => {
            let client = client()?;
            let patience = follow.reconnect_timeout;
            let follower = Follower { client: &client, output, patience, begun: false };
            match which.id {
                Some(Target::Release(id)) => follower.follow_release(id, BTreeSet::new()).await,
                which => follower.follow(which::any(&client, which).await?).await,
            }
        }
        Rollout::Status(Any { id: Some(Target::Release(id)) }) => {
            release::status(&client()?, id, output).await
        }
        Rollout::Explain(Any { id: Some(Target::Release(id)) }) => {
            release::explain(&client()?, id, output).await
        }
        Rollout::Status(which) => {
            let client = client()?;
            let id = which::any(&client, which.id).await?;
            show::status(&client, id, output).await
        }
        Rollout::Explain(which) => {
            let client = client()?;
            let id = which::any(&client, which.id).await?;
            show::explain(&client, id, output).await
        }
        Rollout::Report(of) => report::run(of, &client()?, output).await,
        Rollout::History { service, limit } => {
            history::run(&client()?, service.as_ref(), limit, output).await
        }
        Rollout::Pause(said) => operate::run(&client()?, said, Verb::Pause, output).await,
        Rollout::Resume(said) => operate::run(&client()?, said, Verb::Resume, output).await,
        Rollout::Promote(said) => operate::run(&client()?, said, Verb::Promote, output).await,
        Rollout::Abort { which: Any { id: Some(Target::Release(id)) }, reason } => {
            release::abort(&client()?, id, reason, output).await
        }
        Rollout::Abort { which, reason } => {
            let client = client()?;
            let id = Some(which::any(&client, which.id).await?);
            operate::run(&client, Said { which: Which { id }, reason }, Verb::Abort, output).await
        }
        Rollout::Retry(said) => {
            let verb = Verb::Retry { host: said.host.clone() };
            operate::run(&client()?, said.into(), verb, output).await
        }
        Rollout::Override { id, gate, reason } => {
            let said = Said { which: Which { id: Some(id) }, reason: Some(reason) };
            operate::run(&client()?, said, Verb::Override { gate }, output).await
        }
        Rollout::Resolve { id, once, answer, reason } => {
            let said = Said { which: Which { id: Some(id) }, reason: Some(reason) };
            let verb = Verb::Resolve { once, done: answer == Answer::Done };
            operate::run(&client()?, said, verb, output).await
        }
        Rollout::Skip(said) => {
            let verb = Verb::Skip { host: said.host.clone() };
            operate::run(&client()?, said.into(), verb, output).await
        }
    }
}
