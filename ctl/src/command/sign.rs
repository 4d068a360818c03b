//! Signing a plan, as git signs a commit: by `ssh-keygen`, so that files, ssh-agent and hardware keys all work.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use dv_rollout::planning::{leaf, signed_hosts};
use dv_types::{
    Operation, Plan, Span, Timestamp, Warrant,
    warrant::{NAMESPACE, SignedWarrant, Tree},
};

use crate::{
    display::words,
    error::{Error, Result},
    output::Output,
};

/// A way back lasts so much longer than the way there.
const BACK: Span = Span::from_secs(6 * 86_400);

/// Says what is signed, and has it signed.
pub(super) fn sign(
    plan: &Plan,
    key: &Path,
    valid_for: Span,
    output: &Output,
) -> Result<SignedWarrant> {
    let hosts = signed_hosts(plan);
    if hosts.is_empty() {
        return Err(Error::refused("the plan has no host, so there is nothing to sign"));
    }
    let tree = Tree::new(hosts.iter().map(|host| leaf(plan, host).text()));
    let made = Timestamp::now();
    let not_after = valid_for.after(made);
    let warrant = Warrant {
        format: Warrant::FORMAT,
        service: plan.service.clone(),
        version: plan.version.clone(),
        kind: plan.kind.clone(),
        plan: plan.hash(),
        made,
        not_before: made.saturating_sub(Warrant::EARLY.get()).unwrap_or(made),
        not_after,
        back_until: BACK.after(not_after),
        hosts: tree.count(),
        root: tree.root(),
    };
    output.remark(&format!(
        "Signing: {} of {} {} on {}, plan {}, until {not_after:.0}",
        plan.kind,
        plan.service,
        plan.version,
        words::count(hosts.len(), "host"),
        &warrant.plan[..12],
    ));
    for meaning in meanings(plan) {
        output.remark(&format!("  {meaning}"));
    }
    let text = warrant.text();
    let signature = ssh_keygen(key, &text)?;
    Ok(SignedWarrant { text, signature })
}

/// What the version stands for: the coordinator and the hosts have said so, and whoever signs may know better.
fn meanings(plan: &Plan) -> Vec<String> {
    let mut meanings = Vec::new();
    for operation in plan.programs.iter().flat_map(|program| &program.operations) {
        let meaning = match operation {
            Operation::PullImage { repository, tag, digest, .. } => {
                format!("{repository}:{tag} is {digest}")
            }
            Operation::Checkout { tree, commit, .. } => format!("{tree} goes to {commit}"),
            _ => continue,
        };
        if !meanings.contains(&meaning) {
            meanings.push(meaning);
        }
    }
    meanings
}

fn ssh_keygen(key: &Path, text: &str) -> Result<String> {
    let shown = key.display();
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| {
            Error::usage(format!("ssh-keygen, which signs the plan, can't be run: {why}"))
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it could not read it says itself.
        let _ = stdin.write_all(text.as_bytes());
    }
    let ended = child.wait_with_output()?;
    let signature = String::from_utf8(ended.stdout).unwrap_or_default();
    if !ended.status.success() || signature.is_empty() {
        return Err(Error::usage(format!(
            "ssh-keygen has not signed the plan with {shown} (its own words are above): give --sign-key the file of a key, or of the \
             public half of one that ssh-agent holds"
        )));
    }
    Ok(signature)
}
