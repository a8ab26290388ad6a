//! How fast a key signs messages, by the number of callers that wait at once.
//!
//! `cargo run --release -p causeway-security-server --example sign_rate`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_security_server::signer::{BatchSigner, OwnOcsp, SigningKey};
use certs::ca::{PilotCa, Purpose, Settings};
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{KeyKind, PrivateKey};
use certs::ocsp::{self, OcspResponse};
use certs::profile::{Profile, RequestFor};
use certs::request;
use certs::trust::TrustStore;
use gateway::Clock;
use gateway::ports::Signer as _;
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, OcspResponder, SharedParameters,
};
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::id::{MemberId, SecurityServerId};
use protocol::time::UtcTime;

const ROUND: Duration = Duration::from_secs(2);

struct Fixed(OcspResponse);

impl OwnOcsp for Fixed {
    fn good(&self, _: &Certificate, _: &TrustStore, _: UtcTime) -> Result<OcspResponse, Fault> {
        Ok(self.0.clone())
    }

    fn round(&self) -> u64 {
        0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:10} {:>8} {:>12} {:>12}", "key", "callers", "messages/s", "signatures/s");
    for kind in [KeyKind::P256, KeyKind::Rsa2048] {
        for callers in [1, 8, 64, 256] {
            let (messages, signatures) = measure(kind, callers)?;
            let rate = |count: usize| count as f64 / ROUND.as_secs_f64();
            println!("{:10} {callers:8} {:12.0} {:12.0}", kind.name(), rate(messages), rate(signatures));
        }
    }
    Ok(())
}

fn measure(kind: KeyKind, callers: usize) -> Result<(usize, usize), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let clock = Clock::system();
    let member = MemberId::new("CW", "GOV", "1001")?;
    let signer = Arc::new(signer(folder.path(), kind, clock, &member)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let documents = runtime.block_on(async {
        let until = Instant::now() + ROUND;
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let (signer, member) = (Arc::clone(&signer), member.clone());
            tasks.spawn(async move {
                let digest = DigestAlgorithm::Sha512.digest(&caller.to_be_bytes());
                let mut documents = Vec::new();
                while Instant::now() < until {
                    // The address stands for the document: messages of a batch share it.
                    match signer.sign(&member, vec![digest, digest]).await {
                        Ok(signed) => documents.push(signed.document),
                        Err(fault) => eprintln!("{fault}"),
                    }
                }
                documents
            });
        }
        tasks.join_all().await.concat()
    });
    let distinct: std::collections::HashSet<_> = documents.iter().map(|document| document.as_ptr()).collect();
    Ok((documents.len(), distinct.len()))
}

fn signer(
    folder: &std::path::Path,
    kind: KeyKind,
    clock: Clock,
    member: &MemberId,
) -> Result<BatchSigner, Box<dyn Error>> {
    let now = clock.now();
    let ca = PilotCa::create(&folder.join("ca"), "1234", &Settings::for_instance("CW"), now)?;
    let server = SecurityServerId::new(member.clone(), "ss1")?;
    let of = RequestFor { server: &server, member, member_name: "", dns_name: "", country: "CW" };
    let key = PrivateKey::generate(kind)?;
    let subject = Profile::Ejbca.subject(CertificateUsage::Signing, &of)?;
    let request = request::create(&key, &subject, CertificateUsage::Signing)?;
    let certificate = ca.issue(&request, Purpose::Signing, now)?;
    let response = ca.ocsp_answer(&ocsp::request(&certificate, ca.certificate()), now);
    let responder =
        OcspResponder { certificate: Some(ca.ocsp_certificate().der().to_vec()), ..OcspResponder::default() };
    let shared = SharedParameters {
        instance: "CW".into(),
        approved_cas: vec![ApprovedCa {
            top: CaCertificate { certificate: ca.certificate().der().to_vec(), ocsp: vec![responder] },
            certificate_profile: Profile::Ejbca.class_name(),
            ..ApprovedCa::default()
        }],
        ocsp_freshness_seconds: 3600,
        ..SharedParameters::default()
    };
    let instance = Instance::new(shared, 6, now.plus(Duration::from_secs(3600)));
    let configuration = GlobalConfiguration {
        own_instance: "CW".into(),
        instances: [("CW".to_owned(), Arc::new(instance))].into(),
    };
    let snapshot = Arc::new(SnapshotCell::new());
    snapshot.store(Arc::new(Snapshot::new(Arc::new(configuration))));
    let signer = BatchSigner::new(snapshot, Arc::new(Fixed(OcspResponse::parse(response)?)), clock);
    signer.set_keys(vec![SigningKey {
        algorithm: key.default_algorithm(),
        key: Arc::new(key),
        certificate,
        member: member.clone(),
    }])?;
    Ok(signer)
}
