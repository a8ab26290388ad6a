use bytes::Bytes;
use certs::evidence::MessageIdentity;
use certs::key::{KeyKind, PrivateKey, SignatureForm};
use gateway::Clock;
use gateway::ports::{Direction, LogEntry, MessageLog as _, Side, Signed};
use protocol::digest::DigestAlgorithm;
use protocol::hash_chain::signature_batch;
use protocol::id::{ClientId, ServiceId};
use protocol::signature::{SignedReference, SigningEvidence, prepare};
use protocol::transport::MessageType;

use super::*;
use crate::message_log::MessageLog;
use crate::testkit::{Testkit, now};

const FRESH: Duration = Duration::from_secs(3600);

/// A server's log, with messages that are really signed.
struct Scene {
    kit: Testkit,
    key: PrivateKey,
    log: MessageLog,
    identities: LoggedIdentities,
}

impl Scene {
    fn new() -> Self {
        let kit = Testkit::new();
        let mut settings = crate::message_log::Settings::new(kit.folder.path().join("log"));
        (settings.free_space_floor, settings.timestamps.acceptable_failure) = (0, Duration::ZERO);
        let service = Arc::new(crate::message_log::tests::Service::default());
        let log = MessageLog::open(settings, Clock::set_to(now()), service).unwrap();
        Self {
            kit,
            key: PrivateKey::generate(KeyKind::P256).unwrap(),
            log,
            identities: LoggedIdentities::default(),
        }
    }

    /// Signatures over batches of this many messages.
    fn sign(&self, count: usize) -> Vec<Signed> {
        let digests: Vec<_> = (0..count).map(|_| [DigestAlgorithm::Sha512.digest(b"the same")]).collect();
        let messages: Vec<&[_]> = digests.iter().map(|digest| &digest[..]).collect();
        let batch = signature_batch(&messages);
        let certificate = &self.kit.signing;
        let evidence = SigningEvidence {
            certificate: certificate.der().clone(),
            issuer_name: certificate.issuer_name(),
            serial: certificate.serial_decimal(),
            intermediates: Vec::new(),
            ocsp_responses: vec![self.kit.ocsp(certificate, now()).der().clone()],
        };
        let reference = SignedReference::HashChainResult(DigestAlgorithm::Sha512.digest(&batch.result));
        let unsigned = prepare(&evidence, reference, self.key.default_algorithm(), now());
        let value =
            self.key.sign(self.key.default_algorithm(), unsigned.octets(), SignatureForm::Raw).unwrap();
        let document = unsigned.finish(&value);
        let signed = |chain: Bytes| Signed {
            document: document.clone(),
            hash_chain_result: Some(batch.result.clone()),
            hash_chain: Some(chain),
        };
        batch.chains.iter().cloned().map(signed).collect()
    }

    fn mark(&mut self, signed: &Signed) -> Mark {
        let (result, chain) = (signed.hash_chain_result.as_ref(), signed.hash_chain.as_ref());
        Mark::logged(&self.identities.identify(&signed.document, result, chain).unwrap(), now())
    }

    async fn log(&self, signed: &Signed, side: Side, direction: Direction, time: UtcTime) -> LogPosition {
        let entry = LogEntry {
            time,
            side,
            direction,
            client: ClientId::parse_encoded("XX/COM/1/app").unwrap(),
            service: ServiceId::parse_encoded("XX/GOV/1/provider/people").unwrap(),
            message_id: "id".into(),
            request_id: "request".into(),
            message: "GET\r\n/r1/XX/GOV/1/provider/people\r\nx-road-id:id\r\n".into(),
            attachments: Vec::new(),
            protocol: MessageType::Rest,
            signed: signed.clone(),
        };
        self.log.append(entry, false).await.unwrap()
    }

    /// What a provider's side does with good requests.
    async fn serve(&mut self, replays: &Replays, count: usize) -> Vec<Mark> {
        let mut marks = Vec::new();
        for signed in self.sign(count) {
            let mark = self.mark(&signed);
            replays.take(mark, FRESH, now()).unwrap();
            replays.logged(self.log(&signed, Side::Provider, Direction::Request, now()).await);
            marks.push(mark);
        }
        marks
    }

    fn folder(&self) -> PathBuf {
        self.kit.folder.path().join("replays")
    }

    /// A start.
    fn open(&self) -> (Arc<Replays>, ReplayJournal, Restored) {
        let replays = Arc::new(Replays::new(1000));
        let reader = self.log.reader().unwrap();
        let opened = ReplayJournal::open(&self.folder(), Arc::clone(&replays), &reader, FRESH, now());
        let (journal, restored) = opened.unwrap();
        (replays, journal, restored)
    }
}

#[track_caller]
fn check_known(replays: &Replays, marks: &[Mark]) {
    for (number, mark) in marks.iter().enumerate() {
        assert!(replays.take(*mark, FRESH, now()).is_err(), "message {number} passes again");
    }
}

#[tokio::test]
async fn nothing_is_forgotten_by_a_restart() {
    let mut scene = Scene::new();
    let (replays, journal, restored) = scene.open();
    assert_eq!(restored, Restored::default());
    let mut marks = scene.serve(&replays, 5).await;
    drop(journal);

    // A clean stop leaves nothing to the log.
    let (replays, journal, restored) = scene.open();
    assert_eq!(restored, Restored { from_journal: 5, from_log: 0 });
    check_known(&replays, &marks);
    drop(journal);

    // These were logged and never came into the journal, as before a crash. Of the others in the log
    // none is a request that was served here.
    marks.extend(scene.serve(&Replays::new(1000), 3).await);
    let other = scene.sign(2);
    scene.log(&other[0], Side::Consumer, Direction::Request, now()).await;
    scene.log(&other[1], Side::Provider, Direction::Response, now()).await;
    let (replays, journal, restored) = scene.open();
    assert_eq!(restored, Restored { from_journal: 5, from_log: 3 });
    check_known(&replays, &marks);
    for signed in &other {
        assert!(replays.take(scene.mark(signed), FRESH, now()).is_ok());
    }
    drop(journal);
    let (_, _journal, restored) = scene.open();
    assert_eq!(restored, Restored { from_journal: 10, from_log: 0 }, "what the log gave is kept");
}

#[tokio::test]
async fn without_a_journal_the_log_is_read_as_far_back_as_messages_are_fresh() {
    let mut scene = Scene::new();
    let old = scene.sign(1);
    let long_ago = now().minus(FRESH + CLOCK_STEP + Duration::from_secs(1));
    scene.log(&old[0], Side::Provider, Direction::Request, long_ago).await;
    let marks = scene.serve(&Replays::new(1000), 4).await;
    let (replays, _journal, restored) = scene.open();
    assert_eq!(restored, Restored { from_journal: 0, from_log: 4 });
    check_known(&replays, &marks);
}

#[tokio::test]
async fn a_torn_end_costs_a_look_into_the_log() {
    let mut scene = Scene::new();
    let (replays, journal, _) = scene.open();
    let marks = scene.serve(&replays, 5).await;
    drop(journal);
    let path = scene.folder().join(file::name(0));
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 3, MAGIC.len(), MAGIC.len() + ENTRY + 1, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let (replays, journal, restored) = scene.open();
        assert_eq!(restored.from_journal + restored.from_log, 5, "{length} octets: {restored:?}");
        check_known(&replays, &marks);
        drop(journal);
        let (_, _journal, restored) = scene.open();
        assert_eq!(restored, Restored { from_journal: 5, from_log: 0 }, "after {length} octets");
    }
}

fn mark(number: u8) -> Mark {
    Mark { identity: MessageIdentity([number; 16]), signer: 1, signed: 1, status_of: now().millis() }
}

fn drained(changes: Vec<Change>, logged_before: u64) -> Drained {
    Drained { changes, logged_before, incomplete: false }
}

#[test]
fn points_behind_a_damage_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer { folder: folder.path().to_owned(), file: None, logged_before: None };
    writer.write(drained(vec![Change::Slice(4), Change::Taken(mark(1))], 10)).unwrap();
    writer.write(drained(vec![Change::Taken(mark(2))], 20)).unwrap();
    let floor = Change::Floor { signer: 7, signed: 5, status_of: now().millis() };
    writer.write(drained(vec![Change::Slice(5), floor, Change::Taken(mark(3))], 30)).unwrap();
    writer.write(drained(vec![Change::Withdrawn(mark(3).identity)], 30)).unwrap();
    let check = |point, marks, known: &[u8], unknown: &[u8]| {
        let replays = Replays::new(1000);
        let (_, found) = read(folder.path(), &replays).unwrap();
        assert_eq!((found.point, found.marks), (point, marks));
        assert!(known.iter().all(|number| replays.take(mark(*number), FRESH, now()).is_err()), "{known:?}");
        assert!(
            unknown.iter().all(|number| replays.take(mark(*number), FRESH, now()).is_ok()),
            "{unknown:?}"
        );
        let low = Mark { signer: 7, ..mark(9) };
        assert!(replays.take(low, FRESH, now()).is_err(), "below the floor");
    };
    check(Some(30), 3, &[1, 2], &[3]);
    // The second mark of the first file.
    let path = folder.path().join(file::name(4));
    let mut octets = std::fs::read(&path).unwrap();
    octets[MAGIC.len() + 2 * ENTRY + 9] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    check(Some(10), 2, &[1], &[2, 3]);

    writer.write(drained(vec![Change::Dropped(4), Change::Dropped(3)], 30)).unwrap();
    check(Some(30), 1, &[], &[1, 2, 3]);
    writer.give_up();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let lost = Drained { incomplete: true, ..Drained::default() };
    assert!(writer.write(lost).is_err());
}
