//! A signed message that comes again after a restart of the provider's server.

use bytes::Bytes;
use causeway_tests::conformance::replay::tls;
use gateway::http::Outgoing;
use gateway::ports::{Direction, Side};
use gateway::tls::Identity;
use http_body_util::BodyExt as _;
use protocol::transport::{Encoder, PartKind};
use security_server::message_log::{Filter, Reader, StoredRecord};

use super::*;

const BOUNDARY: &str = "xtopAbCdEfGhIjKlMnOpQrStUvWxYzAbCd";

/// The request of the consumer's side, as its log has it.
fn logged(federation: &Federation) -> StoredRecord {
    let reader = Reader::open(&federation.folder.path().join("ss1/messagelog")).unwrap();
    let filter =
        Filter { side: Some(Side::Consumer), direction: Some(Direction::Request), ..Filter::default() };
    let summary = reader.list(filter).next().expect("a request").unwrap();
    reader.show(summary.sequence).unwrap().expect("a record")
}

fn certificate(federation: &Federation, number: u8) -> Certificate {
    let file = federation.folder.path().join(format!("ss{number}/auth.pem"));
    Certificate::from_pem(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Sends a logged request to the provider's server as the consumer's would; the answer's octets as text.
fn deliver(federation: &Federation, record: &StoredRecord) -> String {
    let folder = federation.folder.path().join("ss1");
    let own = certificate(federation, 1);
    let token = enrol::open_or_create_token(&folder.join("token"), "1234").unwrap();
    let key = token.key_of(&own).unwrap().key;
    let identity = Identity::of_key(vec![own.der().clone()], key).unwrap();
    let response = folder.join("ocsp").join(format!("{}.ocsp", own.hashes().sha1.to_hex()));
    let parts = [
        (PartKind::Ocsp, Some(Bytes::from(std::fs::read(response).unwrap()))),
        (PartKind::RestRequest, Some(record.message.clone())),
        (PartKind::HashChainResult, record.hash_chain_result.clone()),
        (PartKind::HashChain, record.hash_chain.clone()),
        (PartKind::Signature, Some(record.signature.clone())),
    ];
    let mut encoder = Encoder::new(BOUNDARY);
    let mut body = Vec::new();
    for (kind, octets) in parts.into_iter().filter_map(|(kind, octets)| Some((kind, octets?))) {
        body.extend_from_slice(&encoder.part(kind));
        body.extend_from_slice(&octets);
    }
    body.extend_from_slice(&encoder.end());
    let request = hyper::Request::post("/")
        .header("content-type", format!("multipart/mixed; charset=UTF-8; boundary={BOUNDARY}"))
        .header("x-hash-algorithm", "SHA-512")
        .header("x-road-request-id", &record.summary.details.request_id)
        .header("x-proxy-version", "7.8.0")
        .header("x-road-message-type", "REST")
        .body(Outgoing::from(Bytes::from(body)))
        .unwrap();
    let address = format!("{}:{MESSAGES}", super::address(federation.network, 12)).parse().unwrap();
    federation.runtime.block_on(async {
        let stream = tls::connect(address, &identity, &certificate(federation, 2)).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        String::from_utf8_lossy(&answer.to_bytes()).into_owned()
    })
}

#[test]
fn a_message_is_known_again_after_a_restart() {
    let federation = Federation::new(99);
    let (consumer, mut provider) = (federation.start(1).unwrap(), federation.start(2).unwrap());
    ready(&consumer);
    ready(&provider);
    assert_eq!(federation.call("/open/door").0, 200);
    federation.stop(consumer);
    let record = logged(&federation);
    let check = |what: &str, is_known: bool| {
        let answer = deliver(&federation, &record);
        assert_eq!(answer.contains("replayed_message"), is_known, "{what}: {answer}");
        assert_eq!(answer.contains("GET /base/open/door"), !is_known, "{what}: {answer}");
    };
    check("at once", true);
    federation.stop(provider);
    provider = federation.start(2).unwrap();
    ready(&provider);
    check("after a restart", true);

    // Without the journal the log tells.
    federation.stop(provider);
    std::fs::remove_dir_all(federation.folder.path().join("ss2/replays")).unwrap();
    provider = federation.start(2).unwrap();
    ready(&provider);
    check("after the loss of the journal", true);

    // Nothing else is wrong with it.
    federation.stop(provider);
    let text = std::fs::read_to_string(federation.file(2)).unwrap();
    let text = text.replace("workers = 1\n", "workers = 1\nremembered-messages = 0\n");
    std::fs::write(federation.file(2), text).unwrap();
    provider = federation.start(2).unwrap();
    ready(&provider);
    check("with the memory switched off", false);
    federation.stop(provider);
}
