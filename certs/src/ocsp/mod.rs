//! OCSP requests and responses (global configuration and trust §16, RFC 6960).
//!
//! [`request`] asks for one certificate, [`OcspResponse`] is what came back, [`check`] decides whether
//! it says that the certificate may be used. Only the first single response counts, and it must name
//! the certificate with SHA-1 hashes, byte for byte as we would ourselves.

mod check;
mod response;

use const_oid::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;

pub(crate) use check::VerifiedResponses;
pub use check::{ResponderValidity, check, check_authentic, check_current, check_path};
pub use response::{CertificateStatus, OcspResponse, ResponderId};

use crate::asn1::{self, INTEGER, Malformed, OCTET_STRING, Reader, SEQUENCE, context, sequence, tlv};
use crate::certificate::Certificate;
use crate::key::digest_identifier;

pub(crate) const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
pub(crate) const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// Largest request that is read, in octets.
pub const MAX_REQUEST: usize = 16 * 1024;
/// Largest response that is read, in octets.
pub const MAX_RESPONSE: usize = 64 * 1024;
/// Most certificates that one request may ask for.
const MAX_ASKED: usize = 32;

/// The CertID of a certificate: SHA-1 with NULL parameters (§16.3).
pub fn certificate_id(subject: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let name = DigestAlgorithm::Sha1.digest(subject.issuer_der());
    let key = DigestAlgorithm::Sha1.digest(issuer.public_key_bits());
    sequence(&[
        &digest_identifier(DigestAlgorithm::Sha1),
        &tlv(OCTET_STRING, &[name.bytes()]),
        &tlv(OCTET_STRING, &[key.bytes()]),
        &tlv(INTEGER, &[subject.serial()]),
    ])
}

/// An unsigned request for one certificate, without nonce (§16.3).
pub fn request(subject: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let id = certificate_id(subject, issuer);
    sequence(&[&sequence(&[&sequence(&[&sequence(&[&id])])])])
}

/// A request as a responder reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked for, at least one.
    pub asked: Vec<CertificateId>,
    /// Content of the nonce extension, to be sent back as it is.
    pub nonce: Option<Vec<u8>>,
}

/// A CertID of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateId {
    /// The whole CertID in DER, to be sent back as it is.
    pub der: Vec<u8>,
    /// The algorithm of the two hashes.
    pub algorithm: DigestAlgorithm,
    /// Hash of the issuer's name.
    pub issuer_name: Vec<u8>,
    /// Hash of the issuer's public key.
    pub issuer_key: Vec<u8>,
    /// Octets of the serial number.
    pub serial: Vec<u8>,
}

impl Request {
    /// Reads a request; its signature, if there is one, is not looked at.
    ///
    /// # Errors
    /// When it is no OCSP request, is too large, or asks for more than 32 certificates.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_REQUEST {
            return Err(Malformed("request too large"));
        }
        let mut body = Reader::whole(bytes, SEQUENCE)?.sequence()?;
        body.optional(context(0))?; // version
        body.optional(context(1))?; // requestor name
        let mut list = body.sequence()?;
        let mut asked = Vec::new();
        while !list.is_empty() {
            if asked.len() == MAX_ASKED {
                return Err(Malformed("too many certificates asked for"));
            }
            asked.push(CertificateId::read(&mut list.sequence()?)?);
        }
        if asked.is_empty() {
            return Err(Malformed("no certificate asked for"));
        }
        let mut nonce = None;
        if let Some(extensions) = body.optional(context(2))? {
            let mut extensions = extensions.inside().sequence()?;
            while !extensions.is_empty() {
                let mut extension = extensions.sequence()?;
                let id = extension.oid()?;
                extension.optional(asn1::BOOLEAN)?;
                let value = extension.expect(OCTET_STRING)?;
                if id == NONCE {
                    nonce = Some(value.content.to_vec());
                }
            }
        }
        Ok(Self { asked, nonce })
    }
}

impl CertificateId {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let whole = reader.expect(SEQUENCE)?;
        let mut inside = whole.inside();
        Ok(Self {
            der: whole.raw.to_vec(),
            algorithm: asn1::read_digest(&mut inside)?,
            issuer_name: inside.expect(OCTET_STRING)?.content.to_vec(),
            issuer_key: inside.expect(OCTET_STRING)?.content.to_vec(),
            serial: inside.expect(INTEGER)?.content.to_vec(),
        })
    }
}
