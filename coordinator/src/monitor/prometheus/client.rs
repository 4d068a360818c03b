//! One instant query at a time, with a limit on everything.

use std::time::Duration;

use dv_types::Timestamp;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Url, redirect::Policy};

use super::{PrometheusConfig, answer};
use crate::{
    files,
    outgoing::{chain, tls},
};

/// What one answer may hold: a number or a few.
const LARGEST: usize = 1024 * 1024;

/// Asks one Prometheus.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
}

impl Client {
    pub(super) fn open(config: &PrometheusConfig, timeout: Duration) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(path) = &config.token_file {
            let token = files::read_secret(path).map_err(|why| format!("token_file: {why}"))?;
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| format!("token_file {}: it is no token", path.display()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(config.ca_file.as_deref())?)
            .user_agent(concat!("dv-coordinator/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            // Nobody but it is shown the token, and no proxy of the surroundings is asked.
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .build()
            .map_err(|why| chain(&why))?;
        Ok(Self { http, url: config.query_url()? })
    }

    /// The values that the query has at that moment.
    pub(super) async fn query(&self, query: &str, at: Timestamp) -> Result<Vec<f64>, String> {
        let mut url = self.url.clone();
        let time = format!("{}.{:03}", at.as_second(), at.subsec_millisecond());
        url.query_pairs_mut().append_pair("query", query).append_pair("time", &time);
        let sent = self.http.get(url).send().await.map_err(|why| chain(&why.without_url()))?;
        let status = sent.status();
        let body = body(sent).await?;
        match answer::values(&body) {
            // It says itself what is wrong, with a status that is not 200 as well.
            Some(read) => read,
            None if status.is_success() => Err("its answer is not understood".to_owned()),
            None => Err(format!("it answers {status}")),
        }
    }
}

async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|why| chain(&why.without_url()))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(format!("its answer is larger than {LARGEST} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
