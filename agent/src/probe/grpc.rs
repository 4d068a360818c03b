//! The standard gRPC health service.

use hyper_util::rt::TokioIo;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::service_fn;

use super::tcp;
use crate::words::innermost;

pub(super) async fn ask(address: &str, service: &str) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let target = address.to_owned();
    let connector = service_fn(move |_| {
        let target = target.clone();
        async move { tcp::connect(&target).await.map(TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await.map_err(|e| innermost(&e))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?;
    match status.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(other.as_str_name().to_owned()),
    }
}
