//! Tests of time-stamping and of containers.

use std::sync::Mutex;
use std::time::Duration;

use gateway::ports::MessageLog as _;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::id::ClientId;

use super::*;

/// A service that keeps what it was asked; its tokens name the imprint.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) asked: Mutex<Vec<Digest>>,
    failing: std::sync::atomic::AtomicBool,
    absent: std::sync::atomic::AtomicBool,
}

impl Timestamper for Service {
    fn is_configured(&self) -> bool {
        !self.absent.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn timestamp(&self, imprint: Digest) -> BoxFuture<'_, Result<Bytes, TimestampError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.failing.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(TimestampError("the service is away".into()));
            }
            self.asked.lock().unwrap().push(imprint);
            Ok(format!("token over {}", imprint.to_hex()).into())
        })
    }
}

/// A message signed in earnest, as far as the log looks.
fn signed(number: u64) -> LogEntry {
    let evidence = protocol::signature::SigningEvidence {
        certificate: Bytes::from_static(b"certificate"),
        issuer_name: "CN=ca".into(),
        serial: "1".into(),
        intermediates: Vec::new(),
        ocsp_responses: vec![Bytes::from_static(b"ocsp")],
    };
    let algorithm = protocol::signature::SignatureAlgorithm {
        scheme: protocol::signature::SignatureScheme::Ecdsa,
        digest: DigestAlgorithm::Sha256,
    };
    let mut entry = entry(number);
    let digest = DigestAlgorithm::Sha512.digest(&number.to_le_bytes());
    let reference = protocol::signature::SignedReference::Message(digest);
    let unsigned = protocol::signature::prepare(&evidence, reference, algorithm, entry.time);
    entry.signed =
        Signed { document: unsigned.finish(&[number as u8; 64]), hash_chain_result: None, hash_chain: None };
    entry
}

fn open_with(folder: &std::path::Path, service: &Arc<Service>, clock: Clock) -> MessageLog {
    MessageLog::open(settings(folder), clock, Arc::clone(service) as Arc<dyn Timestamper>).unwrap()
}

fn names(container: &[u8]) -> Vec<String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(container)).unwrap();
    (0..zip.len()).map(|place| zip.by_index(place).unwrap().name().unwrap().into_owned()).collect()
}

#[test]
fn a_batch_covers_all_signatures_that_wait() {
    let folder = folder();
    let service = Arc::new(Service::default());
    {
        let log = open_with(folder.path(), &service, Clock::system());
        for number in 0..10 {
            wait(log.append(entry(number), false)).unwrap();
        }
        let owner = ClientId::parse_encoded("XX/GOV/1/provider").unwrap();
        let query = ContainerQuery { owner: &owner, message_id: "id-5", direction: None, force: false };
        assert!(matches!(wait(log.containers(query)), Err(ContainerError::NotTimestamped)));
        // Ten messages share three signature documents.
        assert_eq!(wait(log.timestamp_waiting()).unwrap(), 3);
        assert_eq!(wait(log.timestamp_waiting()).unwrap(), 0);
        let found = wait(log.containers(query)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "id-5-request-5.asice");
        let expected = [
            "mimetype",
            "message.xml",
            "META-INF/signatures.xml",
            "sig-hashchainresult.xml",
            "sig-hashchain.xml",
            "ts-hashchainresult.xml",
            "ts-hashchain.xml",
            "META-INF/manifest.xml",
            "META-INF/ASiCManifest.xml",
            "META-INF/timestamp.tst",
            "attachment1",
        ];
        assert_eq!(names(&found[0].bytes), expected);
        for query in [
            ContainerQuery { message_id: "id-50", ..query },
            ContainerQuery { direction: Some(Direction::Response), ..query },
            ContainerQuery { owner: &ClientId::parse_encoded("XX/COM/0/app").unwrap(), ..query },
        ] {
            assert!(matches!(wait(log.containers(query)), Err(ContainerError::NotFound)));
        }
        let reader = log.reader().unwrap();
        let stamp = reader.stamp(10).unwrap().expect("the record after ten messages");
        assert_eq!((stamp.from, stamp.until, stamp.leaves.len()), (0, 9, 3));
        let imprint = DigestAlgorithm::Sha512.digest(stamp.result.as_ref().unwrap());
        assert_eq!(*service.asked.lock().unwrap(), [imprint]);
    }
    // A restart knows what is stamped.
    let log = open_with(folder.path(), &service, Clock::system());
    assert_eq!(wait(log.timestamp_waiting()).unwrap(), 0);
    wait(log.append(entry(20), false)).unwrap();
    wait(log.append(entry(30), false)).unwrap();
    assert_eq!(wait(log.timestamp_waiting()).unwrap(), 2);
    assert!(log.reader().unwrap().verify(None).unwrap().is_good());
}

#[test]
fn one_that_waits_is_stamped_over_its_signature_value() {
    let folder = folder();
    let service = Arc::new(Service::default());
    let log = open_with(folder.path(), &service, Clock::system());
    wait(log.append(signed(3), false)).unwrap();
    assert_eq!(wait(log.timestamp_waiting()).unwrap(), 1);
    assert_eq!(*service.asked.lock().unwrap(), [DigestAlgorithm::Sha512.digest(&[3; 64])]);
    let mut container = std::io::Cursor::new(Vec::new());
    log.reader().unwrap().export(0, &mut container).unwrap();
    let names = names(container.get_ref());
    assert_eq!(
        names,
        ["mimetype", "message.xml", "META-INF/signatures.xml", "META-INF/manifest.xml", "attachment1"]
    );
}

#[test]
fn stamped_at_once() {
    let folder = folder();
    let service = Arc::new(Service::default());
    {
        let log = open_with(folder.path(), &service, Clock::system());
        // Two of one batch share a stamp.
        let mut second = signed(1);
        second.message_id = "other".into();
        let first = signed(1);
        let both = async { tokio::join!(log.append(first, true), log.append(second, true)) };
        let (first, second) = wait(both);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(service.asked.lock().unwrap().len(), 1);
        wait(log.append(signed(2), false)).unwrap();
        wait(log.append(signed(3), true)).unwrap();
        wait(log.append(signed(4), false)).unwrap();
        assert_eq!(service.asked.lock().unwrap().len(), 2);
        service.failing.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(wait(log.append(signed(5), true)), Err(LogError::Timestamp(_))));
        service.failing.store(false, std::sync::atomic::Ordering::Relaxed);
    }
    let log = open_with(folder.path(), &service, Clock::system());
    assert_eq!(wait(log.timestamp_waiting()).unwrap(), 3, "2, 4 and 5 waited");
    let owner = signed(6).owner().clone();
    wait(log.append(signed(6), false)).unwrap();
    let query = ContainerQuery { owner: &owner, message_id: "id-6", direction: None, force: true };
    assert_eq!(wait(log.containers(query)).unwrap().len(), 1);
    assert_eq!(wait(log.timestamp_waiting()).unwrap(), 0);
}

#[test]
fn a_failing_service_stops_traffic_in_the_end() {
    let folder = folder();
    let service = Arc::new(Service::default());
    let mut late = signed(1);
    {
        let log = open_with(folder.path(), &service, Clock::system());
        service.absent.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(wait(log.append(signed(0), false)), Err(LogError::NoTimestampingService)));
        service.absent.store(false, std::sync::atomic::Ordering::Relaxed);
        late.time = Clock::system().now();
        wait(log.append(late, false)).unwrap();
    }
    service.failing.store(true, std::sync::atomic::Ordering::Relaxed);
    for (hours, failed, overdue) in [(3, true, false), (5, false, false), (5, true, true)] {
        let clock = Clock::set_to(Clock::system().now().plus(Duration::from_secs(hours * 3600)));
        let log = open_with(folder.path(), &service, clock);
        if failed {
            assert!(wait(log.timestamp_waiting()).is_err());
        }
        let result = wait(log.append(signed(2), false));
        assert_eq!(
            matches!(result, Err(LogError::TimestampingOverdue(_))),
            overdue,
            "{hours} {failed}: {result:?}"
        );
        if overdue {
            service.failing.store(false, std::sync::atomic::Ordering::Relaxed);
            wait(log.timestamp_waiting()).unwrap();
            wait(log.append(signed(2), false)).unwrap();
        }
    }
}

#[test]
fn the_schedule_stamps_by_itself() {
    let folder = folder();
    let service = Arc::new(Service::default());
    let log = open_with(folder.path(), &service, Clock::system());
    let (stop, stopped) = watch::channel(false);
    wait(async {
        tokio::time::pause();
        let run = tokio::spawn(log.run_timestamping(stopped));
        let mut expected = 0;
        for number in 0..5 {
            log.append(signed(number), false).await.unwrap();
            expected += 1;
            while service.asked.lock().unwrap().len() < expected {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        stop.send(true).unwrap();
        run.await.unwrap();
    });
}
