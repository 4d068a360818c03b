//! A forge for tests: answers over HTTP what it was given, and remembers what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What is answered at one address.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Each page; one that is no list has one.
    pub(crate) pages: Vec<Vec<u8>>,
    /// It is asked, and never answers.
    pub(crate) silent: bool,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<String, Answer>,
    asked: Vec<String>,
    /// The header that must be there, in small letters.
    token: Option<String>,
}

/// It serves until it is dropped.
pub(crate) struct Stub {
    url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stub {
    /// A forge that lets nobody in without this header; `""` lets everybody in.
    pub(crate) async fn start(token: &str) -> Self {
        Self::over(token, None).await
    }

    /// The same over TLS.
    pub(crate) async fn over(token: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let token = Some(token.to_ascii_lowercase()).filter(|token| !token.is_empty());
        let state = Arc::new(Mutex::new(State { token, ..State::default() }));
        let known = Arc::clone(&state);
        let url = match tls {
            None => format!("http://127.0.0.1:{port}"),
            Some(_) => format!("https://localhost:{port}"),
        };
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, known) = (tls.clone(), Arc::clone(&known));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, known).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, known).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, state, serving }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers this at `path`, from now on.
    pub(crate) fn on(&self, path: &str, body: &Value) {
        self.pages(path, std::slice::from_ref(body));
    }

    /// The same in pages.
    pub(crate) fn pages(&self, path: &str, pages: &[Value]) {
        let pages = pages.iter().map(|page| serde_json::to_vec(page).unwrap()).collect();
        self.answer(path, Answer { status: 200, headers: Vec::new(), pages, silent: false });
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// Changes what is answered at `path`.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state.lock().unwrap();
        let answer = state.answers.get_mut(path).expect("there is such an answer");
        let mut body = serde_json::from_slice(&answer.pages[0]).unwrap();
        change(&mut body);
        answer.pages[0] = serde_json::to_vec(&body).unwrap();
    }

    /// There is no such thing any more.
    pub(crate) fn forget(&self, path: &str) {
        self.state.lock().unwrap().answers.remove(path).expect("there was such an answer");
    }

    /// Answers a bare status at `path`.
    pub(crate) fn refuse(&self, path: &str, status: u16, headers: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(owned).collect();
        let pages = vec![br#"{"message":"refused"}"#.to_vec()];
        self.answer(path, Answer { status, headers, pages, silent: false });
    }

    /// First lines of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let first = head.lines().next().unwrap().to_owned();
    let target = first.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let page = query.split('&').find_map(|part| part.strip_prefix("page="));
    let page: usize = page.map_or(1, |page| page.parse().unwrap());
    let answer = {
        let mut state = state.lock().unwrap();
        state.asked.push(first.clone());
        let known =
            |token: &String| head.to_ascii_lowercase().contains(&format!("\r\n{token}\r\n"));
        let refused = |status| Answer {
            status,
            headers: Vec::new(),
            pages: vec![br#"{"message":"refused"}"#.to_vec()],
            silent: false,
        };
        match state.token.as_ref().is_none_or(known) {
            true => state.answers.get(path).cloned().unwrap_or_else(|| refused(404)),
            false => refused(401),
        }
    };
    if answer.silent {
        return std::future::pending().await;
    }
    let body = answer.pages.get(page - 1).cloned().unwrap_or_else(|| b"[]".to_vec());
    let mut text = format!(
        "HTTP/1.1 {} Stub\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
        answer.status,
        body.len()
    );
    if page < answer.pages.len() {
        // An address that must not be followed.
        let next = format!("<http://stranger.invalid{path}?page={}>", page + 1);
        text.push_str(&format!("link: {next}; rel=\"next\", {next}; rel=\"last\"\r\n"));
    }
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}
