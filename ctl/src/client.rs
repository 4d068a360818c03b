//! The coordinator, as this program asks it: documents in, documents out, errors in words.

mod greeting;
mod trouble;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dv_proto::{
    Addresses, Coordinators, RENEW,
    dial::{self, Identity},
    from_json, to_json, v1,
    v1::control_client::ControlClient,
};
use dv_types::{
    HostName, Manifest, Plan, Release, ReleaseId, Report, RolloutId, Version, plan::Wish,
    record::Verb, release::ReleaseReport, warrant::SignedWarrant,
};
use tonic::{Status, Streaming};

use trouble::Trouble;
pub(crate) use trouble::is_transient;

use crate::{
    context::Context,
    error::{Error, Result},
};

/// The most that one answer may hold: the plan and report of ten thousand hosts.
const LARGEST_ANSWER: usize = 64 << 20;

/// Making a plan asks every host, and hosts ask registries.
const PLANNING: Duration = Duration::from_secs(180);
const ASKING: Duration = Duration::from_secs(30);

/// A way to the coordinator. It connects at the first call.
#[derive(Clone)]
pub(crate) struct Client {
    inner: ControlClient<Coordinators>,
    addresses: Addresses,
    coordinators: Coordinators,
    tls: Arc<rustls::ClientConfig>,
    is_old: IsOld,
}

/// Whether the coordinator said that the operator should ask for a new certificate.
#[derive(Debug, Clone, Default)]
pub(crate) struct IsOld(Arc<AtomicBool>);

impl IsOld {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn note<T>(&self, reply: &tonic::Response<T>) {
        if reply.metadata().contains_key(RENEW) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// What a rollout is asked to begin with.
pub(crate) struct Start<'s> {
    pub(crate) manifest: &'s Manifest,
    pub(crate) version: &'s Version,
    pub(crate) force: bool,
    pub(crate) reason: Option<&'s str>,
    pub(crate) plan: Option<&'s str>,
    pub(crate) overrides: &'s [String],
    pub(crate) signed: Option<&'s SignedWarrant>,
}

/// What a rollback is asked to begin with.
pub(crate) struct Back<'s> {
    pub(crate) rollout: Option<RolloutId>,
    pub(crate) service: Option<&'s str>,
    pub(crate) wish: Wish,
    pub(crate) reason: Option<&'s str>,
    pub(crate) signed: Option<SignedWarrant>,
}

impl Back<'_> {
    fn request(&self) -> v1::RollBackRequest {
        v1::RollBackRequest {
            rollout: self.rollout.map(|id| id.to_string()).unwrap_or_default(),
            service: self.service.unwrap_or_default().to_owned(),
            all_at_once: self.wish.all_at_once,
            reason: self.reason.unwrap_or_default().to_owned(),
            code_only: self.wish.code_only,
            accept_data_loss: self.wish.accept_data_loss,
            restore_backup: self.wish.restore_backup,
            warrant_json: self.signed.as_ref().map(to_json).unwrap_or_default(),
        }
    }
}

impl Client {
    /// A client by `context`. Nothing is sent yet.
    pub(crate) fn new(context: &Context) -> Result<Self> {
        let identity = Identity { certificate: &context.certificate, key: &context.key };
        let unusable = |error| Error::usage(format!("the context file can't be used: {error}"));
        let mut tls = dial::client_tls(&context.ca, Some(identity)).map_err(unusable)?;
        let addresses = context.coordinator.clone();
        let coordinators = Coordinators::new(&addresses, &tls).map_err(unusable)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let inner = ControlClient::new(coordinators.clone());
        let inner = inner.max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self { inner, addresses, coordinators, tls: Arc::new(tls), is_old: IsOld::default() })
    }

    /// It notes there whether its certificate is old.
    pub(crate) fn noting(self, is_old: &IsOld) -> Self {
        Self { is_old: is_old.clone(), ..self }
    }

    /// A plan and its hash.
    pub(crate) async fn plan(
        &self,
        manifest: &Manifest,
        version: &Version,
    ) -> Result<(Plan, String)> {
        let request = v1::PlanRolloutRequest {
            manifest_json: to_json(manifest),
            version: version.to_string(),
        };
        let reply = self.inner.clone().plan_rollout(within(PLANNING, request)).await;
        let reply = self.asked(reply).await?;
        Ok((from_json("plan_json", &reply.plan_json)?, reply.hash))
    }

    /// Begins a rollout.
    pub(crate) async fn start(&self, start: Start<'_>) -> Result<RolloutId> {
        let request = v1::StartRolloutRequest {
            manifest_json: to_json(start.manifest),
            version: start.version.to_string(),
            force: start.force,
            reason: start.reason.unwrap_or_default().to_owned(),
            plan_hash: start.plan.unwrap_or_default().to_owned(),
            overrides: start.overrides.to_vec(),
            warrant_json: start.signed.map(to_json).unwrap_or_default(),
        };
        let reply = self.inner.clone().start_rollout(within(PLANNING, request)).await;
        id(&self.told(reply).await?.rollout)
    }

    /// Says a verb to a rollout.
    pub(crate) async fn operate(
        &self,
        rollout: RolloutId,
        verb: &Verb,
        reason: Option<&str>,
    ) -> Result<()> {
        let request = v1::OperateRolloutRequest {
            rollout: rollout.to_string(),
            verb_json: to_json(verb),
            reason: reason.unwrap_or_default().to_owned(),
        };
        let reply = self.inner.clone().operate_rollout(within(ASKING, request)).await;
        self.told(reply).await.map(|_| ())
    }

    /// Begins a rollback: the rollout that takes back, and the one that is taken back.
    pub(crate) async fn roll_back(&self, back: &Back<'_>) -> Result<(RolloutId, RolloutId)> {
        let reply = self.inner.clone().roll_back(within(PLANNING, back.request())).await;
        let reply = self.told(reply).await?;
        Ok((id(&reply.rollout)?, id(&reply.of)?))
    }

    /// What a rollback would do; nothing is begun.
    pub(crate) async fn plan_roll_back(
        &self,
        back: &Back<'_>,
    ) -> Result<(Plan, String, Option<ReleaseId>)> {
        let reply = self.inner.clone().plan_roll_back(within(PLANNING, back.request())).await;
        let reply = self.asked(reply).await?;
        Ok((from_json("plan_json", &reply.plan_json)?, reply.hash, reply.release.parse().ok()))
    }

    /// The plans of a release's members, and the hash of all together.
    pub(crate) async fn plan_release(&self, release: &Release) -> Result<(Vec<Plan>, String)> {
        let request = v1::PlanReleaseRequest { release_json: to_json(release) };
        let reply = self.inner.clone().plan_release(within(PLANNING, request)).await;
        let reply = self.asked(reply).await?;
        let read = |json: &String| from_json("plan_json", json);
        Ok((reply.plan_json.iter().map(read).collect::<Result<_, _>>()?, reply.hash))
    }

    /// Begins a release.
    pub(crate) async fn start_release(
        &self,
        request: v1::StartReleaseRequest,
    ) -> Result<ReleaseId> {
        let reply = self.inner.clone().start_release(within(PLANNING, request)).await;
        id(&self.told(reply).await?.release)
    }

    /// Begins to take a release back.
    pub(crate) async fn roll_back_release(
        &self,
        request: v1::RollBackReleaseRequest,
    ) -> Result<()> {
        let reply = self.inner.clone().roll_back_release(within(PLANNING, request)).await;
        self.told(reply).await.map(|_| ())
    }

    /// Ends a release where it is.
    pub(crate) async fn abort_release(&self, id: ReleaseId, reason: Option<&str>) -> Result<()> {
        let reason = reason.unwrap_or_default().to_owned();
        let request = v1::AbortReleaseRequest { release: id.to_string(), reason };
        let reply = self.inner.clone().abort_release(within(ASKING, request)).await;
        self.told(reply).await.map(|_| ())
    }

    /// Where a release stands.
    pub(crate) async fn release(&self, id: ReleaseId) -> Result<ReleaseReport> {
        let reply = self.try_release(id).await.map(tonic::Response::new);
        Ok(from_json("report_json", &self.asked(reply).await?.report_json)?)
    }

    /// As [`Self::release`], for callers that try again.
    pub(crate) async fn try_release(&self, id: ReleaseId) -> Result<v1::GetReleaseReply, Status> {
        let request = v1::GetReleaseRequest { release: id.to_string() };
        let reply = self.inner.clone().get_release(within(ASKING, request)).await;
        reply.map(|reply| self.noted(reply))
    }

    /// Releases, the newest first.
    pub(crate) async fn releases(
        &self,
        service: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ReleaseReport>> {
        let request =
            v1::ListReleasesRequest { service: service.unwrap_or_default().to_owned(), limit };
        let reply = self.inner.clone().list_releases(within(ASKING, request)).await;
        let read = |json: &String| Ok(from_json("report_json", json)?);
        self.asked(reply).await?.report_json.iter().map(read).collect()
    }

    /// Where a rollout stands, and its plan.
    pub(crate) async fn rollout(&self, id: RolloutId) -> Result<(Report, Plan)> {
        let reply = self.try_rollout(id).await.map(tonic::Response::new);
        let reply = self.asked(reply).await?;
        Ok((
            from_json("report_json", &reply.report_json)?,
            from_json("plan_json", &reply.plan_json)?,
        ))
    }

    /// As [`Self::rollout`], for callers that try again.
    pub(crate) async fn try_rollout(&self, id: RolloutId) -> Result<v1::GetRolloutReply, Status> {
        let request = v1::GetRolloutRequest { rollout: id.to_string() };
        self.inner.clone().get_rollout(within(ASKING, request)).await.map(|reply| self.noted(reply))
    }

    /// The journal after the record of number `after`.
    pub(crate) async fn watch(
        &self,
        id: RolloutId,
        after: u64,
    ) -> Result<Streaming<v1::WatchRolloutReply>, Status> {
        let request = v1::WatchRolloutRequest { rollout: id.to_string(), after };
        self.inner.clone().watch_rollout(request).await.map(|reply| self.noted(reply))
    }

    /// Rollouts, the newest first.
    pub(crate) async fn rollouts(&self, service: Option<&str>, limit: u32) -> Result<Vec<Report>> {
        self.history(service, limit).await.map(|(rollouts, _)| rollouts)
    }

    /// Rollouts, the newest first, and how many more are not kept any more.
    pub(crate) async fn history(
        &self,
        service: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Report>, u32)> {
        let request =
            v1::ListRolloutsRequest { service: service.unwrap_or_default().to_owned(), limit };
        let reply = self.inner.clone().list_rollouts(within(ASKING, request)).await;
        let reply = self.asked(reply).await?;
        let read = |json: &String| Ok(from_json("report_json", json)?);
        let rollouts = reply.report_json.iter().map(read).collect::<Result<_>>()?;
        Ok((rollouts, reply.dropped))
    }

    /// The fleet.
    pub(crate) async fn hosts(&self) -> Result<Vec<v1::Host>> {
        let reply = self.inner.clone().list_hosts(within(ASKING, v1::ListHostsRequest {})).await;
        Ok(self.asked(reply).await?.hosts)
    }

    /// A token, and until when it can be used.
    pub(crate) async fn token(
        &self,
        host: &HostName,
        labels: impl IntoIterator<Item = (String, String)>,
        ttl: Duration,
    ) -> Result<v1::CreateTokenReply> {
        let request = v1::CreateTokenRequest {
            host: host.to_string(),
            labels: labels.into_iter().collect(),
            ttl_seconds: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX),
        };
        let reply = self.inner.clone().create_token(within(ASKING, request)).await;
        self.told(reply).await
    }

    /// Lets a host in no more. Whether it was in contact.
    pub(crate) async fn revoke_host(&self, host: &HostName, reason: &str) -> Result<bool> {
        let request = v1::RevokeHostRequest { host: host.to_string(), reason: reason.to_owned() };
        let reply = self.inner.clone().revoke_host(within(ASKING, request)).await;
        self.told(reply).await.map(|reply| reply.was_connected)
    }

    /// The operators.
    pub(crate) async fn operators(&self) -> Result<Vec<v1::Operator>> {
        let request = within(ASKING, v1::ListOperatorsRequest {});
        let reply = self.inner.clone().list_operators(request).await;
        Ok(self.asked(reply).await?.operators)
    }

    /// A certificate for a further operator.
    pub(crate) async fn add_operator(
        &self,
        name: &str,
        csr_pem: String,
    ) -> Result<v1::AddOperatorReply> {
        let request = v1::AddOperatorRequest { name: name.to_owned(), csr_pem };
        let reply = self.inner.clone().add_operator(within(ASKING, request)).await;
        self.told(reply).await
    }

    /// Lets an operator in no more.
    pub(crate) async fn revoke_operator(&self, name: &str, reason: &str) -> Result<()> {
        let (name, reason) = (name.to_owned(), reason.to_owned());
        let request = v1::RevokeOperatorRequest { name, reason };
        let reply = self.inner.clone().revoke_operator(within(ASKING, request)).await;
        self.told(reply).await.map(|_| ())
    }

    /// A new certificate for whoever asks.
    pub(crate) async fn renew(&self, csr_pem: String) -> Result<v1::RenewOperatorReply> {
        let request = within(ASKING, v1::RenewOperatorRequest { csr_pem });
        let reply = self.inner.clone().renew_operator(request).await;
        self.asked(reply).await
    }

    /// The certificate authorities.
    pub(crate) async fn authority(&self) -> Result<v1::GetAuthorityReply> {
        let request = within(ASKING, v1::GetAuthorityRequest {});
        let reply = self.inner.clone().get_authority(request).await;
        self.asked(reply).await
    }

    /// Makes a new certificate authority.
    pub(crate) async fn rotate_authority(&self) -> Result<v1::GetAuthorityReply> {
        let request = within(ASKING, v1::RotateAuthorityRequest {});
        let reply = self.inner.clone().rotate_authority(request).await;
        self.told(reply).await
    }

    /// Trusts the former certificate authority no more.
    pub(crate) async fn retire_authority(&self, force: bool) -> Result<v1::GetAuthorityReply> {
        let request = within(ASKING, v1::RetireAuthorityRequest { force });
        let reply = self.inner.clone().retire_authority(request).await;
        self.told(reply).await
    }

    fn noted<T>(&self, reply: tonic::Response<T>) -> T {
        self.is_old.note(&reply);
        reply.into_inner()
    }

    /// The answer to a call that changes nothing.
    async fn asked<T>(&self, reply: Result<tonic::Response<T>, Status>) -> Result<T> {
        match reply {
            Ok(reply) => Ok(self.noted(reply)),
            Err(status) => Err(self.no_answer(&status).await),
        }
    }

    /// The answer to a call that changes something: where contact broke, nobody knows whether it was done.
    async fn told<T>(&self, reply: Result<tonic::Response<T>, Status>) -> Result<T> {
        match reply {
            Ok(reply) => Ok(self.noted(reply)),
            Err(status) => Err(self.trouble(&status).await.told(&self.addresses)),
        }
    }

    /// The error of a call that changes nothing.
    pub(crate) async fn no_answer(&self, status: &Status) -> Error {
        self.trouble(status).await.asked(&self.addresses)
    }

    async fn trouble(&self, status: &Status) -> Trouble {
        let trouble = Trouble::of(status);
        if let Trouble::Lost(_) = trouble
            && let Some(error) =
                greeting::refusal(self.coordinators.last(), Arc::clone(&self.tls)).await
        {
            return Trouble::tls(&error);
        }
        trouble
    }
}

fn within<T>(time: Duration, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(time);
    request
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::new(
            crate::Exit::Unexpected,
            format!("the coordinator answered with {text:?} in place of a rollout"),
        )
    })
}
