//! One GET at a time, with a limit on everything: what comes from a forge is not trusted further than its words go.

use std::{fmt, path::Path, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use reqwest::{Response, Url, redirect::Policy};
use serde::de::DeserializeOwned;

use super::{ForgeConfig, Kind, token::Token};
use crate::outgoing::{chain, tls};

const CONNECT: Duration = Duration::from_secs(10);
/// What a forge says in one answer.
const LARGEST: usize = 8 * 1024 * 1024;
/// Entries that are asked for at once. Gitea gives fewer, and says that there are more.
const PAGE: u32 = 100;
/// No list is read any further.
const PAGES: u32 = 20;

/// How JSON begins.
const THING: u8 = b'{';
const LIST: u8 = b'[';

/// Why a forge has not said what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It has no such thing, or does not show it.
    #[error("{0}")]
    NotFound(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// Something is wrong on the coordinator's own side.
    pub(super) fn here(text: String) -> Self {
        Self::Other(text)
    }

    /// What it says makes no sense.
    pub(super) fn nonsense(text: impl fmt::Display) -> Self {
        Self::Other(format!("its answer is not understood: {text}"))
    }
}

/// Asks one forge.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn open(config: &ForgeConfig, credentials: Option<&Path>) -> Result<Self, Trouble> {
        let mut headers = HeaderMap::new();
        if let Some(token) = Token::read(config, credentials)? {
            let (name, value) = token.header(config.kind)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if config.kind == Kind::Github {
            let accept = HeaderValue::from_static("application/vnd.github+json");
            headers.insert(header::ACCEPT, accept);
            let version = HeaderValue::from_static("2022-11-28");
            headers.insert(HeaderName::from_static("x-github-api-version"), version);
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(config.ca_file.as_deref()).map_err(Trouble::here)?)
            .user_agent(concat!("dv-coordinator/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // Nobody but the forge itself is shown the token.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|why| Trouble::here(format!("no client can be made: {}", chain(&why))))?;
        Ok(Self { http, base: config.api() })
    }

    /// One thing. The parts of its path may hold anything.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Trouble> {
        Ok(self.page(path, query, THING).await?.0)
    }

    /// The first page of a list.
    pub(super) async fn first<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, Trouble> {
        Ok(self.page(path, query, LIST).await?.0)
    }

    /// A list, page by page. An address that comes back from the forge is never followed, only counted on from.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, Trouble> {
        self.all(path, query, LIST, |page: Vec<T>| page).await
    }

    /// The same, where each page has the list inside of something.
    pub(super) async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        entries: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, Trouble> {
        self.all(path, query, THING, entries).await
    }

    async fn all<P: DeserializeOwned, T>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        opens: u8,
        entries: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, Trouble> {
        let size = PAGE.to_string();
        let mut all = Vec::new();
        for number in 1..=PAGES {
            let number = number.to_string();
            // GitHub and GitLab call it per_page, Gitea limit; each leaves the other's word aside.
            let paging = [("per_page", &*size), ("limit", &*size), ("page", &*number)];
            let query: Vec<_> = query.iter().copied().chain(paging).collect();
            let (page, more) = self.page(path, &query, opens).await?;
            all.extend(entries(page));
            if !more {
                return Ok(all);
            }
        }
        Err(Trouble::Other(format!("it lists more than {PAGES} pages at {}", path.join("/"))))
    }

    async fn page<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        opens: u8,
    ) -> Result<(T, bool), Trouble> {
        let url = self.url(path, query)?;
        let place = url.path().to_owned();
        let sent = self.http.get(url).send().await;
        let answer = sent.map_err(|why| Trouble::Other(chain(&why.without_url())))?;
        if answer.status() != StatusCode::OK {
            return Err(refused(&answer, &place));
        }
        let more = has_more(answer.headers());
        let body = body(answer).await?;
        // serde would take a list for a thing as well, field by field.
        if body.trim_ascii_start().first() != Some(&opens) {
            return Err(Trouble::nonsense(format!("it is of another form, at {place}")));
        }
        let page = serde_json::from_slice(&body)
            .map_err(|why| Trouble::nonsense(format!("{why}, at {place}")))?;
        Ok((page, more))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Trouble> {
        let mut url = Url::parse(&self.base).map_err(|why| Trouble::here(why.to_string()))?;
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// The whole answer, unless it is too large.
async fn body(mut answer: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    loop {
        let chunk = answer.chunk().await;
        match chunk.map_err(|why| Trouble::Other(chain(&why.without_url())))? {
            Some(chunk) if body.len() + chunk.len() > LARGEST => {
                return Err(Trouble::Other(format!(
                    "its answer is larger than {} MiB",
                    LARGEST / 1024 / 1024
                )));
            }
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body),
        }
    }
}

fn has_more(headers: &HeaderMap) -> bool {
    let links = headers.get_all(header::LINK).iter();
    let next = |link: &HeaderValue| link.to_str().is_ok_and(|link| link.contains("rel=\"next\""));
    links.into_iter().any(next) || text(headers, "x-next-page").is_some_and(|n| !n.is_empty())
}

/// What a status says to a person. The body is left aside: it may hold anything.
fn refused(answer: &Response, place: &str) -> Trouble {
    let (status, headers) = (answer.status(), answer.headers());
    if let Some(limited) = limited(status, headers) {
        return Trouble::Other(limited);
    }
    let hint = match status.as_u16() {
        401 => "it does not take the token: has it expired?".to_owned(),
        403 => {
            "the token may not see it: it needs to read code, pull requests and checks".to_owned()
        }
        404 => {
            return Trouble::NotFound(format!(
                "404 at {place}: it is not there, or the token may not see it"
            ));
        }
        301 | 302 | 307 | 308 => {
            let to = text(headers, header::LOCATION.as_str()).unwrap_or("elsewhere");
            format!("it has moved to {to}: write its new name")
        }
        // GitHub's word for a commit that it does not have.
        422 => "it does not know it".to_owned(),
        500.. => "it has a trouble of its own: try again later".to_owned(),
        _ => "that was not expected".to_owned(),
    };
    Trouble::Other(format!("{} at {place}: {hint}", status.as_u16()))
}

/// That it was asked too often, and when it may be asked again.
fn limited(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let spent = text(headers, "x-ratelimit-remaining") == Some("0");
    let later = text(headers, header::RETRY_AFTER.as_str());
    let is = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN && (spent || later.is_some()));
    if !is {
        return None;
    }
    let reset = ["x-ratelimit-reset", "ratelimit-reset"].iter().find_map(|n| text(headers, n));
    let reset = reset.and_then(|text| Timestamp::from_second(text.parse().ok()?).ok());
    let when = match (later, reset) {
        (Some(seconds), _) if seconds.bytes().all(|b| b.is_ascii_digit()) => {
            format!("it may be asked again in {seconds} s")
        }
        (_, Some(reset)) => format!("it may be asked again at {reset}"),
        _ => "ask again later".to_owned(),
    };
    Some(format!("it was asked too often ({}): {when}", status.as_u16()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
