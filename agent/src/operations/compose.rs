//! Bring a compose project up, with whichever of the two tools the host has.

use std::path::Path;

use dv_types::OpResult;

use super::{Attempt, Context, Ended, Halt, failed};
use crate::{
    limits::Stop,
    policy::ComposeProject,
    process::{self, Finished, Program},
};

/// The plugin first: where both are, it is the newer one.
const TOOLS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

pub(super) async fn up(context: &Context, project: &str) -> Ended {
    let Some(ComposeProject { directory }) = context.policy.compose.get(project) else {
        return Err(failed(format!("no compose project {project} in the policy")));
    };
    up_with(context, &TOOLS, directory, project).await
}

async fn up_with(context: &Context, tools: &[&[&str]], directory: &Path, project: &str) -> Ended {
    let tool = tool(context, tools).await?;
    let argv = arguments(tool, &["-p", project, "up", "-d"]);
    let engine = context.config.docker_socket.as_ref().map(|s| format!("unix://{}", s.display()));
    let environment: Vec<_> = engine.iter().map(|host| ("DOCKER_HOST", host.as_str())).collect();
    let say = |line: &str| context.progress.say(line);
    let program = Program {
        argv: &argv,
        directory: Some(directory),
        environment: &environment,
        on_output: Some(&say),
    };
    let name = tool.join(" ");
    let finished = (context.ports.programs)
        .run(program, &context.limits)
        .await
        .map_err(|e| failed(format!("can't run {name} in {}: {e}", directory.display())))?;
    let result = match finished.stopped {
        Some(Stop::TimedOut(limit)) => {
            OpResult::TimedOut(process::stopped_words(limit, finished.leftovers))
        }
        Some(Stop::Cancelled) => OpResult::Cancelled,
        None if finished.is_success() => OpResult::Done,
        None => OpResult::Failed(match finished.last_line() {
            Some(line) => format!("{name} up ended with {}: {line}", finished.why()),
            None => format!("{name} up ended with {}", finished.why()),
        }),
    };
    Ok(Attempt::from(result).with_output(finished.output))
}

/// Whichever answers.
async fn tool<'a>(context: &Context, tools: &[&'a [&'a str]]) -> Result<&'a [&'a str], Halt> {
    for &tool in tools {
        let argv = arguments(tool, &["version"]);
        let program = Program { argv: &argv, directory: None, environment: &[], on_output: None };
        match context.ports.programs.run(program, &context.limits).await {
            Ok(finished) if finished.is_success() => return Ok(tool),
            Ok(Finished { stopped: Some(stop), .. }) => return Err(stop.into()),
            _ => {}
        }
    }
    Err(failed("this host has neither `docker compose` nor `docker-compose`: install one of them"))
}

fn arguments(tool: &[&str], rest: &[&str]) -> Vec<String> {
    tool.iter().chain(rest).map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests;
