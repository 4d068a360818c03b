//! `dvctl rollback`

use std::io::{self, IsTerminal as _};

use dv_types::{
    Plan, ReleaseId, RolloutId, ServiceName, Span,
    plan::{Kind, Wish},
};

use super::{sign, start::detached, which};
use crate::{
    Exit,
    args::Rollback,
    client::{Back, Client},
    display::{
        self,
        line::{Line, warning},
    },
    error::{Error, Result},
    follow::Follower,
    output::Output,
};

/// How long a way back that was signed for itself may be begun.
const VALID: Span = Span::from_secs(86_400);

/// Plans a rollback, says what becomes of the database, starts it, and follows it.
pub(crate) async fn run(asked: Rollback, client: &Client, output: &Output) -> Result<Exit> {
    let release = asked.what.as_deref().and_then(|what| what.parse::<ReleaseId>().ok());
    if let Some(id) = release {
        return super::release::roll_back(id, asked, client, output).await;
    }
    let (rollout, service) = match asked.what.as_deref() {
        None => (None, Some(which::only_service(client).await?)),
        Some(what) => target(what)?,
    };
    let wish = Wish {
        by_person: true,
        all_at_once: asked.all_at_once,
        code_only: asked.code_only,
        accept_data_loss: asked.accept_data_loss,
        restore_backup: asked.restore_backup,
    };
    let mut back = Back {
        rollout,
        service: service.as_ref().map(ServiceName::as_str),
        wish,
        reason: asked.reason.as_deref(),
        signed: None,
    };
    let (plan, hash, release) = client.plan_roll_back(&back).await?;
    if asked.plan {
        match output.json() {
            true => output.document(&plan)?,
            false => output.lines(&display::plan::plan(&plan, &hash))?,
        }
        return Ok(Exit::Succeeded);
    }
    if let Some(release) = release {
        let what =
            format!("the rollout is part of {release}, and only {} goes back: ", plan.service);
        let all = format!("all of it goes back with dvctl rollback {release}");
        output.warn(&Line::of(warning(), what).plain(all));
    }
    if let Some(database) = &plan.database {
        output.remark(&display::plan::database(database));
    }
    if asked.restore_backup {
        confirm(&plan, asked.confirm, output)?;
    }
    // What was shown, and confirmed, is what goes back: another rollout may have begun meanwhile.
    if let Kind::Reversal { of } = plan.kind {
        (back.rollout, back.service) = (Some(of), None);
    }
    if let Some(key) = &asked.sign_key {
        back.signed = Some(sign::sign(&plan, key, VALID, output)?);
    }
    let (id, of) = client.roll_back(&back).await?;
    output.remark(&format!("{of} is taken back by {id}"));
    if asked.detach {
        return detached("rollout", id, output);
    }
    let patience = asked.follow.reconnect_timeout;
    Follower { client, output, patience, begun: true }.follow(id).await
}

/// A backup is restored only by somebody who names the rollout that made it.
fn confirm(plan: &Plan, said: Option<RolloutId>, output: &Output) -> Result<()> {
    let Kind::Reversal { of } = plan.kind else { return Ok(()) };
    let said = match said {
        Some(said) => said.to_string(),
        None if io::stdin().is_terminal() => {
            output.warn(&Line::of(
                warning(),
                format!("What was written since the backup of {of} is lost. Type {of} to go on:"),
            ));
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            line.trim().to_owned()
        }
        None => {
            return Err(Error::usage(format!(
                "--restore-backup loses what was written since the backup: confirm it with --confirm {of}"
            )));
        }
    };
    if said == of.to_string() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{said:?} is not {of}, the rollout that is taken back: nothing is done"
    )))
}

/// `r42` is a rollout; every other name is a service's.
fn target(what: &str) -> Result<(Option<RolloutId>, Option<ServiceName>)> {
    let number = what.strip_prefix('r').unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        let id = what.parse().map_err(|e| Error::usage(format!("{e}")))?;
        return Ok((Some(id), None));
    }
    match ServiceName::new(what) {
        Ok(service) => Ok((None, Some(service))),
        Err(_) => Err(Error::usage(format!(
            "{what:?} is neither a rollout, like r42, nor a release, like rel7, nor the name of a service"
        ))),
    }
}
