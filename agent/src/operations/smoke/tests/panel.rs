//! A little web panel with a log-in, that keeps what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use url::form_urlencoded;

/// What it was asked.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) form: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A server at work.
pub(super) struct Panel {
    pub(super) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Panel {
    /// Answers each request with what `answer` says, byte for byte; nothing is an answer that never comes.
    pub(super) async fn start(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept), Arc::clone(&answer)));
            }
        });
        Self { address, asked }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads one request and answers it.
pub(super) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> String>,
) {
    let mut bytes = Vec::new();
    let asked = loop {
        if let Some(asked) = parse(&bytes) {
            break asked;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&more[..count]),
            _ => return,
        }
    };
    let answer = answer(&asked);
    kept.lock().unwrap().push(asked);
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn parse(bytes: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() >= length).then(|| Asked {
        method,
        target,
        headers,
        form: form_urlencoded::parse(body.as_bytes()).into_owned().collect(),
    })
}

/// An answer with these further headers, each with its end of line.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(super) fn page(body: &str) -> String {
    answer("200 OK", "", body)
}

pub(super) fn redirect(status: &str, to: &str) -> String {
    answer(status, &format!("location: {to}\r\n"), "")
}

pub(super) const PASSWORD: &str = "h&nter 2+<\"ü%";

const LOGIN: &str = r#"<title>Sign in</title>
<form id="login" method="post">
  <input type="hidden" name="csrf" value="t&amp;k n">
  <input name="user"><input name="password" type="password">
  <button>Sign in</button>
</form>"#;

/// The panel of a service: a log-in with a token, a session, a dashboard.
pub(super) fn panel(asked: &Asked) -> String {
    match (&*asked.method, &*asked.target) {
        ("GET", "/login?next=/") => {
            answer("200 OK", "set-cookie: session=s1; HttpOnly; Path=/\r\n", LOGIN)
        }
        ("POST", "/login?next=/") => {
            let known =
                asked.header("cookie") == "session=s1" && asked.field("csrf") == Some("t&k n");
            let right =
                asked.field("user") == Some("smoke") && asked.field("password") == Some(PASSWORD);
            match (known, right) {
                (true, true) => {
                    answer("303 See Other", "location: /\r\nset-cookie: session=s2; Path=/\r\n", "")
                }
                (false, _) => answer("403 Forbidden", "", "forged"),
                // As bad panels do, it shows what was typed.
                (_, false) => {
                    let typed = asked.field("password").unwrap_or_default();
                    let escaped =
                        typed.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
                    let coded: String = form_urlencoded::byte_serialize(typed.as_bytes()).collect();
                    let body = format!(
                        "<title>Sorry {escaped}</title><p>Wrong: {escaped}</p><p>{coded}</p><script>no</script>"
                    );
                    answer("401 Unauthorized", "", &body)
                }
            }
        }
        ("GET", "/") if asked.header("cookie") == "session=s2" => {
            page("<title>DebVisor</title><main id=dashboard>Welcome,\n  Ann &amp; Bob</main>")
        }
        ("GET", "/") => redirect("302 Found", "/login?next=/"),
        _ => answer("404 Not Found", "", "no such page"),
    }
}
