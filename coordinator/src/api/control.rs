//! What operators ask.

use std::{pin::Pin, sync::Arc, time::Duration};

use dv_proto::{
    from_json, to_json,
    v1::{self, control_server::Control, watch_rollout_reply::Message},
};
use dv_types::{
    HostName, Manifest, Plan, ReleaseId, Report, RolloutId, ServiceName, Version,
    plan::{self, Kind},
    record::Verb,
    warrant::SignedWarrant,
};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    authorise::{operator, peer},
    identities,
    wire::invalid,
};
use crate::{
    enrolment::Enrolment,
    operators::Operators,
    planner, releases,
    rollback::{self, Demand, What},
    rollouts::{Rollouts, Sight},
    starter::{self, Wish},
    succession::Succession,
};

/// What a watcher may lag behind before it is waited for; nobody else waits.
const SIGHTS: usize = 64;
/// Characters of a reason.
const REASON: usize = 1000;
const DEFAULT_LIST: usize = 50;
const LONGEST_LIST: usize = 1000;

/// What operators call.
pub struct ControlApi {
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) enrolment: Arc<Enrolment>,
    pub(crate) operators: Arc<Operators>,
}

#[tonic::async_trait]
impl Control for ControlApi {
    async fn plan_rollout(
        &self,
        request: Request<v1::PlanRolloutRequest>,
    ) -> Result<Response<v1::PlanRolloutReply>, Status> {
        operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let manifest: Manifest = from_json("manifest_json", &asked.manifest_json)?;
        let version = Version::new(asked.version).map_err(invalid)?;
        let plan = planner::plan(&self.rollouts, &manifest, &version).await?;
        Ok(Response::new(planned(&plan, None)))
    }

    async fn start_rollout(
        &self,
        request: Request<v1::StartRolloutRequest>,
    ) -> Result<Response<v1::StartRolloutReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let wish = Wish {
            manifest: from_json("manifest_json", &asked.manifest_json)?,
            version: Version::new(asked.version).map_err(invalid)?,
            force: asked.force,
            reason: reason(asked.reason)?,
            overrides: asked.overrides,
            plan_hash: Some(asked.plan_hash).filter(|hash| !hash.is_empty()),
            signed: signed(&asked.warrant_json)?,
            release: None,
            by,
        };
        let rollout = starter::start(&self.rollouts, wish).await?;
        Ok(Response::new(v1::StartRolloutReply { rollout: rollout.to_string() }))
    }

    async fn operate_rollout(
        &self,
        request: Request<v1::OperateRolloutRequest>,
    ) -> Result<Response<v1::OperateRolloutReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let id = rollout(&asked.rollout)?;
        let verb: Verb = from_json("verb_json", &asked.verb_json)?;
        if matches!(verb, Verb::Override { .. }) {
            starter::may_override(&self.rollouts, &by)?;
        }
        self.rollouts.operate(id, by, verb, reason(asked.reason)?).await?;
        Ok(Response::new(v1::OperateRolloutReply {}))
    }

    async fn roll_back(
        &self,
        request: Request<v1::RollBackRequest>,
    ) -> Result<Response<v1::RollBackReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let (what, wish) = (what(&asked)?, wish(&asked)?);
        let signed = signed(&asked.warrant_json)?;
        let demand = Demand { what, wish, by, reason: reason(asked.reason)?, signed };
        let reversal = rollback::roll_back(&self.rollouts, demand).await?;
        Ok(Response::new(v1::RollBackReply {
            rollout: reversal.rollout.to_string(),
            of: reversal.of.to_string(),
        }))
    }

    async fn plan_roll_back(
        &self,
        request: Request<v1::RollBackRequest>,
    ) -> Result<Response<v1::PlanRolloutReply>, Status> {
        operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let plan = rollback::plan(&self.rollouts, &what(&asked)?, wish(&asked)?).await?;
        let release = match plan.kind {
            Kind::Reversal { of } => self.rollouts.book().release_of(of),
            _ => None,
        };
        Ok(Response::new(planned(&plan, release)))
    }

    async fn get_rollout(
        &self,
        request: Request<v1::GetRolloutRequest>,
    ) -> Result<Response<v1::GetRolloutReply>, Status> {
        operator(&self.operators, &request)?;
        let id = rollout(&request.into_inner().rollout)?;
        let report = self.rollouts.report(id).await?;
        let plan = self.rollouts.plan(id).await?;
        let (report_json, plan_json) = (to_json(&report), to_json(&*plan));
        Ok(Response::new(v1::GetRolloutReply { report_json, plan_json }))
    }

    async fn plan_release(
        &self,
        request: Request<v1::PlanReleaseRequest>,
    ) -> Result<Response<v1::PlanReleaseReply>, Status> {
        operator(&self.operators, &request)?;
        let release = from_json("release_json", &request.into_inner().release_json)?;
        let (plans, hash) = releases::plan(&self.rollouts, release).await?;
        let plan_json = plans.iter().map(to_json).collect();
        Ok(Response::new(v1::PlanReleaseReply { plan_json, hash }))
    }

    async fn start_release(
        &self,
        request: Request<v1::StartReleaseRequest>,
    ) -> Result<Response<v1::StartReleaseReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let wish = releases::Wish {
            release: from_json("release_json", &asked.release_json)?,
            force: asked.force,
            reason: reason(asked.reason)?,
            overrides: asked.overrides,
            plan_hash: Some(asked.plan_hash).filter(|hash| !hash.is_empty()),
            by,
        };
        let release = releases::start(&self.rollouts, wish).await?.to_string();
        Ok(Response::new(v1::StartReleaseReply { release }))
    }

    async fn roll_back_release(
        &self,
        request: Request<v1::RollBackReleaseRequest>,
    ) -> Result<Response<v1::RollBackReleaseReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let id: ReleaseId = asked.release.parse().map_err(invalid)?;
        let wish = way([asked.code_only, asked.accept_data_loss, false], asked.all_at_once)?;
        releases::roll_back(&self.rollouts, id, wish, by, reason(asked.reason)?).await?;
        Ok(Response::new(v1::RollBackReleaseReply {}))
    }

    async fn abort_release(
        &self,
        request: Request<v1::AbortReleaseRequest>,
    ) -> Result<Response<v1::AbortReleaseReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let id = asked.release.parse().map_err(invalid)?;
        releases::abort(&self.rollouts, id, &by, reason(asked.reason)?).await?;
        Ok(Response::new(v1::AbortReleaseReply {}))
    }

    async fn get_release(
        &self,
        request: Request<v1::GetReleaseRequest>,
    ) -> Result<Response<v1::GetReleaseReply>, Status> {
        operator(&self.operators, &request)?;
        let id = request.into_inner().release.parse().map_err(invalid)?;
        let report = releases::report(&self.rollouts, id).await?;
        Ok(Response::new(v1::GetReleaseReply { report_json: to_json(&report) }))
    }

    async fn list_releases(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesReply>, Status> {
        operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let ids = releases::list(&self.rollouts, &asked.service, limit(asked.limit));
        let mut report_json = Vec::new();
        for id in ids {
            report_json.push(to_json(&releases::report(&self.rollouts, id).await?));
        }
        Ok(Response::new(v1::ListReleasesReply { report_json }))
    }

    type WatchRolloutStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchRolloutReply, Status>> + Send>>;

    async fn watch_rollout(
        &self,
        request: Request<v1::WatchRolloutRequest>,
    ) -> Result<Response<Self::WatchRolloutStream>, Status> {
        operator(&self.operators, &request)?;
        let peer = peer(&request).cloned();
        let asked = request.into_inner();
        let id = rollout(&asked.rollout)?;
        self.rollouts.book().known(id)?;
        let (watcher, sights) = mpsc::channel(SIGHTS);
        self.rollouts.tasks.spawn(Arc::clone(&self.rollouts).watch(id, asked.after, watcher));
        let replies = ReceiverStream::new(sights).map(|sight| Ok(reply(sight?)));
        Ok(Response::new(identities::while_admitted(&self.operators, peer, replies)))
    }

    async fn list_rollouts(
        &self,
        request: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsReply>, Status> {
        operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let ids: Vec<_> = self
            .rollouts
            .book()
            .newest()
            .filter(|h| asked.service.is_empty() || h.service.as_str() == asked.service)
            .take(limit(asked.limit))
            .map(|header| header.rollout)
            .collect();
        let mut report_json = Vec::new();
        for id in ids {
            report_json.push(to_json(&self.rollouts.summary(id).await?));
        }
        let dropped = self.rollouts.book().count_dropped(&asked.service) as u32;
        Ok(Response::new(v1::ListRolloutsReply { report_json, dropped }))
    }

    async fn list_hosts(
        &self,
        request: Request<v1::ListHostsRequest>,
    ) -> Result<Response<v1::ListHostsReply>, Status> {
        operator(&self.operators, &request)?;
        let view = self.rollouts.fleet.view();
        let book = self.rollouts.book();
        let hosts = view
            .into_iter()
            .map(|host| v1::Host {
                services: book
                    .on_host(&host.name)
                    .map(|(service, left)| v1::HostService {
                        service: service.to_string(),
                        version: left.version.as_ref().map(Version::to_string).unwrap_or_default(),
                        rollout: left.rollout.to_string(),
                    })
                    .collect(),
                name: host.name.into(),
                labels: host.labels.into_iter().collect(),
                connected: host.connected,
                since: host.since.map(|since| since.to_string()).unwrap_or_default(),
                agent_version: host.agent_version,
                certificate_until: host
                    .certificate_until
                    .map(|until| until.to_string())
                    .unwrap_or_default(),
                revoked: host.revoked.map(identities::revocation),
            })
            .collect();
        Ok(Response::new(v1::ListHostsReply { hosts }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let host = HostName::new(asked.host).map_err(invalid)?;
        let life = Duration::from_secs(asked.ttl_seconds.into());
        let labels = asked.labels.into_iter().collect();
        let (token, expires) = self.enrolment.create_token(host, labels, life, by).await?;
        let (token, expires) = (token.to_string(), expires.to_string());
        Ok(Response::new(v1::CreateTokenReply { token, expires }))
    }

    async fn revoke_host(
        &self,
        request: Request<v1::RevokeHostRequest>,
    ) -> Result<Response<v1::RevokeHostReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        let host = HostName::new(asked.host).map_err(invalid)?;
        let was_connected = self.enrolment.revoke(&host, by, why(asked.reason)?).await?;
        Ok(Response::new(v1::RevokeHostReply { was_connected }))
    }

    async fn list_operators(
        &self,
        request: Request<v1::ListOperatorsRequest>,
    ) -> Result<Response<v1::ListOperatorsReply>, Status> {
        operator(&self.operators, &request)?;
        let operators = self.operators.all().into_iter().map(identities::operator).collect();
        Ok(Response::new(v1::ListOperatorsReply { operators }))
    }

    async fn add_operator(
        &self,
        request: Request<v1::AddOperatorRequest>,
    ) -> Result<Response<v1::AddOperatorReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let v1::AddOperatorRequest { name, csr_pem } = request.into_inner();
        let (certificate_pem, ca_pem) = self.operators.add(&name, &csr_pem, by).await?;
        Ok(Response::new(v1::AddOperatorReply { certificate_pem, ca_pem }))
    }

    async fn revoke_operator(
        &self,
        request: Request<v1::RevokeOperatorRequest>,
    ) -> Result<Response<v1::RevokeOperatorReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let asked = request.into_inner();
        self.operators.revoke(&asked.name, by, why(asked.reason)?).await?;
        Ok(Response::new(v1::RevokeOperatorReply {}))
    }

    async fn renew_operator(
        &self,
        request: Request<v1::RenewOperatorRequest>,
    ) -> Result<Response<v1::RenewOperatorReply>, Status> {
        let name = operator(&self.operators, &request)?;
        let csr_pem = request.into_inner().csr_pem;
        let (certificate_pem, ca_pem) = self.operators.renew(&name, &csr_pem).await?;
        Ok(Response::new(v1::RenewOperatorReply { certificate_pem, ca_pem }))
    }

    async fn get_authority(
        &self,
        request: Request<v1::GetAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        operator(&self.operators, &request)?;
        Ok(Response::new(identities::authority(&self.succession().standing())))
    }

    async fn rotate_authority(
        &self,
        request: Request<v1::RotateAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let standing = self.succession().rotate(&by)?;
        Ok(Response::new(identities::authority(&standing)))
    }

    async fn retire_authority(
        &self,
        request: Request<v1::RetireAuthorityRequest>,
    ) -> Result<Response<v1::GetAuthorityReply>, Status> {
        let by = operator(&self.operators, &request)?;
        let force = request.into_inner().force;
        let standing = self.succession().retire(&by, force).await?;
        Ok(Response::new(identities::authority(&standing)))
    }
}

impl ControlApi {
    fn succession(&self) -> Succession<'_> {
        Succession {
            rollouts: &self.rollouts,
            enrolment: &self.enrolment,
            operators: &self.operators,
        }
    }
}

/// A reason that has to be given.
fn why(text: String) -> Result<String, Status> {
    reason(text)?.ok_or_else(|| invalid("give a reason: it is kept in the record"))
}

fn signed(text: &str) -> Result<Option<SignedWarrant>, Status> {
    let given = Some(text).filter(|text| !text.is_empty());
    Ok(given.map(|text| from_json("warrant_json", text)).transpose()?)
}

fn planned(plan: &Plan, release: Option<ReleaseId>) -> v1::PlanRolloutReply {
    v1::PlanRolloutReply {
        hash: plan.hash(),
        plan_json: to_json(plan),
        release: release.map(|release| release.to_string()).unwrap_or_default(),
    }
}

fn limit(asked: u32) -> usize {
    match asked as usize {
        0 => DEFAULT_LIST,
        limit => limit.min(LONGEST_LIST),
    }
}

fn rollout(text: &str) -> Result<RolloutId, Status> {
    text.parse().map_err(invalid)
}

fn what(asked: &v1::RollBackRequest) -> Result<What, Status> {
    match (asked.rollout.is_empty(), asked.service.is_empty()) {
        (false, true) => Ok(What::This(rollout(&asked.rollout)?)),
        (true, false) => {
            Ok(What::LastOf(ServiceName::new(asked.service.clone()).map_err(invalid)?))
        }
        _ => Err(invalid("give a rollout, or a service whose last rollout is meant")),
    }
}

fn wish(asked: &v1::RollBackRequest) -> Result<plan::Wish, Status> {
    let ways = [asked.code_only, asked.accept_data_loss, asked.restore_backup];
    way(ways, asked.all_at_once)
}

fn way(ways: [bool; 3], all_at_once: bool) -> Result<plan::Wish, Status> {
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(invalid("give one of --code-only, --accept-data-loss and --restore-backup"));
    }
    let [code_only, accept_data_loss, restore_backup] = ways;
    Ok(plan::Wish { by_person: true, all_at_once, code_only, accept_data_loss, restore_backup })
}

fn reason(text: String) -> Result<Option<String>, Status> {
    if text.chars().count() > REASON {
        return Err(invalid(format!("the reason is too long: {REASON} characters at most")));
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn reply(sight: Sight) -> v1::WatchRolloutReply {
    let message = match sight {
        Sight::Record(record) => Message::RecordJson(to_json(&record)),
        Sight::Report(report) => Message::ReportJson(to_json::<Report>(&report)),
        Sight::Progress(progress) => Message::Progress(v1::HostProgress {
            host: progress.host.into(),
            command: progress.command.to_string(),
            text: progress.text,
        }),
    };
    v1::WatchRolloutReply { message: Some(message) }
}
