//! Reading an OCSP response.

use std::sync::Arc;

use bytes::Bytes;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use super::{BASIC, MAX_RESPONSE};
use crate::asn1::{
    ENUMERATED, Malformed, OCTET_STRING, Reader, SEQUENCE, context, context_value, read_signature, time,
};
use crate::certificate::DistinguishedName;

/// Most certificates that a response may carry.
const MAX_CERTIFICATES: usize = 8;

/// A response with its first single response. Nothing in it is believed before [`super::check`].
#[derive(Clone, Debug)]
pub struct OcspResponse(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    der: Bytes,
    digest: Digest,
    signed: Bytes,
    algorithm: Option<SignatureAlgorithm>,
    signature: Bytes,
    responder: ResponderId,
    certificate_id: Bytes,
    status: CertificateStatus,
    produced_at: UtcTime,
    this_update: UtcTime,
    next_update: Option<UtcTime>,
    certificates: Vec<Bytes>,
}

/// How a response names who signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResponderId {
    /// By the subject name of its certificate.
    Name(DistinguishedName),
    /// By the SHA-1 of its public key.
    KeyHash(Bytes),
}

/// What a response says about a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateStatus {
    /// Not revoked.
    Good,
    /// Revoked since then, with the CRLReason if one is given.
    Revoked(UtcTime, Option<u8>),
    /// The responder does not know the certificate.
    Unknown,
}

impl CertificateStatus {
    /// The word that texts use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Revoked(..) => "REVOKED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl OcspResponse {
    /// Reads a successful response of at most 64 KiB.
    ///
    /// # Errors
    /// `incorrect_validation_info` when the octets are no OCSP response, or one without a basic
    /// response, or one that is not successful.
    pub fn parse(der: impl Into<Bytes>) -> Result<Self, Fault> {
        let der = der.into();
        read(&der)
            .map(|parts| Self(Arc::new(parts)))
            .map_err(|error| Fault::new(code::INCORRECT_VALIDATION_INFO, format!("OCSP response: {error}")))
    }

    /// The whole response.
    pub fn der(&self) -> &Bytes {
        &self.0.der
    }

    /// SHA-256 of the whole response.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The CertID of the first single response, DER.
    pub fn certificate_id(&self) -> &[u8] {
        &self.0.certificate_id
    }

    /// Who claims to have signed.
    pub fn responder(&self) -> &ResponderId {
        &self.0.responder
    }

    /// The status of the certificate.
    pub fn status(&self) -> CertificateStatus {
        self.0.status
    }

    /// When the response was made.
    pub fn produced_at(&self) -> UtcTime {
        self.0.produced_at
    }

    /// When the status was known to be right.
    pub fn this_update(&self) -> UtcTime {
        self.0.this_update
    }

    /// When newer information will be there, if that is said.
    pub fn next_update(&self) -> Option<UtcTime> {
        self.0.next_update
    }

    /// Certificates inside the response, DER.
    pub fn certificates(&self) -> &[Bytes] {
        &self.0.certificates
    }

    /// The octets that are signed.
    pub(crate) fn signed(&self) -> &[u8] {
        &self.0.signed
    }

    /// How they are signed; none for an algorithm that we do not verify.
    pub(crate) fn algorithm(&self) -> Option<SignatureAlgorithm> {
        self.0.algorithm
    }

    /// The signature value.
    pub(crate) fn signature(&self) -> &[u8] {
        &self.0.signature
    }
}

fn read(der: &Bytes) -> Result<Parts, Malformed> {
    if der.len() > MAX_RESPONSE {
        return Err(Malformed("larger than 64 KiB"));
    }
    let mut outer = Reader::whole(der, SEQUENCE)?;
    if outer.expect(ENUMERATED)?.content != [0] {
        return Err(Malformed("the responder refused the request"));
    }
    let mut bytes = outer.expect(context(0))?.inside().sequence()?;
    if bytes.oid()? != BASIC {
        return Err(Malformed("no basic response"));
    }
    let mut basic = Reader::whole(bytes.expect(OCTET_STRING)?.content, SEQUENCE)?;
    let data = basic.expect(SEQUENCE)?;
    let algorithm = read_signature(&mut basic, None)?;
    let signature = basic.bits()?;
    let mut certificates = Vec::new();
    if let Some(list) = basic.optional(context(0))? {
        let mut list = list.inside().sequence()?;
        while !list.is_empty() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(Malformed("too many certificates"));
            }
            certificates.push(der.slice_ref(list.expect(SEQUENCE)?.raw));
        }
    }

    let signed = data.raw;
    let mut data = data.inside();
    data.optional(context(0))?; // version
    let responder = data.next()?;
    let responder = match responder.tag {
        tag if tag == context(1) => {
            let name = der.slice_ref(responder.inside().expect(SEQUENCE)?.raw);
            ResponderId::Name(DistinguishedName::from_der(name).map_err(|_| Malformed("responder name"))?)
        }
        tag if tag == context(2) => {
            ResponderId::KeyHash(der.slice_ref(responder.inside().expect(OCTET_STRING)?.content))
        }
        _ => return Err(Malformed("responder id")),
    };
    let produced_at = data.generalized_time()?;
    let mut first = data.sequence()?.sequence()?;
    let certificate_id = first.expect(SEQUENCE)?.raw;
    let status = first.next()?;
    let status = match status.tag {
        tag if tag == context_value(0) => CertificateStatus::Good,
        tag if tag == context(1) => {
            let mut revoked = status.inside();
            let at = revoked.generalized_time()?;
            let reason = match revoked.optional(context(0))? {
                Some(reason) => reason.inside().expect(ENUMERATED)?.content.first().copied(),
                None => None,
            };
            CertificateStatus::Revoked(at, reason)
        }
        tag if tag == context_value(2) => CertificateStatus::Unknown,
        _ => return Err(Malformed("certificate status")),
    };
    let this_update = first.generalized_time()?;
    let next_update = match first.optional(context(0))? {
        Some(next) => Some(time(&next.inside().next()?)?),
        None => None,
    };
    Ok(Parts {
        digest: DigestAlgorithm::Sha256.digest(der),
        signed: der.slice_ref(signed),
        algorithm,
        signature: der.slice_ref(signature),
        responder,
        certificate_id: der.slice_ref(certificate_id),
        status,
        produced_at,
        this_update,
        next_update,
        certificates,
        der: der.clone(),
    })
}
