//! From the log to the verifier: messages are logged, time-stamped and exported, and the containers
//! prove what they should.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_tests::testkit::{TestInstance, noon};
use certs::evidence::verify_container;
use certs::key::SignatureForm;
use gateway::clock::Clock;
use gateway::ports::{
    BoxFuture, ContainerQuery, Direction, LogEntry, LoggedBody, MessageLog as _, Side, Signed,
};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::hash_chain::signature_batch;
use protocol::id::ServiceId;
use protocol::signature::{SignedReference, SigningEvidence, prepare};
use protocol::transport::MessageType;
use security_server::message_log::{MessageLog, Settings, TimestampError, Timestamper};

/// The time-stamping authority of the instance.
struct Authority(Arc<TestInstance>);

impl Timestamper for Authority {
    fn is_configured(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn timestamp(&self, imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(std::future::ready(Ok(self.0.timestamp(&imprint).der().clone())))
    }
}

fn sha512(octets: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(octets)
}

fn message(number: usize) -> Bytes {
    Bytes::from(format!(
        "POST\r\n/r1/CW/GOV/1001/permits/orders\r\nX-Road-Client:CW/COM/2002/shop\r\nx-road-id:id-{number}\r\n"
    ))
}

/// Messages of one batch signature: message `number` with its body, as the node of the client logs it.
fn batch(instance: &TestInstance, numbers: &[usize], bodies: &[Bytes]) -> Vec<LogEntry> {
    let client = instance.client("COM/2002/shop");
    let key = instance.credentials().signing(client.member());
    let evidence = SigningEvidence {
        certificate: key.certificate.der().clone(),
        issuer_name: key.certificate.issuer_name(),
        serial: key.certificate.serial_decimal(),
        intermediates: Vec::new(),
        ocsp_responses: vec![instance.ocsp(&key.certificate).der().clone()],
    };
    let digests: Vec<[Digest; 2]> =
        numbers.iter().zip(bodies).map(|(number, body)| [sha512(&message(*number)), sha512(body)]).collect();
    let slices: Vec<&[Digest]> = digests.iter().map(|parts| &parts[..]).collect();
    let chain = signature_batch(&slices);
    let algorithm = key.key.default_algorithm();
    let reference = SignedReference::HashChainResult(sha512(&chain.result));
    let unsigned = prepare(&evidence, reference, algorithm, instance.now());
    let value = key.key.sign(algorithm, unsigned.octets(), SignatureForm::Raw).expect("a signature");
    let document = unsigned.finish(&value);
    let entry = |((number, body), own): ((&usize, &Bytes), &Bytes)| LogEntry {
        time: instance.now(),
        side: Side::Consumer,
        direction: Direction::Request,
        client: client.clone(),
        service: ServiceId::parse_encoded("CW/GOV/1001/permits/orders").expect("a service"),
        protocol: MessageType::Rest,
        message_id: format!("id-{number}"),
        request_id: format!("request-{number}"),
        message: message(*number),
        attachments: vec![LoggedBody::Memory(body.clone())],
        signed: Signed {
            document: document.clone(),
            hash_chain_result: Some(chain.result.clone()),
            hash_chain: Some(own.clone()),
        },
    };
    numbers.iter().zip(bodies).zip(&chain.chains).map(entry).collect()
}

#[tokio::test]
async fn exported_containers_verify() {
    let mut instance = TestInstance::new("CW", noon());
    instance.add_member("GOV/1001", &["permits"]);
    instance.add_member("COM/2002", &["shop"]);
    let instance = Arc::new(instance);
    let trust = instance.trust();
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        segment_size: 64 << 10,
        inline_body_limit: 1000,
        free_space_floor: 0,
        ..Settings::new(folder.path())
    };
    let authority = Arc::new(Authority(Arc::clone(&instance)));
    let log = MessageLog::open(settings, Clock::system(), authority).expect("a log");
    let small = || Bytes::from_static(b"{\"order\":42}");
    let large: Bytes = (0..50_000).map(|at| (at % 251) as u8).collect();
    // Two batches are stamped together; the third waits alone; the fourth is stamped at once.
    let mut entries = batch(&instance, &[0, 1, 2], &[small(), large.clone(), small()]);
    entries.extend(batch(&instance, &[3], &[small()]));
    for entry in entries {
        log.append(entry, false).await.expect("logged");
    }
    assert_eq!(log.timestamp_waiting().await.expect("stamped"), 2);
    for entry in batch(&instance, &[4], &[small()]) {
        log.append(entry, false).await.expect("logged");
    }
    assert_eq!(log.timestamp_waiting().await.expect("stamped"), 1);
    for entry in batch(&instance, &[5, 6], &[large, small()]) {
        log.append(entry, true).await.expect("logged and stamped");
    }
    let owner = instance.client("COM/2002/shop");
    for number in 0..7 {
        let message_id = format!("id-{number}");
        let query = ContainerQuery { owner: &owner, message_id: &message_id, direction: None, force: false };
        let containers = log.containers(query).await.expect("a container");
        assert_eq!(containers.len(), 1);
        let report = verify_container(&containers[0].bytes, &trust, None);
        assert!(report.is_valid(), "{number}: {:?}", report.steps);
        assert_eq!(report.message_id.as_deref(), Some(message_id.as_str()));
    }
    assert!(log.reader().expect("a view").verify(None).expect("it can be read").is_good());
}
