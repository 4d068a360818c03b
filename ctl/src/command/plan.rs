//! `dvctl plan`

use serde_json::json;

use super::validate;
use crate::{
    Exit,
    args::Release,
    client::Client,
    display,
    error::{Error, Result},
    output::Output,
};

/// Shows what a rollout would do.
pub(crate) async fn run(
    release: &Release,
    client: impl Fn() -> Result<Client>,
    output: &Output,
) -> Result<Exit> {
    let manifest = validate::load(&release.manifest, output)?;
    let (plan, hash) = client()?.plan(&manifest, &release.version).await?;
    if output.json() {
        output.document(&json!({ "hash": hash, "plan": plan }))?;
    } else {
        output.lines(&display::plan::plan(&plan, &hash))?;
    }
    match plan.errors().count() {
        0 => Ok(Exit::Succeeded),
        n => Err(Error::refused(format!(
            "the plan has {}: a rollout by it would be refused",
            display::words::count(n, "error")
        ))),
    }
}
