//! An instance under construction.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::ca::{PilotCa, Settings};
use certs::certificate::Certificate;
use certs::ocsp::{self, OcspResponse};
use certs::timestamp::{self, TimestampToken};
use certs::trust::TrustStore;
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, Member, NodeClasses, OcspResponder,
    PrivateParameters, RegisteredServer, SharedParameters, Subsystem, TimestampingService,
};
use protocol::digest::Digest;
use protocol::id::{ClientId, MemberId, SecurityServerId};
use protocol::time::UtcTime;

use super::credentials::{Credentials, TestKey};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The PIN of every token that the kit makes.
pub(super) const PIN: &str = "Test-Pin-1234";

/// An instance with its authority. Members and servers are added one by one; what was built before an
/// addition does not change.
pub struct TestInstance {
    identifier: String,
    now: UtcTime,
    folder: tempfile::TempDir,
    ca: Arc<PilotCa>,
    members: Vec<Member>,
    servers: Vec<RegisteredServer>,
    /// Put into the built configuration.
    pub node_classes: Option<NodeClasses>,
    /// Put into the built configuration.
    pub private: Option<PrivateParameters>,
    /// Addresses of the OCSP responder and of the time-stamping authority in the configuration.
    pub ocsp_url: String,
    /// See [`TestInstance::ocsp_url`].
    pub timestamp_url: String,
    /// Oldest acceptable OCSP response, seconds.
    pub ocsp_freshness_seconds: u64,
}

/// A server that is registered in an instance.
#[derive(Clone)]
pub struct TestServer {
    /// Its identifier.
    pub id: SecurityServerId,
    /// Its authentication key and certificate, registered.
    pub authentication: TestKey,
}

impl TestInstance {
    /// An instance without members. Its authority is three years old at `now`, so that certificates can
    /// have expired.
    pub fn new(identifier: &str, now: UtcTime) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::for_instance(identifier);
        let ca = PilotCa::create(&folder.path().join("ca"), PIN, &settings, now.minus(DAY * 3 * 365))
            .expect("an authority");
        Self {
            identifier: identifier.to_owned(),
            now,
            folder,
            ca: Arc::new(ca),
            members: Vec::new(),
            servers: Vec::new(),
            node_classes: None,
            private: None,
            ocsp_url: "http://127.0.0.1:8888/ocsp".to_owned(),
            timestamp_url: "http://127.0.0.1:8888/tsa".to_owned(),
            ocsp_freshness_seconds: 3600,
        }
    }

    /// The instance identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The moment at which everything is made.
    pub fn now(&self) -> UtcTime {
        self.now
    }

    /// A folder that lives as long as the instance.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The authority.
    pub fn ca(&self) -> &Arc<PilotCa> {
        &self.ca
    }

    /// The member `CLASS/CODE`, whether or not it was added.
    #[track_caller]
    pub fn member(&self, text: &str) -> MemberId {
        let (class, code) = text.split_once('/').expect("a class and a code");
        MemberId::new(&self.identifier, class, code).expect("an identifier")
    }

    /// The member `CLASS/CODE` or the subsystem `CLASS/CODE/SUBSYSTEM`.
    #[track_caller]
    pub fn client(&self, text: &str) -> ClientId {
        let mut parts = text.splitn(3, '/');
        let class = parts.next().expect("a class");
        let code = parts.next().expect("a code");
        let member = MemberId::new(&self.identifier, class, code).expect("an identifier");
        ClientId::new(member, parts.next()).expect("an identifier")
    }

    /// Registers a member with its subsystems.
    #[track_caller]
    pub fn add_member(&mut self, text: &str, subsystems: &[&str]) -> MemberId {
        let id = self.member(text);
        let subsystems =
            subsystems.iter().map(|code| Subsystem { code: (*code).to_owned(), name: None }).collect();
        self.members.push(Member { name: format!("Member {text}"), id: id.clone(), subsystems });
        id
    }

    /// Registers a server of an owner, `CLASS/CODE`, with its clients. Without an address it cannot be
    /// called.
    #[track_caller]
    pub fn add_server(
        &mut self,
        owner: &str,
        code: &str,
        address: Option<&str>,
        clients: &[&str],
    ) -> TestServer {
        let id = SecurityServerId::new(self.member(owner), code).expect("an identifier");
        let authentication = self.credentials().authentication(&id);
        self.servers.push(RegisteredServer {
            id: id.clone(),
            address: address.map(str::to_owned),
            certificate_hashes: vec![authentication.certificate.hashes().sha256.bytes().to_vec()],
            clients: clients.iter().map(|client| self.client(client)).collect(),
            maintenance: None,
        });
        TestServer { id, authentication }
    }

    /// Registers one more authentication certificate for a server.
    #[track_caller]
    pub fn register_certificate(&mut self, server: &SecurityServerId, certificate: &Certificate) {
        let server = self.servers.iter_mut().find(|known| known.id == *server).expect("a known server");
        server.certificate_hashes.push(certificate.hashes().sha256.bytes().to_vec());
    }

    /// Issues keys with certificates as of now.
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials::new(self, self.now)
    }

    /// Issues keys with certificates that have expired two months before now.
    pub fn expired_credentials(&self) -> Credentials<'_> {
        let issued = self.now.minus(DAY * (self.ca.settings().certificate_days + 60));
        Credentials::new(self, issued)
    }

    /// A signing key of a member with its certificate.
    #[track_caller]
    pub fn signing(&self, member: &str) -> TestKey {
        self.credentials().signing(&self.member(member))
    }

    /// Revokes a certificate as of now.
    #[track_caller]
    pub fn revoke(&self, certificate: &Certificate) {
        self.ca.revoke(certificate.serial(), 0, self.now).expect("revokes");
    }

    /// The responder's answer for a certificate, as of now.
    pub fn ocsp(&self, certificate: &Certificate) -> OcspResponse {
        self.ocsp_at(certificate, self.now)
    }

    /// The responder's answer for a certificate at another moment.
    #[track_caller]
    pub fn ocsp_at(&self, certificate: &Certificate, at: UtcTime) -> OcspResponse {
        let request = ocsp::request(certificate, self.ca.certificate());
        OcspResponse::parse(self.ca.ocsp_answer(&request, at)).expect("a response")
    }

    /// A time-stamp over what has this digest, as of now.
    #[track_caller]
    pub fn timestamp(&self, imprint: &Digest) -> TimestampToken {
        let answer = self.ca.timestamp_answer(&timestamp::request(imprint), self.now);
        TimestampToken::from_response(&answer, imprint).expect("a token")
    }

    /// What a registry would publish.
    pub fn shared_parameters(&self) -> SharedParameters {
        let der = |certificate: &Certificate| certificate.der().to_vec();
        let responder = OcspResponder {
            url: self.ocsp_url.clone(),
            certificate: Some(der(self.ca.ocsp_certificate())),
            ..OcspResponder::default()
        };
        SharedParameters {
            instance: self.identifier.clone(),
            approved_cas: vec![ApprovedCa {
                name: format!("{} pilot CA", self.identifier),
                top: CaCertificate { certificate: der(self.ca.certificate()), ocsp: vec![responder] },
                certificate_profile: self.ca.settings().certificate_profile.clone(),
                ..ApprovedCa::default()
            }],
            timestamping_services: vec![TimestampingService {
                name: format!("{} pilot TSA", self.identifier),
                url: self.timestamp_url.clone(),
                certificate: der(self.ca.timestamp_certificate()),
                ..TimestampingService::default()
            }],
            members: self.members.clone(),
            servers: self.servers.clone(),
            member_classes: self.member_classes(),
            ocsp_freshness_seconds: self.ocsp_freshness_seconds,
            ..SharedParameters::default()
        }
    }

    fn member_classes(&self) -> Vec<(String, String)> {
        let mut classes: Vec<_> = self.members.iter().map(|member| member.id.class().to_owned()).collect();
        classes.sort();
        classes.dedup();
        classes.into_iter().map(|code| (code.clone(), format!("Class {code}"))).collect()
    }

    /// The instance as a node knows it, for a day from now.
    pub fn build(&self) -> Instance {
        let mut instance = Instance::new(self.shared_parameters(), 6, self.now.plus(DAY));
        instance.private = self.private.clone();
        instance.node_classes = self.node_classes.clone();
        instance
    }

    /// The configuration of a node of this instance, without federation.
    pub fn configuration(&self) -> GlobalConfiguration {
        federation(self, &[])
    }

    /// The trust store over [`TestInstance::configuration`].
    pub fn trust(&self) -> TrustStore {
        TrustStore::new(Arc::new(self.configuration()))
    }

    /// The authority's root certificate in PEM.
    pub fn root_pem(&self) -> Bytes {
        self.ca.certificate().to_pem().into()
    }
}

/// The configuration of a node of `own` that is federated with `others`.
pub fn federation(own: &TestInstance, others: &[&TestInstance]) -> GlobalConfiguration {
    let instances = std::iter::once(own).chain(others.iter().copied());
    GlobalConfiguration {
        own_instance: own.identifier.clone(),
        instances: instances
            .map(|instance| (instance.identifier.clone(), Arc::new(instance.build())))
            .collect(),
    }
}
