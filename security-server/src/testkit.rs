//! A small federation for unit tests: a pilot authority and the configuration that trusts it.

use std::sync::Arc;

use certs::ca::{PilotCa, Purpose, Settings};
use certs::certificate::{Certificate, CertificateUsage};
use certs::key::KeyKind;
use certs::ocsp::{self, OcspResponse};
use certs::profile::{Profile, RequestFor};
use certs::token::SoftwareToken;
use gateway::snapshot::Snapshot;
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, Member, OcspResponder, RegisteredServer,
    SharedParameters, Subsystem, TimestampingService,
};
use protocol::id::{ClientId, MemberId, SecurityServerId};
use protocol::time::UtcTime;

use crate::enrol;

/// When everything in these tests happens.
pub(crate) fn now() -> UtcTime {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn server() -> SecurityServerId {
    SecurityServerId::new(member(), "ss1").unwrap()
}

pub(crate) fn member() -> MemberId {
    MemberId::new("CW", "GOV", "1001").unwrap()
}

/// An authority, and a token with a key for each use.
pub(crate) struct Testkit {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) ca: PilotCa,
    pub(crate) token: Arc<SoftwareToken>,
    pub(crate) authentication: Certificate,
    pub(crate) signing: Certificate,
}

impl Testkit {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issued = now().minus(std::time::Duration::from_secs(3600));
        let settings = Settings::for_instance("CW");
        let ca = PilotCa::create(&folder.path().join("ca"), "1234", &settings, issued).unwrap();
        let token = enrol::open_or_create_token(&folder.path().join("token"), "1234").unwrap();
        let authentication = enrol_on(&token, &ca, CertificateUsage::Authentication, &member());
        let signing = enrol_on(&token, &ca, CertificateUsage::Signing, &member());
        Self { folder, ca, token: Arc::new(token), authentication, signing }
    }

    /// The configuration in which everything is registered.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot_with(vec![self.authentication.hashes().sha256.bytes().to_vec()])
    }

    pub(crate) fn snapshot_with(&self, certificate_hashes: Vec<Vec<u8>>) -> Arc<Snapshot> {
        let responder = OcspResponder {
            url: "http://127.0.0.1:1/ocsp".into(),
            certificate: Some(self.ca.ocsp_certificate().der().to_vec()),
            ..OcspResponder::default()
        };
        let top = CaCertificate { certificate: self.ca.certificate().der().to_vec(), ocsp: vec![responder] };
        let shared = SharedParameters {
            instance: "CW".into(),
            approved_cas: vec![ApprovedCa {
                name: "pilot".into(),
                top,
                certificate_profile: Profile::Ejbca.class_name(),
                ..ApprovedCa::default()
            }],
            timestamping_services: vec![TimestampingService {
                name: "pilot".into(),
                url: "http://127.0.0.1:1/tsa".into(),
                certificate: self.ca.timestamp_certificate().der().to_vec(),
                ..TimestampingService::default()
            }],
            members: vec![Member {
                id: member(),
                name: "Ministry".into(),
                subsystems: vec![Subsystem { code: "permits".into(), name: None }],
            }],
            servers: vec![RegisteredServer {
                id: server(),
                address: Some("127.0.0.1".into()),
                certificate_hashes,
                clients: vec![ClientId::new(member(), Some("permits")).unwrap()],
                maintenance: None,
            }],
            ocsp_freshness_seconds: 3600,
            ..SharedParameters::default()
        };
        let expires = now().plus(std::time::Duration::from_secs(600));
        let instance = Arc::new(Instance::new(shared, 6, expires));
        Arc::new(Snapshot::new(Arc::new(GlobalConfiguration {
            own_instance: "CW".into(),
            instances: [("CW".to_owned(), instance)].into(),
        })))
    }

    /// What the responder says about a certificate.
    pub(crate) fn ocsp(&self, certificate: &Certificate, at: UtcTime) -> OcspResponse {
        let request = ocsp::request(certificate, self.ca.certificate());
        OcspResponse::parse(self.ca.ocsp_answer(&request, at)).unwrap()
    }
}

/// Makes a key on the token, has it certified, and imports the certificate.
pub(crate) fn enrol_on(
    token: &SoftwareToken,
    ca: &PilotCa,
    usage: CertificateUsage,
    member: &MemberId,
) -> Certificate {
    let server = server();
    let of = RequestFor { server: &server, member, member_name: "Ministry", dns_name: "ss1", country: "CW" };
    let purpose = match usage {
        CertificateUsage::Authentication => Purpose::Authentication,
        CertificateUsage::Signing => Purpose::Signing,
    };
    let requested = enrol::request(token, KeyKind::P256, usage, Profile::Ejbca, &of).unwrap();
    let issued = now().minus(std::time::Duration::from_secs(3600));
    let certificate = ca.issue(requested.to_pem().as_bytes(), purpose, issued).unwrap();
    enrol::import_unchecked(token, &certificate, now()).unwrap();
    certificate
}
