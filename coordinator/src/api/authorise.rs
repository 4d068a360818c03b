//! Who may call what: operators the control service, hosts the agents' link, everybody enrolment.

use std::{sync::Arc, time::Duration};

use dv_proto::come_back;
use dv_types::{HostName, Timestamp};
use tonic::{Request, Status, metadata::MetadataMap};

use crate::{
    identity::{Identity, Peer},
    operators::Operators,
    pace::turn,
};

/// Within this time those come again for whom there is no place.
const LATER: Duration = Duration::from_secs(60);

/// Whether somebody with such a certificate may make this call at all. Asked before anything of what he says is read.
pub(crate) fn may_call<B>(request: &http::Request<B>) -> Result<(), Status> {
    let path = request.uri().path();
    let asked = Request::from_parts(MetadataMap::default(), request.extensions().clone(), ());
    match path.split('/').nth(1) {
        Some("dv.v1.Control") => named(&asked).map(drop),
        // Whether it is still good is looked at by the call itself.
        Some("dv.v1.AgentLink") => host(&asked, Timestamp::MIN).map(drop),
        _ => Ok(()),
    }
}

/// The operator's name, if it is let in.
pub(super) fn operator<T>(
    operators: &Arc<Operators>,
    request: &Request<T>,
) -> Result<String, Status> {
    let (name, peer) = named(request)?;
    operators.admit(name, peer).inspect_err(|why| {
        tracing::warn!(operator = name, address = %peer.address, why = why.message(), "refused");
    })?;
    Ok(name.to_owned())
}

/// The operator's name, as its certificate says.
fn named<T>(request: &Request<T>) -> Result<(&str, &Peer), Status> {
    match peer(request).map(|peer| (&peer.identity, peer)) {
        Some((Some(Identity::Operator(name)), peer)) => Ok((name, peer)),
        Some((Some(Identity::Host(host)), _)) => Err(Status::permission_denied(format!(
            "this call needs an operator's certificate, and host {host}'s was shown"
        ))),
        _ => Err(Status::unauthenticated(
            "this call needs an operator's certificate: use dvctl with an operator's context file",
        )),
    }
}

/// The host's name, and the serial of its certificate.
pub(super) fn host<T>(request: &Request<T>, now: Timestamp) -> Result<(HostName, String), Status> {
    let peer = peer(request);
    // Of a connection that is older than that.
    if let Some(peer) = peer.filter(|peer| peer.identity.is_some() && peer.until < now) {
        return Err(Status::unauthenticated(format!(
            "the certificate that was shown has expired at {}",
            peer.until
        )));
    }
    let crowded = peer.is_some_and(|peer| peer.crowded);
    match peer.map(|peer| (&peer.identity, &peer.serial)) {
        Some((Some(Identity::Host(host)), _)) if crowded => {
            let full = "the coordinator holds as many connections as it may; come again later";
            Err(come_back::tell(Status::unavailable(full), turn(host, LATER)))
        }
        Some((Some(Identity::Host(host)), serial)) => Ok((host.clone(), serial.clone())),
        Some((Some(Identity::Operator(name)), _)) => Err(Status::permission_denied(format!(
            "this call needs a host's certificate, and operator {name}'s was shown"
        ))),
        _ => Err(Status::unauthenticated(
            "this call needs a host's certificate: enrol the host with `dv-agent enrol`",
        )),
    }
}

/// Who is at the other end.
pub(super) fn peer<T>(request: &Request<T>) -> Option<&Peer> {
    request.extensions().get()
}
