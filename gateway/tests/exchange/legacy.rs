//! The old channel: peers that offer nothing but the CBC suites of TLS 1.2.

use std::io::{Read as _, Write as _};

use certs::key::KeyKind;
use gateway::http::Outgoing;
use gateway::tls::CipherSuites;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;

use crate::federation::{Federation, PEER_PORT, Wishes, certify, issue};

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

/// Two servers whose modern suites have nothing in common.
fn strangers(has_legacy_transport: bool) -> Federation {
    let suites = |name| CipherSuites::from_names([name]).unwrap();
    Federation::with(Wishes {
        suites: suites("TLS_AES_256_GCM_SHA384"),
        provider_suites: Some(suites("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")),
        has_legacy_transport,
        ..Wishes::default()
    })
}

#[tokio::test]
async fn servers_without_a_common_suite_use_the_old_channel() {
    let federation = strangers(true);
    for _ in 0..3 {
        let answer = federation.call("POST", ECHO, "some body".to_owned()).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    }
    assert!(federation.consumer.counts().legacy_connections >= 1);
    assert!(federation.provider.counts().legacy_connections >= 1);
    // The certificate rules are the same: what is no longer registered is no longer served.
    federation.shared.lock().unwrap().servers[0].certificate_hashes = vec![vec![1; 32]];
    federation.publish();
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("ssl_authentication_failed"), "{}", answer.error());
}

#[tokio::test]
async fn it_is_off_unless_it_is_wanted() {
    let federation = strangers(false);
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (500, "server.clientproxy.ssl_authentication_failed"));
    assert_eq!(federation.provider.counts().legacy_connections, 0);
}

#[tokio::test]
async fn servers_with_a_common_suite_do_not_use_it() {
    let federation = Federation::with(Wishes { has_legacy_transport: true, ..Wishes::default() });
    let answer = federation.call("GET", ECHO, Outgoing::Empty).await;
    assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    assert_eq!(federation.consumer.counts().legacy_connections, 0);
    assert_eq!(federation.provider.counts().legacy_connections, 0);
}

/// What a client with one suite and this certificate gets for a request; none: no connection.
fn answer(address: std::net::SocketAddr, suite: &str, own: Option<(&[u8], &[u8])>) -> Option<String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    builder.set_cipher_list(suite).unwrap();
    if let Some((certificate, key)) = own {
        builder.set_certificate(&X509::from_der(certificate).unwrap()).unwrap();
        builder.set_private_key(&PKey::private_key_from_pkcs8(key).unwrap()).unwrap();
    }
    let stream = std::net::TcpStream::connect(address).unwrap();
    let mut stream = builder.build().connect("peer", stream).ok()?;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn every_suite_of_the_field_is_taken_with_a_registered_certificate_only() {
    let federation = Federation::with(Wishes { has_legacy_transport: true, ..Wishes::default() });
    let address = federation.provider.address(PEER_PORT);
    let (key, certificate) = &federation.consumer.authentication;
    let registered = (certificate.der().to_vec(), key.pkcs8().unwrap());
    let usage = certs::certificate::CertificateUsage::Authentication;
    let (strange_key, strange) = issue(&federation.ca, &federation.consumer.id, usage, KeyKind::Rsa2048);
    let strange_pair = (strange.der().to_vec(), strange_key.pkcs8().unwrap());
    let ask = async |suite: &'static str, own: Option<(Vec<u8>, zeroize::Zeroizing<Vec<u8>>)>| {
        let asked = move || answer(address, suite, own.as_ref().map(|(der, key)| (&der[..], &key[..])));
        tokio::task::spawn_blocking(asked).await.unwrap()
    };
    let of_curve = "ECDHE-ECDSA-AES256-SHA384";
    assert!(ask(of_curve, Some(registered.clone())).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(ask(of_curve, Some(strange_pair)).await, None);
    assert_eq!(ask(of_curve, None).await, None);
    // Other old suites are taken by nobody.
    for suite in ["ECDHE-ECDSA-AES128-SHA256", "AES256-SHA256", "ECDHE-ECDSA-AES256-SHA"] {
        assert_eq!(ask(suite, Some(registered.clone())).await, None, "{suite}");
    }
    // With an RSA key the provider's server has the other two.
    let rsa = certs::key::PrivateKey::generate(KeyKind::Rsa2048).unwrap();
    let of_provider = certify(&federation.ca, &federation.provider.id, usage, &rsa);
    let hash = of_provider.hashes().sha256.bytes().to_vec();
    federation.shared.lock().unwrap().servers[1].certificate_hashes = vec![hash];
    federation.publish();
    federation.provider.authenticate_with(&federation.ca, &rsa, &of_provider);
    for suite in ["ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-SHA256"] {
        assert!(ask(suite, Some(registered.clone())).await.unwrap().starts_with("HTTP/1.1 200"), "{suite}");
    }
}
