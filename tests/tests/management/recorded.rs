//! The recorded registration, octet for octet over the wire, and the answer beside the recorded one.

use std::sync::Arc;

use causeway_tests::conformance::http::Recorded;
use causeway_tests::conformance::{management, recordings};
use certs::key::KeyKind;
use gateway::Clock;
use gateway::http::{bind, serve};
use registry::management::{Admission, ManagementServices, ManagementTls, Port};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::service::Memory;

/// Headers of the recorded answer that are not ours: those of the web server in front of the registry, and
/// the time.
const OTHERS: [&str; 3] = ["server", "date", "connection"];

#[tokio::test]
async fn the_recorded_registration_gets_the_recorded_answer() {
    let Some(folder) = recordings() else {
        eprintln!("SKIPPED: no recordings here, see CAUSEWAY_RECORDINGS");
        return;
    };
    let read = |name: &str| std::fs::read(folder.join("management").join(name)).unwrap();
    let (request, response) = (read("authCertReg.request.http"), read("authCertReg.response.http"));
    let now = management::RECORDED_AT.parse().unwrap();
    let memory = Arc::new(Memory::default());
    memory.see(management::recorded_view(&folder, now).unwrap());
    // The registry had taken seven requests before.
    memory.number_from(7);

    let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let state = tempfile::tempdir().unwrap();
    let tls = Arc::new(ManagementTls::open_or_create(state.path(), KeyKind::P256, "cs", now).unwrap());
    let services = ManagementServices::new(
        Port::Registration,
        memory.clone(),
        Clock::set_to(now),
        Admission::default(),
        10,
    );
    let (_stop, stopped) = watch::channel(false);
    let acceptor = Arc::clone(&tls);
    let make = move |connection| Some(services.visit(connection));
    tokio::spawn(serve(listener, Some(move || Some(acceptor.current().acceptor())), make, stopped));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(tls.current().certificate().der().to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("cs").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    // As recorded, but that the connection ends behind the answer.
    let at = request.windows(10).position(|window| window == b"Keep-Alive").unwrap();
    let closing = [&request[..at], b"close", &request[at + 10..]].concat();
    stream.write_all(&closing).await.unwrap();
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).await.unwrap();

    let (ours, theirs) = (Recorded::parse(&answered).unwrap(), Recorded::parse(&response).unwrap());
    assert_eq!(ours.status(), theirs.status());
    let named = |recorded: &Recorded| {
        let kept = recorded.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut kept: Vec<_> = kept.filter(|(name, _)| !OTHERS.contains(&name.as_str())).collect();
        kept.sort();
        kept
    };
    assert_eq!(named(&ours), named(&theirs));
    assert_eq!(ours.body, theirs.body);
}
