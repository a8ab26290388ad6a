//! Whether the other end of a handshake has the key of the certificate it shows.
//!
//! Every key that may sign messages may also authenticate a server (messages and transport §4.2.1), so
//! the same code verifies here. Other kinds of key, which only information systems have, go to ring.

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::{KeyKind, SignatureForm, VerifyingKey};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme as Scheme};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// What a signature in a handshake may be; in the order of preference.
pub(super) const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The versions differ in what a scheme means: TLS 1.3 binds a digest to a curve and has no PKCS#1 v1.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// The algorithm of a scheme, with the curve that TLS 1.3 asks for.
fn algorithm(scheme: SignatureScheme) -> Option<(SignatureAlgorithm, Option<KeyKind>)> {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    let (scheme, digest, curve) = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => (Scheme::Ecdsa, Sha256, Some(KeyKind::P256)),
        SignatureScheme::ECDSA_NISTP384_SHA384 => (Scheme::Ecdsa, Sha384, Some(KeyKind::P384)),
        SignatureScheme::ECDSA_NISTP521_SHA512 => (Scheme::Ecdsa, Sha512, Some(KeyKind::P521)),
        SignatureScheme::RSA_PSS_SHA256 => (Scheme::RsaPss, Sha256, None),
        SignatureScheme::RSA_PSS_SHA384 => (Scheme::RsaPss, Sha384, None),
        SignatureScheme::RSA_PSS_SHA512 => (Scheme::RsaPss, Sha512, None),
        SignatureScheme::RSA_PKCS1_SHA256 => (Scheme::RsaPkcs1, Sha256, None),
        SignatureScheme::RSA_PKCS1_SHA384 => (Scheme::RsaPkcs1, Sha384, None),
        SignatureScheme::RSA_PKCS1_SHA512 => (Scheme::RsaPkcs1, Sha512, None),
        _ => return None,
    };
    Some((SignatureAlgorithm::new(scheme, digest), curve))
}

/// Verifies the signature over what was said so far in the handshake.
pub(super) fn verify(
    version: Version,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let Some((algorithm, curve)) = algorithm(signature.scheme) else {
        let algorithms = super::provider().signature_verification_algorithms;
        return match version {
            Version::Tls12 => verify_tls12_signature(message, certificate, signature, &algorithms),
            Version::Tls13 => verify_tls13_signature(message, certificate, signature, &algorithms),
        };
    };
    let certificate = Certificate::from_der(Bytes::copy_from_slice(certificate))
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let holds = VerifyingKey::from_spki(certificate.public_key()).is_some_and(|key| {
        allowed(version, algorithm, curve, key.curve())
            && key.verify(algorithm, message, signature.signature(), SignatureForm::Der)
    });
    if holds {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }
}

fn allowed(
    version: Version,
    algorithm: SignatureAlgorithm,
    asked: Option<KeyKind>,
    of_key: Option<KeyKind>,
) -> bool {
    match version {
        Version::Tls12 => true,
        Version::Tls13 => asked == of_key && algorithm.scheme != Scheme::RsaPkcs1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_in_what_they_allow() {
        #[track_caller]
        fn check(scheme: SignatureScheme, of_key: Option<KeyKind>, expected: [bool; 2]) {
            let (algorithm, curve) = algorithm(scheme).unwrap();
            let allowed =
                [Version::Tls12, Version::Tls13].map(|version| allowed(version, algorithm, curve, of_key));
            assert_eq!(allowed, expected, "{scheme:?} {of_key:?}");
        }
        check(SignatureScheme::ECDSA_NISTP256_SHA256, Some(KeyKind::P256), [true, true]);
        check(SignatureScheme::ECDSA_NISTP256_SHA256, Some(KeyKind::P384), [true, false]);
        check(SignatureScheme::ECDSA_NISTP521_SHA512, Some(KeyKind::P521), [true, true]);
        check(SignatureScheme::RSA_PSS_SHA256, None, [true, true]);
        check(SignatureScheme::RSA_PKCS1_SHA256, None, [true, false]);
        check(SignatureScheme::ECDSA_NISTP256_SHA256, None, [true, false]);
    }

    #[test]
    fn nothing_with_sha1_is_offered() {
        assert!(algorithm(SignatureScheme::RSA_PKCS1_SHA1).is_none());
        assert!(!SCHEMES.contains(&SignatureScheme::RSA_PKCS1_SHA1));
        assert!(!SCHEMES.contains(&SignatureScheme::ECDSA_SHA1_Legacy));
    }
}
