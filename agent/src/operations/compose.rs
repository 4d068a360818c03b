//! Bring a compose project up, with whichever of the two tools the host has.

use std::path::Path;

use dv_types::OpResult;

use super::{Attempt, Context, Ended, failed};
use crate::{
    limits::{Limits, Stop},
    process::{self, Finished, Program},
};

/// The plugin first: where both are, it is the newer one.
const TOOLS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

pub(super) async fn up(context: &Context, project: &str) -> Ended {
    let directory = match context.policy.compose.get(project) {
        Some(listed) => &listed.directory,
        None => return Err(failed(format!("no compose project {project} in the policy"))),
    };
    let tool = tool(context, &context.limits).await?;
    let finished = compose(context, tool, Some(directory), &["-p", project, "up", "-d"]).await?;
    let result = match finished.stopped {
        Some(Stop::TimedOut(limit)) => {
            OpResult::TimedOut(process::stopped_words(limit, finished.leftovers))
        }
        Some(Stop::Cancelled) => OpResult::Cancelled,
        None if finished.is_success() => OpResult::Done,
        None => OpResult::Failed(format!(
            "{} up ended with {}{}",
            tool.join(" "),
            finished.why(),
            finished.last_line().map(|line| format!(": {line}")).unwrap_or_default()
        )),
    };
    Ok(Attempt::from(result).with_output(finished.output))
}

async fn tool(context: &Context, limits: &Limits) -> Result<&'static [&'static str], Attempt> {
    for tool in TOOLS {
        let program = arguments(tool, &["version"]);
        let program =
            Program { argv: &program, directory: None, environment: &[], on_output: None };
        match process::run(program, limits).await {
            Ok(finished) if finished.is_success() => {
                tracing::debug!(tool = tool.join(" "), project = ?context.policy.compose.keys(), "compose");
                return Ok(tool);
            }
            Ok(Finished { stopped: Some(stop), .. }) => return Err(stop.into()),
            _ => {}
        }
    }
    Err(failed("this host has neither `docker compose` nor `docker-compose`: install one of them"))
}

async fn compose(
    context: &Context,
    tool: &[&str],
    directory: Option<&Path>,
    rest: &[&str],
) -> Result<Finished, Attempt> {
    let engine = context.config.docker_socket.as_ref().map(|s| format!("unix://{}", s.display()));
    let environment: Vec<_> = engine.iter().map(|host| ("DOCKER_HOST", host.as_str())).collect();
    let say = |line: &str| context.progress.say(line);
    let argv = arguments(tool, rest);
    let program =
        Program { argv: &argv, directory, environment: &environment, on_output: Some(&say) };
    process::run(program, &context.limits).await.map_err(|e| match directory {
        Some(directory) => {
            failed(format!("can't run {} in {}: {e}", tool.join(" "), directory.display()))
        }
        None => failed(format!("can't run {}: {e}", tool.join(" "))),
    })
}

fn arguments(tool: &[&str], rest: &[&str]) -> Vec<String> {
    tool.iter().chain(rest).map(|&word| word.to_owned()).collect()
}
