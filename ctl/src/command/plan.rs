//! `dvctl plan`

use dv_types::Release;
use serde_json::json;

use super::validate::{self, Loaded};
use crate::{
    Exit, args,
    client::Client,
    display,
    error::{Error, Result},
    output::Output,
};

/// Shows what a rollout would do.
pub(crate) async fn run(
    release: &args::Release,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    let manifest = match validate::load(&release.manifest, &release.version, output)? {
        Loaded::Manifest(manifest) => manifest,
        Loaded::Release(release) => return self::release(&release, client, output).await,
    };
    let (plan, hash) = client()?.plan(&manifest, &release.version).await?;
    if output.json() {
        output.document(&json!({ "hash": hash, "plan": plan }))?;
    } else {
        output.lines(&display::plan::plan(&plan, &hash))?;
    }
    verdict(plan.errors().count())
}

/// Shows what a release would do, one plan after the other.
async fn release(
    release: &Release,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    let (plans, hash) = client()?.plan_release(release).await?;
    if output.json() {
        output.document(&json!({ "hash": hash, "plans": plans }))?;
    } else {
        output.lines(&display::release::plan(release, &plans, &hash))?;
    }
    verdict(plans.iter().map(|plan| plan.errors().count()).sum())
}

fn verdict(errors: usize) -> Result<Exit> {
    match errors {
        0 => Ok(Exit::Succeeded),
        n => Err(Error::refused(format!(
            "the plan has {}: a rollout by it would be refused",
            display::words::count(n, "error")
        ))),
    }
}
