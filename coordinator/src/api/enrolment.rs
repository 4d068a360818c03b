//! Enrolment over the wire: the only call that needs no certificate.

use std::sync::Arc;

use dv_proto::v1::{self, enrolment_server::Enrolment as Service};
use tonic::{Request, Response, Status};

use crate::{enrolment::Enrolment, identity::Peer};

/// What a host calls that wants in.
pub struct EnrolmentApi(pub(crate) Arc<Enrolment>);

#[tonic::async_trait]
impl Service for EnrolmentApi {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolReply>, Status> {
        let address = request.extensions().get::<Peer>().map(|peer| peer.address);
        let asked = request.into_inner();
        let enrolled = self.0.enrol(&asked.token, &asked.csr_pem, &asked.host).await;
        let admission = enrolled.inspect_err(|why| {
            tracing::warn!(?address, host = asked.host, %why, "an enrolment is refused");
        })?;
        Ok(Response::new(v1::EnrolReply {
            certificate_pem: admission.certificate,
            ca_pem: admission.ca,
            host: admission.host.to_string(),
            lineage: admission.lineage,
        }))
    }
}
