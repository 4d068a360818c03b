//! One HTTP request and its answer. Nothing is followed, remembered or decided here.

use std::sync::Arc;

use ::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OnceCell,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::secrets::Hidden;
use crate::{exchange::exchange, probe::tcp, words::innermost};

/// A page that is longer is none that a person would read.
const LONGEST_BODY: usize = 2 << 20;

/// What asks. The host's certificates are read when the first https URL needs them.
#[derive(Default)]
pub(super) struct Client {
    tls: OnceCell<Arc<ClientConfig>>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: Vec<(header::HeaderName, String)>,
    pub(super) body: Option<&'a Hidden>,
}

/// What came.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) cookies: Vec<String>,
    /// Whether it says that it is a page of HTML.
    pub(super) is_html: bool,
    pub(super) body: String,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Client {
    /// Trusts what `tls` trusts, instead of what the host does.
    #[cfg(test)]
    pub(super) fn trusting(tls: ClientConfig) -> Self {
        Self { tls: OnceCell::new_with(Some(Arc::new(tls))) }
    }

    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, String> {
        let wire = self.connect(ask.url).await?;
        exchange(wire, request(ask)?, read).await
    }

    async fn connect(&self, url: &Url) -> Result<Box<dyn Wire>, String> {
        let host = url.host_str().ok_or("the URL names no host")?;
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        let stream = tcp::connect(&format!("{host}:{port}")).await.map_err(|e| e.to_string())?;
        if url.scheme() != "https" {
            return Ok(Box::new(stream));
        }
        let tls = self.tls.get_or_try_init(host_s_trust).await?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|e| e.to_string())?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|e| format!("TLS: {}", innermost(&e)))?))
    }
}

/// TLS towards servers that the host's own certificate authorities vouch for.
async fn host_s_trust() -> Result<Arc<ClientConfig>, String> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
        .await
        .map_err(|e| format!("the host's CA certificates can't be read: {e}"))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(format!(
            "this host has no CA certificates to check an https server with{why}; install ca-certificates"
        ));
    }
    trust(roots).map(Arc::new)
}

pub(super) fn trust(roots: RootCertStore) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn request(ask: Ask<'_>) -> Result<Request<Full<Bytes>>, String> {
    let Ask { method, url, headers, body } = ask;
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("dv-agent/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "text/html,*/*;q=0.8")
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            Bytes::copy_from_slice(body.expose().as_bytes())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(body)).map_err(|e| e.to_string())
}

async fn read(answer: ::http::Response<hyper::body::Incoming>) -> Result<Answer, String> {
    let text = |name| answer.headers().get(name).map(|v| String::from_utf8_lossy(v.as_bytes()));
    let location = text(header::LOCATION).map(Into::into);
    let is_html = text(header::CONTENT_TYPE).is_some_and(|t| t.to_lowercase().contains("html"));
    let cookies = answer
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
        .collect();
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_BODY).collect().await.map_err(|e| {
        match e.downcast_ref::<LengthLimitError>() {
            Some(_) => "its answer is longer than 2 MiB".to_owned(),
            None => format!("its answer broke off: {}", innermost(&*e)),
        }
    })?;
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Answer { status, location, cookies, is_html, body })
}
