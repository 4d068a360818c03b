//! GET of a URL.

use ::http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};

use super::tcp;
use crate::{exchange::exchange, words::innermost};

/// So much of a bad answer is read, and so much of it shown.
const READ: usize = 4096;
const SHOWN: usize = 120;

pub(super) async fn ask(url: &str, wanted: Option<u16>) -> Result<(), String> {
    get(url, "*/*", async move |answer| {
        let status = answer.status();
        if is_wanted(status, wanted) {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), READ).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(describe(status, &String::from_utf8_lossy(&body)))
    })
    .await
}

/// The text at `url`, of no more than `limit` bytes.
pub(crate) async fn text(url: &str, accept: &str, limit: usize) -> Result<String, String> {
    get(url, accept, async move |answer| {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), limit).collect().await;
        let body =
            body.map(http_body_util::Collected::to_bytes).map_err(|error| match error
                .is::<LengthLimitError>(
            ) {
                true => format!("the answer is longer than {} KiB", limit / 1024),
                false => innermost(&*error),
            })?;
        let body = String::from_utf8_lossy(&body);
        match status.is_success() {
            true => Ok(body.into_owned()),
            false => Err(describe(status, &body)),
        }
    })
    .await
}

/// Asks, and reads the answer as `read` does. Redirects are not followed: they are an answer, and not a good one.
async fn get<T, F>(
    url: &str,
    accept: &str,
    read: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let uri: Uri = url.parse().map_err(|e| format!("{url} is not a URL: {e}"))?;
    let host = uri.host().ok_or_else(|| format!("{url} names no host"))?;
    let stream =
        tcp::connect(&format!("{host}:{}", uri.port_u16().unwrap_or(80))).await.map_err(words)?;
    let request = Request::get(uri.path_and_query().map_or("/", |p| p.as_str()))
        .header(header::HOST, uri.authority().map_or(host, |a| a.as_str()))
        .header(header::USER_AGENT, concat!("dv-agent/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, accept)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(words)?;
    exchange(stream, request, read).await
}

fn is_wanted(status: StatusCode, wanted: Option<u16>) -> bool {
    wanted.map_or(status.is_success(), |wanted| status.as_u16() == wanted)
}

/// `HTTP 503: database is down`
fn describe(status: StatusCode, body: &str) -> String {
    let line = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    match shown.is_empty() {
        true => format!("HTTP {}", status.as_u16()),
        false => format!("HTTP {}: {shown}", status.as_u16()),
    }
}

fn words(error: impl std::error::Error) -> String {
    innermost(&error)
}
