//! Which certificates a handshake admits. Possession of the key is always proven.

use std::sync::Arc;

use bytes::Bytes;
use protocol::configuration::CertificateHashes;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::possession::{self, Version};
use crate::snapshot::SnapshotCell;

/// Admits clients whose leaf is registered as an authentication certificate (§4.2.3).
#[derive(Debug)]
pub(super) struct RegisteredPeers(pub(super) Arc<SnapshotCell>);

impl RegisteredPeers {
    /// Whether the leaf is registered in the configuration in force now.
    pub(super) fn admits(&self, leaf: &[u8]) -> bool {
        let snapshot = self.0.load();
        snapshot.as_ref().is_some_and(|snapshot| snapshot.server_of(&CertificateHashes::of(leaf)).is_some())
    }
}

/// Admits whoever has the key of the certificate shown.
#[derive(Debug)]
pub(super) struct AnyCertificate;

/// What is demanded of a provider's system (§5.5).
#[derive(Clone, Debug)]
pub(crate) enum Pin {
    /// Its leaf is byte-equal to one of these.
    OneOf(Vec<Bytes>),
    /// A path to a root of the platform, and the host name.
    Platform(Arc<WebPkiServerVerifier>),
    /// Nothing.
    Nothing,
}

/// The other end must prove that it has the key of what it shows, whoever it is.
macro_rules! proof_of_possession {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            possession::verify(Version::Tls12, message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            possession::verify(Version::Tls13, message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            possession::SCHEMES.to_vec()
        }
    };
}

impl ClientCertVerifier for RegisteredPeers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.admits(leaf) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    proof_of_possession!();
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    proof_of_possession!();
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    proof_of_possession!();
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self {
            Self::OneOf(pins) if pins.iter().any(|pin| pin.as_ref() == leaf.as_ref()) => {}
            Self::OneOf(_) => return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            Self::Platform(verifier) => {
                return verifier.verify_server_cert(leaf, intermediates, name, ocsp, now);
            }
            Self::Nothing => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    proof_of_possession!();
}
