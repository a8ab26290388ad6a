//! Requests in the making: good ones, and such as have one fault.

use std::sync::Arc;

use bytes::Bytes;
use causeway_tests::testkit::{TestInstance, TestKey, TestServer};
use certs::key::{KeyKind, SignatureForm};
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::id::ClientId;
use protocol::management::{
    Change, ManagementRequest, PartSignature, Received, RegistrationParts, SignedParts, algorithm_name,
    content_type,
};
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use registry::management::{Port, View, check};

pub(crate) const BOUNDARY: &str = "xroadTheBoundaryOfTheTestsWithoutLuck";

/// An instance with two members, and a server of the first one.
pub(crate) struct Kit {
    pub(crate) instance: TestInstance,
    pub(crate) server: TestServer,
    /// Signing keys of the owner and of the other member.
    pub(crate) owner: TestKey,
    pub(crate) other: TestKey,
}

impl Kit {
    pub(crate) fn new() -> Self {
        let mut instance = TestInstance::new("CW", "2026-11-24T12:00:00Z".parse().unwrap());
        instance.add_member("GOV/1001", &["management", "permits"]);
        instance.add_member("COM/2002", &["shop"]);
        let server = instance.add_server("GOV/1001", "ss1", Some("127.0.0.1"), &["GOV/1001/management"]);
        let (owner, other) = (instance.signing("GOV/1001"), instance.signing("COM/2002"));
        Self { instance, server, owner, other }
    }

    pub(crate) fn provider(&self) -> ClientId {
        self.instance.client("GOV/1001/management")
    }

    pub(crate) fn view(&self) -> View {
        View {
            trust: Arc::new(self.instance.trust()),
            provider: self.provider(),
            provider_addresses: vec!["127.0.0.1".to_owned()],
        }
    }

    pub(crate) fn ocsp(&self, key: &TestKey) -> Bytes {
        self.instance.ocsp(&key.certificate).der().clone()
    }

    /// A registration without fault.
    pub(crate) fn registration(&self) -> Registration {
        let certificate = self.server.authentication.certificate.der().to_vec();
        let change = Change::AuthCertReg { address: Some("ss1.example".into()), certificate, dry_run: false };
        Registration {
            request: ManagementRequest { server: self.server.id.clone(), change },
            provider: self.provider(),
            authentication: self.server.authentication.clone(),
            shown: self.server.authentication.certificate.der().clone(),
            owner: self.owner.clone(),
            ocsp: self.ocsp(&self.owner),
            digest: DigestAlgorithm::Sha512,
            pss: false,
        }
    }

    /// A signed request without fault, if `signer` is whom it needs.
    pub(crate) fn signed(&self, change: Change, signer: &TestKey) -> Signed {
        Signed {
            request: ManagementRequest { server: self.server.id.clone(), change },
            provider: self.provider(),
            signer: signer.clone(),
            ocsp: self.ocsp(signer),
        }
    }

    /// What the registry says to a body, by its code.
    pub(crate) fn verdict(&self, port: Port, content_type: &str, body: Bytes) -> Result<(), String> {
        let checked = Received::read(content_type, body)
            .and_then(|received| check(&received, port, &self.view(), self.instance.now()));
        checked.map(drop).map_err(|fault| fault.code.into_owned())
    }
}

pub(crate) struct Registration {
    pub(crate) request: ManagementRequest,
    pub(crate) provider: ClientId,
    pub(crate) authentication: TestKey,
    /// Part 4.
    pub(crate) shown: Bytes,
    pub(crate) owner: TestKey,
    pub(crate) ocsp: Bytes,
    pub(crate) digest: DigestAlgorithm,
    pub(crate) pss: bool,
}

impl Registration {
    pub(crate) fn parts(&self) -> Result<(protocol::soap::SoapMessage, RegistrationParts), Fault> {
        let message = self.request.to_soap(&self.provider, "registration-1")?;
        let sign = |key: &TestKey| sign(key, self.digest, self.pss, message.octets());
        let parts = RegistrationParts {
            possession: sign(&self.authentication),
            consent: sign(&self.owner),
            authentication_certificate: self.shown.clone(),
            owner_certificate: self.owner.certificate.der().clone(),
            owner_ocsp: self.ocsp.clone(),
        };
        Ok((message, parts))
    }

    pub(crate) fn body(&self) -> Bytes {
        let (message, parts) = self.parts().unwrap();
        parts.write(&message, BOUNDARY).unwrap()
    }
}

pub(crate) struct Signed {
    pub(crate) request: ManagementRequest,
    pub(crate) provider: ClientId,
    pub(crate) signer: TestKey,
    pub(crate) ocsp: Bytes,
}

impl Signed {
    pub(crate) fn parts(&self) -> (protocol::soap::SoapMessage, SignedParts) {
        let message = self.request.to_soap(&self.provider, "request-1").unwrap();
        let parts = SignedParts {
            signature: sign(&self.signer, DigestAlgorithm::Sha512, false, message.octets()),
            certificate: self.signer.certificate.der().clone(),
            ocsp: self.ocsp.clone(),
        };
        (message, parts)
    }

    pub(crate) fn body(&self) -> Bytes {
        let (message, parts) = self.parts();
        parts.write(&message, BOUNDARY).unwrap()
    }
}

pub(crate) fn multipart() -> String {
    content_type(BOUNDARY)
}

fn sign(key: &TestKey, digest: DigestAlgorithm, pss: bool, octets: &[u8]) -> PartSignature {
    let scheme = match key.key.kind() {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => SignatureScheme::Ecdsa,
        _ if pss => SignatureScheme::RsaPss,
        _ => SignatureScheme::RsaPkcs1,
    };
    let algorithm = SignatureAlgorithm::new(scheme, digest);
    let value = key.key.sign(algorithm, octets, SignatureForm::Der).unwrap();
    PartSignature { algorithm: algorithm_name(algorithm).unwrap().to_owned(), value: value.into() }
}
