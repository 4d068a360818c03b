//! Calls, over the members in turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::ClientConfig;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Response, Status, metadata::MetadataValue, transport::Channel};

use crate::{
    api::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, StatusRequest,
        StatusResponse, kv_client::KvClient, lease_client::LeaseClient,
        maintenance_client::MaintenanceClient,
    },
    error::{Error, InvalidMember, Verdict, judge},
    login::Login,
    member::Member,
    txn::{Answer, Entry, Range, Txn},
};

/// How long one member may take. A call that takes longer is not lost: it goes to the next one as well.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// The pause after all members have been asked in vain.
const BREATH: Duration = Duration::from_millis(100);
/// The most that one answer may hold. etcd itself sets no limit.
const LARGEST_ANSWER: usize = 64 << 20;

/// An etcd cluster.
#[derive(Debug, Clone)]
pub struct Etcd {
    members: Arc<[Member]>,
    /// The one that answered last.
    good: Arc<AtomicUsize>,
    login: Option<Arc<Login>>,
}

/// How much room a member has for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The bytes that its database takes.
    pub taken: u64,
    /// The bytes that it may take, if the member says so: etcd does since 3.6.
    pub quota: Option<u64>,
    /// Whether it takes no more.
    pub full: bool,
}

impl Etcd {
    /// A cluster by its members, each `host:port`; over TLS, if its settings are given.
    pub fn new(
        members: &[String],
        tls: Option<ClientConfig>,
        login: Option<Login>,
    ) -> Result<Self, InvalidMember> {
        let tls = tls.map(|mut tls| {
            tls.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(tls)
        });
        if members.is_empty() {
            return Err(InvalidMember(String::new()));
        }
        let members: Result<Arc<[_]>, _> =
            members.iter().map(|address| Member::new(address, tls.as_ref())).collect();
        Ok(Self { members: members?, good: Arc::default(), login: login.map(Arc::new) })
    }

    /// Calls one member after the other until one answers, for as long as `patience`.
    async fn call<Q: Clone, R, F>(
        &self,
        patience: Duration,
        asked: Q,
        call: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let end = Instant::now() + patience;
        let mut tried = 0;
        let mut logins = 0;
        loop {
            let number = self.good.load(Ordering::Relaxed) % self.members.len();
            let member = &self.members[number];
            let limit = ATTEMPT.min(end.saturating_duration_since(Instant::now()));
            let attempt = async {
                let mut request = Request::new(asked.clone());
                // A member without a leader says so at once.
                request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
                if let Some(login) = &self.login {
                    login.sign(&mut request, member).await?;
                }
                call(member.channel.clone(), request).await
            };
            let why = match timeout(limit, attempt).await {
                Ok(Ok(reply)) => return Ok(reply.into_inner()),
                Ok(Err(status)) => match judge(&status) {
                    Verdict::Final(error) => return Err(error),
                    Verdict::LogIn => {
                        let Some(login) = self.login.as_ref().filter(|_| logins < 2) else {
                            return Err(Error::Refused(status.message().to_owned()));
                        };
                        logins += 1;
                        login.forget().await;
                        continue;
                    }
                    Verdict::Again => in_words(&status),
                },
                Err(_) => "no answer in time".to_owned(),
            };
            tracing::debug!(member = %member.address, why, "asking the next member of etcd");
            let next = (number + 1) % self.members.len();
            // Of many calls that fail at once, one goes on to the next.
            let _ = self.good.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
            tried += 1;
            if tried % self.members.len() == 0 {
                sleep(BREATH).await;
            }
            if Instant::now() >= end {
                return Err(Error::Unanswered(format!("{}: {why}", member.address)));
            }
        }
    }

    /// What is in a range, and the revision at which it was.
    pub async fn range(
        &self,
        patience: Duration,
        range: Range,
    ) -> Result<(Vec<Entry>, i64), Error> {
        let asked = range.request();
        let reply = self
            .call(patience, asked, async |channel, request| {
                let kv = KvClient::new(channel);
                kv.max_decoding_message_size(LARGEST_ANSWER).range(request).await
            })
            .await?;
        let revision = reply.header.map_or(0, |header| header.revision);
        Ok((reply.kvs.into_iter().map(Entry::from).collect(), revision))
    }

    /// What is at a key.
    pub async fn get(
        &self,
        patience: Duration,
        key: impl Into<prost::bytes::Bytes>,
    ) -> Result<Option<Entry>, Error> {
        Ok(self.range(patience, Range::key(key)).await?.0.pop())
    }

    /// Does a transaction. It may reach etcd more than once: it must be one whose second time changes nothing, or whose
    /// first time makes it not hold any more.
    pub async fn txn(&self, patience: Duration, txn: Txn) -> Result<Answer, Error> {
        self.call(patience, txn.0, async |channel, request| {
            let kv = KvClient::new(channel);
            kv.max_decoding_message_size(LARGEST_ANSWER).txn(request).await
        })
        .await
        .map(Answer::from)
    }

    /// A new lease that lasts for so long after each renewal; in whole seconds.
    pub async fn grant(&self, patience: Duration, lasts: Duration) -> Result<i64, Error> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let asked = LeaseGrantRequest { ttl: seconds, id: 0 };
        let reply = self
            .call(patience, asked, async |channel, request| {
                LeaseClient::new(channel).lease_grant(request).await
            })
            .await?;
        if reply.error.is_empty() { Ok(reply.id) } else { Err(Error::Refused(reply.error)) }
    }

    /// Renews a lease; for how long it lasts from when this was asked.
    pub async fn renew(&self, patience: Duration, lease: i64) -> Result<Duration, Error> {
        let asked = LeaseKeepAliveRequest { id: lease };
        let reply = self
            .call(patience, asked, async |channel, request: Request<LeaseKeepAliveRequest>| {
                let request = request.map(tokio_stream::once);
                let mut replies =
                    LeaseClient::new(channel).lease_keep_alive(request).await?.into_inner();
                let reply = replies.message().await?;
                reply.map(Response::new).ok_or_else(|| Status::unavailable("no answer"))
            })
            .await?;
        match u64::try_from(reply.ttl) {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
            _ => Err(Error::NoLease),
        }
    }

    /// Ends a lease, with all that it holds.
    pub async fn revoke(&self, patience: Duration, lease: i64) -> Result<(), Error> {
        let asked = LeaseRevokeRequest { id: lease };
        let revoked = self.call(patience, asked, async |channel, request| {
            LeaseClient::new(channel).lease_revoke(request).await
        });
        match revoked.await {
            Ok(_) | Err(Error::NoLease) => Ok(()),
            Err(why) => Err(why),
        }
    }

    async fn status(&self, patience: Duration) -> Result<StatusResponse, Error> {
        self.call(patience, StatusRequest {}, async |channel, request| {
            MaintenanceClient::new(channel).status(request).await
        })
        .await
    }

    /// Whether the member that answers leads the others.
    pub async fn leads(&self, patience: Duration) -> Result<bool, Error> {
        let status = self.status(patience).await?;
        Ok(status.header.is_some_and(|header| header.member_id == status.leader))
    }

    /// How much room the member has that answers.
    pub async fn room(&self, patience: Duration) -> Result<Room, Error> {
        let reply = self.status(patience).await?;
        Ok(Room {
            taken: u64::try_from(reply.db_size).unwrap_or_default(),
            quota: u64::try_from(reply.db_size_quota).ok().filter(|quota| *quota > 0),
            full: reply.errors.iter().any(|error| error.contains("NOSPACE")),
        })
    }
}

/// What went wrong; where the connection did, its innermost cause.
fn in_words(status: &Status) -> String {
    let mut cause = std::error::Error::source(status);
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
