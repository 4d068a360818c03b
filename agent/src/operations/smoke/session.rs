//! The session: requests in order, with what a browser keeps between them.

use std::collections::BTreeMap;

use cookie_store::CookieStore;
use dv_types::{OpResult, Span, manifest::SmokeRequest};
use http::{Method, header};
use tokio::time::Instant;
use url::Url;

use super::{
    client::{Answer, Ask, Client},
    expect,
    form::Form,
    page::{Page, shown},
    secrets::{Hidden, Secrets},
};
use crate::operations::Context;

/// More redirects than this lead nowhere.
const REDIRECTS: usize = 10;

pub(super) struct Session<'a> {
    context: &'a Context,
    base: Option<&'a str>,
    /// Its base as a URL: what is of the same origin is shown by its path.
    home: Option<Url>,
    client: Client,
    cookies: CookieStore,
    secrets: Secrets<'a>,
    page: Option<Page>,
    /// One line for each request that was made.
    requests: Vec<String>,
    under_way: Option<String>,
}

/// A request on its way through its redirects.
struct Going {
    method: Method,
    url: Url,
    body: Option<Hidden>,
    /// Where it came from.
    referrer: Option<Url>,
}

impl<'a> Session<'a> {
    pub(super) fn new(context: &'a Context, base: Option<&'a str>, client: Client) -> Self {
        Self {
            context,
            base,
            home: base.and_then(|base| Url::parse(base).ok()),
            client,
            cookies: CookieStore::default(),
            secrets: Secrets::new(&context.policy, context.config.unprivileged),
            page: None,
            requests: Vec::new(),
            under_way: None,
        }
    }

    pub(super) fn secrets(&self) -> &Secrets<'a> {
        &self.secrets
    }

    pub(super) fn requests(&self) -> &[String] {
        &self.requests
    }

    pub(super) fn under_way(&self) -> Option<&str> {
        self.under_way.as_deref()
    }

    /// All requests, up to the first whose answer is not as expected.
    pub(super) async fn run(&mut self, requests: &[SmokeRequest]) -> Result<(), OpResult> {
        for (index, request) in requests.iter().enumerate() {
            let number = index + 1;
            let failed = |why| OpResult::Failed(format!("request {number}: {why}"));
            let going = match (&request.get, &request.submit) {
                (Some(target), None) => self.get(target).map_err(failed)?,
                (None, Some(selector)) => self.submit(selector, request, number)?,
                _ => return Err(failed("it is neither a get nor a submit".to_owned())),
            };
            let label = format!("{} {}", going.method, shown(&going.url, self.home.as_ref()));
            self.under_way = Some(label.clone());
            let page = self.go(going, &label, number).await?;
            self.under_way = None;
            let judged = expect::judge(&request.expect, &page, self.home.as_ref(), &self.secrets);
            self.page = Some(page);
            judged.map_err(|why| failed(format!("{label}: {why}")))?;
        }
        Ok(())
    }

    fn get(&self, target: &str) -> Result<Going, String> {
        let text = match (target.starts_with('/'), self.base) {
            (true, Some(base)) => format!("{}{target}", base.trim_end_matches('/')),
            (true, None) => return Err(format!("{target} needs a base to which it is relative")),
            (false, _) => target.to_owned(),
        };
        let url = Url::parse(&text).map_err(|e| format!("{text} is not a URL: {e}"))?;
        Ok(Going { method: Method::GET, url, body: None, referrer: None })
    }

    fn submit(
        &mut self,
        selector: &str,
        request: &SmokeRequest,
        number: usize,
    ) -> Result<Going, OpResult> {
        let failed = |why: String| OpResult::Failed(format!("request {number}, the form: {why}"));
        let refused = |why: String| OpResult::Refused(format!("request {number}, the form: {why}"));
        let page = self.page.as_ref();
        let page = page.ok_or_else(|| failed("there is no page yet; get one first".to_owned()))?;
        let form = Form::find(page, selector)
            .and_then(|form| form.has(request.fields.keys()).map(|()| form))
            .map_err(failed)?;
        let keeps = |text: &String| dv_types::operation::secrets(text).next().is_some();
        if !form.is_post && request.fields.values().any(keeps) {
            return Err(refused(
                "its method is get, which would put a secret into the URL, and so into logs"
                    .to_owned(),
            ));
        }
        let mut fields = BTreeMap::new();
        for (name, text) in &request.fields {
            fields.insert(name.as_str(), self.secrets.fill(text, &form.action).map_err(refused)?);
        }
        let (body, referrer) = (form.filled(&fields), Some(page.url.clone()));
        let mut url = form.action;
        if form.is_post {
            return Ok(Going { method: Method::POST, url, body: Some(body), referrer });
        }
        url.set_query(Some(body.expose()));
        Ok(Going { method: Method::GET, url, body: None, referrer })
    }

    /// Sends it, and follows where it is sent on to.
    async fn go(&mut self, mut going: Going, label: &str, number: usize) -> Result<Page, OpResult> {
        let began = Instant::now();
        let mut line = label.to_owned();
        let mut way = vec![shown(&going.url, self.home.as_ref())];
        loop {
            let answer = match self.send(&going, number).await {
                Ok(answer) => answer,
                Err(result) => {
                    self.requests.push(format!("{line}: no answer"));
                    return Err(result);
                }
            };
            line += &format!(": {}", answer.status.as_u16());
            let Some(next) = next(&going, &answer) else {
                let took =
                    Span::from_millis(began.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
                self.say(format!("{line} in {took}"));
                let Answer { status, is_html, body, .. } = answer;
                return Ok(Page { url: going.url, status: status.as_u16(), is_html, body });
            };
            let failed =
                |why: String| OpResult::Failed(format!("request {number}: {label}: {why}"));
            going = match next {
                Ok(next) => next,
                Err(why) => {
                    self.requests.push(line);
                    return Err(failed(why));
                }
            };
            let to = shown(&going.url, self.home.as_ref());
            line += &format!(" to {to}");
            if way.len() > REDIRECTS {
                self.requests.push(line);
                let first = way.iter().rposition(|before| *before == to);
                return Err(failed(match first {
                    Some(first) => {
                        format!("its redirects go in a loop: {} -> {to}", way[first..].join(" -> "))
                    }
                    None => format!("more than {REDIRECTS} redirects, the last to {to}"),
                }));
            }
            way.push(to);
        }
    }

    fn say(&mut self, line: String) {
        self.context.progress.say(&self.secrets.redact(&line));
        self.requests.push(line);
    }

    async fn send(&mut self, going: &Going, number: usize) -> Result<Answer, OpResult> {
        let Going { method, url, body, referrer } = going;
        let at = format!("request {number}: {method} {}", shown(url, self.home.as_ref()));
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OpResult::Failed(format!("{at}: only http and https can be asked")));
        }
        let cookies: Vec<_> = self
            .cookies
            .get_request_values(url)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let sent = body.as_ref().map_or("", Hidden::expose);
        self.secrets
            .may_be_sent(&[url.as_str(), sent, &cookies], url)
            .map_err(|why| OpResult::Refused(format!("{at}: {why}")))?;

        let mut headers = Vec::new();
        if !cookies.is_empty() {
            headers.push((header::COOKIE, cookies));
        }
        // Frameworks check these against forged requests.
        if let Some(referrer) = referrer {
            let origin = referrer.origin();
            if *method == Method::POST {
                headers.push((header::ORIGIN, origin.ascii_serialization()));
            }
            if origin == url.origin() {
                headers.push((header::REFERER, shown(referrer, None)));
            }
        }
        let ask = Ask { method: method.clone(), url, headers, body: body.as_ref() };
        let answer =
            self.client.ask(ask).await.map_err(|why| OpResult::Failed(format!("{at}: {why}")))?;
        for cookie in &answer.cookies {
            // One that is for somebody else, or is none, is left alone, as a browser does.
            let _ = self.cookies.parse(cookie, url);
        }
        Ok(answer)
    }
}

/// Where an answer sends on to; nothing if it is the last.
fn next(going: &Going, answer: &Answer) -> Option<Result<Going, String>> {
    let keeps = match answer.status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return None,
    };
    let location = answer.location.as_ref()?;
    let referrer = going.referrer.clone();
    Some(match going.url.join(location) {
        Err(e) => Err(format!("it redirects to {location:?}: {e}")),
        Ok(url) if keeps => {
            Ok(Going { method: going.method.clone(), url, body: going.body.clone(), referrer })
        }
        Ok(url) => Ok(Going { method: Method::GET, url, body: None, referrer }),
    })
}
