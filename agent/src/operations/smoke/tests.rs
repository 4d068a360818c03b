mod forms;
mod panel;

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use dv_types::{Span, manifest::SmokeRequest};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{limits::Limits, operations::testing, policy::Policy};
use panel::{Asked, PASSWORD, Panel, answer, page, panel, redirect};

/// A host with one secret, `panel`, that may go to `origins`.
fn host(origins: &[&str], secret: &str) -> (Context, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("panel");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let origins = if origins.is_empty() { &["http://nowhere.example"] } else { origins };
    let policy = format!("secrets: {{panel: {{file: {}, origins: {origins:?}}}}}", file.display());
    let mut context = testing::context(testing::no_ports(), Span::from_secs(20));
    context.policy = Policy::parse(Path::new("/p.yaml"), &policy).unwrap();
    (context, dir)
}

fn requests(json: serde_json::Value) -> Smoke {
    serde_json::from_value(serde_json::json!({ "session": json })).unwrap()
}

fn login() -> Smoke {
    requests(serde_json::json!([
        {"get": "/", "expect": {"path": "/login", "selector": "form#login"}},
        {"submit": "form#login", "fields": {"user": "smoke", "password": "${secret:panel}"},
         "expect": {"status": 200, "path": "/", "text": "Welcome, Ann & Bob", "selector": "#dashboard"}},
    ]))
}

async fn run(context: &Context, test: &Smoke, base: &str) -> Attempt {
    smoke(context, test, Some(base)).await.unwrap_or_else(|halt| *halt)
}

/// The lines, without the times.
fn lines(attempt: &Attempt) -> Vec<String> {
    let Some(Evidence::Smoke { requests }) = &attempt.evidence else { panic!("{attempt:?}") };
    requests.iter().map(|line| line.split(" in ").next().unwrap().to_owned()).collect()
}

fn failure(attempt: &Attempt) -> &str {
    match &attempt.result {
        OpResult::Failed(why) => why,
        other => panic!("it did not fail: {other:?}"),
    }
}

fn refusal(attempt: &Attempt) -> &str {
    match &attempt.result {
        OpResult::Refused(why) => why,
        other => panic!("it was not refused: {other:?}"),
    }
}

/// Neither as it is nor as anything would write it.
fn holds_no_secret(attempt: &Attempt, secret: &str) {
    let told = format!("{attempt:?}");
    let json = serde_json::to_string(&attempt.evidence).unwrap();
    let coded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for text in [told, json, format!("{}", attempt.result)] {
        for part in [secret, &coded, "h&amp;nter", "h&nter", "h%26nter", "nter 2"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn logs_in_and_sees_the_dashboard() {
    let panel = Panel::start(panel).await;
    let (context, _dir) = host(&[&panel.url()], PASSWORD);
    let attempt = run(&context, &login(), &panel.url()).await;
    assert_eq!(attempt.result, OpResult::Done);
    assert_eq!(lines(&attempt), ["GET /: 302 to /login: 200", "POST /login: 303 to /: 200"]);
    holds_no_secret(&attempt, PASSWORD);
    let asked = panel.asked();
    assert_eq!(asked[2].field("password"), Some(PASSWORD));
    assert_eq!(asked[2].header("origin"), panel.url());
    assert_eq!(asked[2].header("referer"), format!("{}/login", panel.url()));
    assert_eq!(asked[3].method, "GET");
    assert_eq!(asked[3].header("host"), panel.address);
}

#[tokio::test]
async fn a_panel_that_shows_the_password_again_does_not_give_it_away() {
    let panel = Panel::start(panel).await;
    let wrong = "h&nter 2<\"é";
    let (context, _dir) = host(&[&panel.url()], wrong);
    let attempt = run(&context, &login(), &panel.url()).await;
    let why = failure(&attempt);
    assert!(
        why.starts_with(
            "request 2: POST /login: expected status 200, but got 401 at /login, titled"
        )
    );
    assert!(why.contains("Sorry ${secret:panel}"), "{why}");
    assert!(why.contains("Wrong: ${secret:panel}${secret:panel}"), "{why}");
    holds_no_secret(&attempt, wrong);
}

#[tokio::test]
async fn a_secret_in_an_address_is_not_shown_either() {
    let panel = Panel::start(|asked| match &*asked.target {
        "/" => page("<form method=post action=/in><input name=p></form>"),
        "/in" => redirect("302 Found", &format!("/hello/{}?p=1", "h%26nter%202")),
        _ => page("hello"),
    })
    .await;
    let (context, _dir) = host(&[&panel.url()], "h&nter 2");
    let test = requests(serde_json::json!([
        {"get": "/"},
        {"submit": "form", "fields": {"p": "${secret:panel}"}, "expect": {"text": "bye"}},
    ]));
    let attempt = run(&context, &test, &panel.url()).await;
    assert!(
        failure(&attempt).contains("got 200 at /hello/${secret:panel}: \"hello\""),
        "{attempt:?}"
    );
    assert_eq!(lines(&attempt)[1], "POST /in: 302 to /hello/${secret:panel}: 200");
    holds_no_secret(&attempt, "h&nter 2");
}

#[tokio::test]
async fn a_secret_goes_to_no_origin_that_the_policy_does_not_list() {
    let stranger = Panel::start(|_| page("thank you")).await;
    let to = stranger.url();
    let form = {
        let to = to.clone();
        Panel::start(move |_| {
            page(&format!("<form method=post action='{to}/take'><input name=p></form>"))
        })
        .await
    };
    let test = requests(serde_json::json!([
        {"get": "/"}, {"submit": "form", "fields": {"p": "${secret:panel}"}},
    ]));
    let (context, _dir) = host(&[&form.url()], "hunter2");
    let attempt = run(&context, &test, &form.url()).await;
    let why = refusal(&attempt);
    assert!(
        why.contains(&format!("the secret panel would go to {to}")) && why.contains("only"),
        "{why}"
    );
    assert!(stranger.asked().is_empty());
    assert_eq!(lines(&attempt), ["GET /: 200"]);
    // Listed, it goes there.
    let (context, _dir) = host(&[&to], "hunter2");
    assert_eq!(run(&context, &test, &form.url()).await.result, OpResult::Done);
    assert_eq!(stranger.asked()[0].field("p"), Some("hunter2"));
    assert_eq!(stranger.asked()[0].header("referer"), "");
}

#[tokio::test]
async fn a_secret_follows_no_redirect_to_another_origin() {
    for (status, target) in [
        ("307 Temporary Redirect", "/take"),
        ("308 Permanent Redirect", "/take"),
        // It need not be the body that carries it.
        ("302 Found", "/take?p=hunter2"),
        ("302 Found", "/take?p=%68unter2"),
    ] {
        let stranger = Panel::start(|_| page("thank you")).await;
        let to = format!("{}{target}", stranger.url());
        let panel = Panel::start(move |asked| match &*asked.method {
            "GET" => page("<form method=post action=/in><input name=p></form>"),
            _ => redirect(status, &to),
        })
        .await;
        let (context, _dir) = host(&[&panel.url()], "hunter2");
        let test = requests(serde_json::json!([
            {"get": "/"}, {"submit": "form", "fields": {"p": "${secret:panel}"}},
        ]));
        let attempt = run(&context, &test, &panel.url()).await;
        assert!(refusal(&attempt).contains("the secret panel would go to"), "{attempt:?}");
        assert!(stranger.asked().is_empty(), "{status}");
        assert!(!format!("{attempt:?}").contains("unter2"));
    }
}

#[tokio::test]
async fn a_page_can_not_pass_a_secret_on_in_a_field_of_its_own() {
    let stranger = Panel::start(|_| page("thank you")).await;
    let to = stranger.url();
    let panel = Panel::start(move |asked| match &*asked.method {
        "GET" => page("<form method=post><input name=p></form>"),
        _ => page(&format!("<form method=post action='{to}'><input name=q value=hunter2></form>")),
    })
    .await;
    let (context, _dir) = host(&[&panel.url()], "hunter2");
    let test = requests(serde_json::json!([
        {"get": "/"}, {"submit": "form", "fields": {"p": "${secret:panel}"}}, {"submit": "form"},
    ]));
    refusal(&run(&context, &test, &panel.url()).await);
    assert!(stranger.asked().is_empty());
}

#[tokio::test]
async fn a_secret_that_can_not_be_had_is_refused_and_nothing_is_sent() {
    let panel = Panel::start(|_| {
        page("<form method=post><input name=p></form><form id=get><input name=p></form>")
    })
    .await;
    let test = |selector: &str, secret: &str| {
        requests(serde_json::json!([
            {"get": "/"}, {"submit": selector, "fields": {"p": format!("${{secret:{secret}}}")}},
        ]))
    };
    let (context, dir) = host(&[&panel.url()], "hunter2");
    for (test, part) in [
        (test("form", "other"), "the policy does not list the secret other"),
        (test("form#get", "panel"), "its method is get"),
    ] {
        let attempt = run(&context, &test, &panel.url()).await;
        assert!(refusal(&attempt).contains(part), "{attempt:?}");
    }
    let file = dir.path().join("panel");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let attempt = run(&context, &test("form", "panel"), &panel.url()).await;
    assert!(refusal(&attempt).contains("chmod go="), "{attempt:?}");
    std::fs::remove_file(&file).unwrap();
    let attempt = run(&context, &test("form", "panel"), &panel.url()).await;
    assert!(refusal(&attempt).contains(&file.display().to_string()), "{attempt:?}");
    assert!(panel.asked().iter().all(|asked| asked.method == "GET"));
}

#[tokio::test]
async fn a_failed_expectation_says_what_came() {
    let panel = Panel::start(|_| {
        page(&format!("<title> A\n page </title><body><p>so it  is</p><b>{}</b>", "x".repeat(500)))
    })
    .await;
    let (context, _dir) = host(&[], "hunter2");
    for (expect, expected) in [
        (
            serde_json::json!({"status": 404}),
            "expected status 404, but got 200 at /a/b, titled \"A page\": \"so it is",
        ),
        (serde_json::json!({"path": "/c"}), "expected to end at /c, but got 200 at /a/b"),
        (serde_json::json!({"text": "so it was"}), "expected the text \"so it was\", but got 200"),
        (
            serde_json::json!({"selector": "p.big"}),
            "expected something that p.big selects, but got 200",
        ),
        (serde_json::json!({"selector": "p["}), "is not a CSS selector"),
    ] {
        let test = requests(serde_json::json!([{"get": "/b?private=1", "expect": expect}]));
        let attempt = run(&context, &test, &format!("{}/a", panel.url())).await;
        let why = failure(&attempt);
        assert!(why.starts_with("request 1: GET /a/b: ") && why.contains(expected), "{why}");
        assert!(!format!("{attempt:?}").contains("private"), "{attempt:?}");
        assert!(why.len() < 400, "{why}");
    }
    let test = requests(serde_json::json!([{"get": "/", "expect": {"text": "so it is"}}]));
    assert_eq!(run(&context, &test, &panel.url()).await.result, OpResult::Done);
}

#[tokio::test]
async fn any_good_status_will_do_where_none_is_given() {
    let panel = Panel::start(|asked| answer(&format!("{} X", &asked.target[1..]), "", "")).await;
    let (context, _dir) = host(&[], "hunter2");
    for (status, good) in
        [("200", true), ("204", true), ("304", false), ("404", false), ("500", false)]
    {
        let test = requests(serde_json::json!([{"get": format!("/{status}")}]));
        let attempt = run(&context, &test, &panel.url()).await;
        assert_eq!(attempt.result.is_done(), good, "{attempt:?}");
    }
}

#[tokio::test]
async fn redirects_keep_or_drop_the_body_and_end_somewhere() {
    let panel = Panel::start(|asked| match (&*asked.method, &*asked.target) {
        ("GET", "/") => page("<form method=post action=in><input name=a value=1></form>"),
        ("POST", "/in") => redirect("307 X", "/there"),
        ("POST", "/there") => redirect("302 X", "/end"),
        ("GET", "/end") => page("end"),
        ("GET", "/a") => redirect("301 X", "b"),
        ("GET", "/b") => redirect("302 X", "/a"),
        ("GET", far) if far.starts_with("/far") => redirect("302 X", &format!("{far}r")),
        ("GET", "/ftp") => redirect("302 X", "ftp://example.com/"),
        ("GET", "/bad") => redirect("302 X", "http://[/"),
        _ => answer("500 X", "", ""),
    })
    .await;
    let (context, _dir) = host(&[], "hunter2");
    let test =
        requests(serde_json::json!([{"get": "/"}, {"submit": "form", "expect": {"path": "/end"}}]));
    let attempt = run(&context, &test, &panel.url()).await;
    assert_eq!(attempt.result, OpResult::Done);
    assert_eq!(lines(&attempt)[1], "POST /in: 307 to /there: 302 to /end: 200");
    assert_eq!(panel.asked()[2].field("a"), Some("1"));
    for (path, part) in [
        ("/a", "in a loop: /b -> /a -> /b"),
        ("/far", "more than 10 redirects, the last to /far"),
        ("/ftp", "only http and https"),
        ("/bad", "it redirects to \"http://[/\""),
    ] {
        let before = panel.asked().len();
        let attempt =
            run(&context, &requests(serde_json::json!([{"get": path}])), &panel.url()).await;
        assert!(failure(&attempt).contains(part), "{path}: {attempt:?}");
        assert!(panel.asked().len() - before <= 11);
    }
}

#[tokio::test]
async fn cookies_go_where_they_belong_and_end_when_they_are_taken_back() {
    let panel = Panel::start(|asked| {
        let cookies = match &*asked.target {
            "/set" => {
                "set-cookie: a=1\r\nset-cookie: b=2; Path=/deep\r\nset-cookie: c=3; Domain=example.com\r\n\
                 set-cookie: d=4; Max-Age=0\r\nset-cookie: e=5\r\nset-cookie: f=6\r\n"
            }
            "/unset" => {
                "set-cookie: e=; Max-Age=0\r\nset-cookie: f=; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n"
            }
            _ => "",
        };
        answer("200 OK", cookies, "")
    })
    .await;
    let (context, _dir) = host(&[], "hunter2");
    let test = requests(serde_json::json!([
        {"get": "/set"}, {"get": "/x"}, {"get": "/unset"}, {"get": "/x"}, {"get": "/deep/x"},
    ]));
    assert_eq!(run(&context, &test, &panel.url()).await.result, OpResult::Done);
    let cookies: Vec<Vec<String>> = panel
        .asked()
        .iter()
        .map(|asked| {
            let mut cookies: Vec<_> =
                asked.header("cookie").split("; ").map(str::to_owned).collect();
            cookies.sort();
            cookies
        })
        .collect();
    assert_eq!(cookies[1], ["a=1", "e=5", "f=6"]);
    assert_eq!(cookies[3], ["a=1"]);
    assert_eq!(cookies[4], ["a=1", "b=2"]);
    // Another session knows nothing of them.
    run(&context, &requests(serde_json::json!([{"get": "/x"}])), &panel.url()).await;
    assert_eq!(panel.asked()[5].header("cookie"), "");
}

#[tokio::test]
async fn what_does_not_answer_well_is_told() {
    let (context, _dir) = host(&[], "hunter2");
    let get = requests(serde_json::json!([{"get": "/x"}]));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let attempt = run(&context, &get, &format!("http://{closed}")).await;
    let why = failure(&attempt);
    assert!(why.starts_with("request 1: GET /x: ") && why.contains("refused"), "{why}");
    assert_eq!(lines(&attempt), ["GET /x: no answer"]);

    let long = Panel::start(|_| answer("200 OK", "", &"x".repeat((2 << 20) + 1))).await;
    let attempt = run(&context, &get, &long.url()).await;
    assert!(failure(&attempt).contains("longer than 2 MiB"), "{attempt:?}");
    let torn = Panel::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_owned()).await;
    assert!(failure(&run(&context, &get, &torn.url()).await).contains("broke off"));
    let latin = Panel::start(|_| page("caf\u{e9}")).await;
    let cafe = requests(serde_json::json!([{"get": "/x", "expect": {"text": "café"}}]));
    assert_eq!(run(&context, &cafe, &latin.url()).await.result, OpResult::Done);
}

#[tokio::test]
async fn it_ends_when_its_time_is_up_or_it_is_called_off() {
    let silent = Panel::start(|asked| match &*asked.target {
        "/" => page(""),
        _ => String::new(),
    })
    .await;
    let test = requests(serde_json::json!([{"get": "/"}, {"get": "/x"}]));
    let (mut context, _dir) = host(&[], "hunter2");
    context.limits = Limits::new(Span::from_millis(300), CancellationToken::new());
    let attempt = run(&context, &test, &silent.url()).await;
    let words = "it was not done within 300ms: no end of GET /x";
    assert_eq!(attempt.result, OpResult::TimedOut(words.to_owned()));
    assert_eq!(lines(&attempt), ["GET /: 200"]);

    let cancel = CancellationToken::new();
    context.limits = Limits::new(Span::from_secs(20), cancel.clone());
    cancel.cancel();
    assert_eq!(run(&context, &test, &silent.url()).await.result, OpResult::Cancelled);
}

#[tokio::test]
async fn an_https_server_must_be_vouched_for() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = parameters.self_signed(&key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![certificate.der().clone()],
        rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    )
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let answer = |_: &Asked| page("<p>private</p>");
                panel::serve(stream, Arc::default(), Arc::new(answer)).await;
            }
        }
    });
    let (context, _dir) = host(&[], "hunter2");
    let test = requests(serde_json::json!([{"get": "/", "expect": {"text": "private"}}]));
    let trusting = |roots| Client::trusting(client::trust(roots).unwrap());
    let mut roots = rustls::RootCertStore::empty();
    let attempt = session(&context, &test, Some(&base), trusting(roots.clone())).await;
    assert!(failure(&attempt).contains("TLS: "), "{attempt:?}");
    roots.add(certificate.der().clone()).unwrap();
    let attempt = session(&context, &test, Some(&base), trusting(roots)).await;
    assert_eq!(attempt.result, OpResult::Done);
}

#[tokio::test]
async fn a_command_is_run_instead() {
    let (context, _dir) = host(&[], "hunter2");
    let command = |program: &str| Smoke {
        command: Some(vec![program.to_owned()]),
        ..requests(serde_json::json!([]))
    };
    assert_eq!(run(&context, &command("/bin/true"), "").await.result, OpResult::Done);
    let attempt = run(&context, &command("/bin/false"), "").await;
    assert_eq!(failure(&attempt), "exit code 1");
    assert_eq!(attempt.evidence, Some(Evidence::Exit { code: Some(1), signal: None }));
}

#[tokio::test]
async fn a_path_needs_a_base_and_a_form_needs_a_page() {
    let (context, _dir) = host(&[], "hunter2");
    for request in [
        SmokeRequest { get: Some("/x".into()), ..SmokeRequest::default() },
        SmokeRequest { submit: Some("form".into()), ..SmokeRequest::default() },
        SmokeRequest::default(),
    ] {
        let test = Smoke { session: vec![request], ..requests(serde_json::json!([])) };
        failure(&smoke(&context, &test, None).await.unwrap());
    }
}
