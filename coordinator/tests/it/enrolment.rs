//! How hosts get in, and how they don't.

use std::sync::Arc;

use dv_coordinator::{clock::ManualClock, store::MemoryStore};
use dv_proto::v1::{CreateTokenRequest, RenewRequest};
use dv_types::{Span, Timestamp};
use rcgen::KeyPair;
use tonic::Code;

use super::support::{Agent, Site, World, csr, eventually};

#[tokio::test]
async fn a_token_lets_one_host_in_once() {
    let mut site = Site::new();
    let _running = site.start().await;
    let token = site.token("web1", &[("zone", "a")]).await;

    let other = site.enrol_with(&token, "web2").await.err().unwrap();
    assert_eq!(other.code(), Code::PermissionDenied);
    assert!(other.message().contains("web1"), "{}", other.message());

    site.enrol_with(&token, "web1").await.unwrap();
    let again = site.enrol_with(&token, "web1").await.err().unwrap();
    assert_eq!(again.code(), Code::PermissionDenied);
    assert!(again.message().contains("used already"), "{}", again.message());

    let hosts = site.operator().list_hosts(dv_proto::v1::ListHostsRequest {}).await.unwrap();
    let [host] = hosts.into_inner().hosts.try_into().unwrap();
    assert_eq!((host.name.as_str(), host.labels["zone"].as_str()), ("web1", "a"));
    assert!(!host.connected && host.since.is_empty());
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused() {
    let mut site = Site::new();
    let _running = site.start().await;
    let token = site.token("web1", &[]).await;
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[3] = "0".repeat(32);
    for forged in ["", "dv1", "secret", &token[1..], &parts.join(".")] {
        let refused = site.enrol_with(forged, "web1").await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{forged:?}");
    }
    // The right one was not used up by that.
    site.enrol_with(&token, "web1").await.unwrap();
}

#[tokio::test]
async fn a_token_expires() {
    let clock = ManualClock::new(Timestamp::now());
    let mut site = Site::with(Arc::new(MemoryStore::default()), Arc::new(clock.clone()));
    let _running = site.start().await;
    let (early, late) = (site.token("web1", &[]).await, site.token("web2", &[]).await);
    clock.advance(Span::from_secs(30 * 60 - 1));
    site.enrol_with(&early, "web1").await.unwrap();
    clock.advance(Span::from_secs(1));
    let refused = site.enrol_with(&late, "web2").await.err().unwrap();
    assert!(refused.message().contains("expired"), "{}", refused.message());
}

#[tokio::test]
async fn tokens_are_made_for_real_hosts_and_a_short_time() {
    let mut site = Site::new();
    let _running = site.start().await;
    let day = 24 * 60 * 60;
    let labels = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    for (host, labels, ttl_seconds) in [
        ("", labels("a", "b"), 0),
        ("Web 1", labels("a", "b"), 0),
        ("web1", labels("a", "b"), day + 1),
        ("web1", labels("a b", "b"), 0),
        ("web1", labels("a", ""), 0),
    ] {
        let request = CreateTokenRequest { host: host.to_owned(), labels, ttl_seconds };
        let refused = site.operator().create_token(request.clone()).await.err();
        assert_eq!(refused.map(|s| s.code()), Some(Code::InvalidArgument), "{request:?}");
    }
}

#[tokio::test]
async fn enrolling_anew_ends_the_old_certificate_and_renewing_does_not() {
    let mut site = Site::new();
    let _running = site.start().await;
    let old = site.enrol("web1", &[]).await;

    let key = KeyPair::generate().unwrap();
    let request = || RenewRequest { csr_pem: csr(&key) };
    let renewed = site.link(&old).renew(request()).await.unwrap().into_inner();
    let renewed = super::support::HostIdentity {
        certificate: renewed.certificate_pem,
        key: key.serialize_pem(),
    };
    // The answer could have got lost: the old one may ask again.
    site.link(&old).renew(request()).await.unwrap();

    let new = site.enrol("web1", &[]).await;
    for replaced in [&old, &renewed] {
        let refused = site.link(replaced).renew(request()).await.err().unwrap();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    }
    site.link(&new).renew(request()).await.unwrap();
}

#[tokio::test]
async fn of_two_agents_with_one_name_the_newest_stays() {
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let (first, identity) = Agent::join(&site, &world, "web1").await;
    let since = || async {
        let hosts = site.operator().list_hosts(dv_proto::v1::ListHostsRequest {}).await.unwrap();
        let host = hosts.into_inner().hosts.remove(0);
        host.connected.then_some(host.since)
    };
    let before = eventually("web1 connects", async || since().await).await;
    // Both come back again and again: each new stream replaces the one before.
    let second = Agent::start(&site, &world, "web1", &identity);
    eventually("the second agent takes over", async || {
        since().await.filter(|since| *since != before)
    })
    .await;
    drop(first);
    let held = eventually("the second agent stays", async || since().await).await;
    drop(second);
    eventually("web1 is out of contact", async || {
        let connected = since().await;
        (connected.is_none() || connected.as_ref() != Some(&held))
            .then_some(())
            .filter(|()| connected.is_none())
    })
    .await;
}
