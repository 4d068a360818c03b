//! Those who come in and do nothing, or too much: they are in nobody's way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dv_proto::{dial, v1::ListHostsRequest};
use dv_types::{record::Verdict, report::State};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    rollout::{fleet, in_contact},
    support::{Agent, HostIdentity, Site, World, eventually, manifest, operator::Operator as _},
};

async fn dial_to(site: &Site) -> TcpStream {
    TcpStream::connect(site.address().replace("localhost", "127.0.0.1")).await.unwrap()
}

/// Resolves when the coordinator has closed it.
async fn closed(mut connection: TcpStream) {
    let mut words = [0; 4096];
    while matches!(connection.read(&mut words).await, Ok(read) if read > 0) {}
}

/// A handshake's first words.
fn hello(site: &Site) -> Vec<u8> {
    let config = dial::client_tls(&site.ca(), None).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut words = Vec::new();
    client.write_tls(&mut words).unwrap();
    words
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let mut site = Site::new();
    let _running = site.start().await;
    let mut silent = JoinSet::new();
    for _ in 0..600 {
        let connection = dial_to(&site).await;
        silent.spawn(closed(connection));
    }
    let mut operator = site.operator();
    tokio::select! {
        answer = operator.list_hosts(ListHostsRequest {}) => { answer.unwrap(); }
        _ = silent.join_next() => panic!("there was no answer before one of the silent had gone"),
    }
}

#[tokio::test]
async fn a_rollout_goes_on_and_hosts_come_in_among_thousands_of_half_open_handshakes() {
    const CONNECTIONS: usize = 3000;
    let mut site = Site::new();
    let _running = site.start().await;
    let world = World::default();
    let _agents = fleet(&site, &world, 3).await;

    let hello = hello(&site);
    let sent_away = Arc::new(AtomicUsize::default());
    let mut half_open = JoinSet::new();
    let open = async || {
        let mut connection = dial_to(&site).await;
        // It may have been sent away already.
        let _ = connection.write_all(&hello).await;
        connection
    };
    let again = |connection, half_open: &mut JoinSet<()>| {
        let sent_away = Arc::clone(&sent_away);
        half_open.spawn(async move {
            closed(connection).await;
            sent_away.fetch_add(1, Ordering::SeqCst);
        });
    };
    for _ in 0..CONNECTIONS {
        again(open().await, &mut half_open);
    }
    let attack = async {
        loop {
            half_open.join_next().await;
            again(open().await, &mut half_open);
        }
    };
    let work = async {
        eventually("there is no room for all of them", async || {
            (sent_away.load(Ordering::SeqCst) > 0).then_some(())
        })
        .await;
        // Who comes now makes handshakes of its own: as a stranger, as a host, as an operator.
        let _late = Agent::join(&site, &world, "late").await;
        in_contact(&site, 4).await;
        let mut operator = site.operator();
        let id = operator.begin(&manifest(|_| ()), "1.0").await.unwrap();
        let (_, report) = operator.follow(&id).await;
        assert_eq!(report.state, State::Ended(Verdict::Succeeded));
        assert_eq!(report.totals.healthy, 4);
    };
    tokio::select! {
        () = work => {}
        () = attack => {}
    }
    world.nothing_ran_twice();
}

#[tokio::test]
async fn who_says_too_much_for_a_handshake_goes_before_the_silent() {
    let mut site = Site::new();
    let _running = site.start().await;
    let silent = closed(dial_to(&site).await);
    let mut long = dial_to(&site).await;
    // One greeting of 60,000 bytes, in records as long as they may be.
    let mut words = Vec::new();
    let greeting = [&[1, 0, 0xea, 0x60][..], &[0; 40_000]].concat();
    for part in greeting.chunks(16_384) {
        words.extend([22, 3, 1]);
        words.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        words.extend(part);
    }
    let _ = long.write_all(&words).await;
    tokio::select! {
        () = closed(long) => {}
        () = silent => panic!("the silent one went first"),
    }
}

#[tokio::test]
async fn a_host_has_a_few_connections_and_no_more() {
    let mut site = Site::new();
    let _running = site.start().await;
    let identity = site.enrol("web1", &[]).await;
    let mut first = connect_as(&site, &identity).await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(connect_as(&site, &identity).await);
    }
    let mut words = Vec::new();
    let _ = first.read_to_end(&mut words).await;
    // The last one is as good as the first was.
    let mut last = others.pop().unwrap();
    assert!(last.read_u8().await.is_ok(), "the server's settings come first");
}

async fn connect_as(site: &Site, identity: &HostIdentity) -> TlsStream<TcpStream> {
    let shown = dial::Identity { certificate: &identity.certificate, key: &identity.key };
    let mut config = dial::client_tls(&site.ca(), Some(shown)).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, dial_to(site).await).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream
}
