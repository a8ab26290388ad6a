//! What the pilot authority answers: OCSP responses and time-stamps.

use const_oid::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;
use protocol::time::UtcTime;

use super::issue::key_id;
use super::{PilotCa, Signer};
use crate::asn1::{
    ENUMERATED, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SET, bit_string, context,
    context_value, extension, generalized_time, oid, sequence, set_of, short_time, tlv, unsigned,
};
use crate::key::{self, KeyError, SignatureForm};
use crate::ocsp::{self, CertificateId, CertificateStatus};
use crate::timestamp::{
    self, CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME, TST_INFO,
};

/// The policy in tokens: the arc of examples, since a pilot has no policy of its own.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4.1");

// OCSPResponseStatus (RFC 6960 §4.2.1).
const MALFORMED_REQUEST: u8 = 1;
const INTERNAL_ERROR: u8 = 2;

// Named bits of PKIFailureInfo (RFC 3161 §2.4.2), each as a whole BIT STRING content.
const BAD_ALGORITHM: &[u8] = &[7, 0x80];
const BAD_FORMAT: &[u8] = &[2, 0x04];
const UNACCEPTED_POLICY: &[u8] = &[0, 0, 0x01];
const UNACCEPTED_EXTENSION: &[u8] = &[7, 0, 0, 0x80];
const SYSTEM_FAILURE: &[u8] = &[6, 0, 0, 0, 0x40];

impl PilotCa {
    /// Answers an OCSP request: every certificate asked for, the nonce if there is one, signed by the
    /// responder's key. There is no next update, since every answer is made on the spot.
    pub fn ocsp_answer(&self, request: &[u8], now: UtcTime) -> Vec<u8> {
        let refuse = |status: u8| sequence(&[&tlv(ENUMERATED, &[&[status]])]);
        let Ok(request) = ocsp::Request::parse(request) else { return refuse(MALFORMED_REQUEST) };
        self.sign_ocsp(&request, now).unwrap_or_else(|_| refuse(INTERNAL_ERROR))
    }

    fn sign_ocsp(&self, request: &ocsp::Request, now: UtcTime) -> Result<Vec<u8>, KeyError> {
        let responder = &self.responder;
        let at = generalized_time(now);
        let singles: Vec<u8> = request
            .asked
            .iter()
            .flat_map(|asked| sequence(&[&asked.der, &status_der(self.status_of(asked)), &at]))
            .collect();
        let nonce = match &request.nonce {
            Some(nonce) => tlv(context(1), &[&sequence(&[&extension(ocsp::NONCE, false, nonce)])]),
            None => Vec::new(),
        };
        let name = tlv(context(2), &[&tlv(OCTET_STRING, &[&key_id(responder.key.public_key())])]);
        let data = sequence(&[&name, &at, &sequence(&[&singles]), &nonce]);
        let algorithm = responder.key.default_algorithm();
        let identifier = key::algorithm_identifier(algorithm).ok_or(KeyError::WrongAlgorithm)?;
        let signature = responder.key.sign(algorithm, &data, SignatureForm::Der)?;
        let certificates = tlv(context(0), &[&sequence(&[responder.certificate.der()])]);
        let basic = sequence(&[&data, &identifier, &bit_string(&signature), &certificates]);
        let bytes = sequence(&[&oid(ocsp::BASIC), &tlv(OCTET_STRING, &[&basic])]);
        Ok(sequence(&[&tlv(ENUMERATED, &[&[0]]), &tlv(context(0), &[&bytes])]))
    }

    fn status_of(&self, asked: &CertificateId) -> CertificateStatus {
        let root = &self.root.certificate;
        let is_ours = asked.algorithm.digest(root.subject_der()).bytes() == asked.issuer_name
            && asked.algorithm.digest(root.public_key_bits()).bytes() == asked.issuer_key;
        if is_ours { self.status(&asked.serial) } else { CertificateStatus::Unknown }
    }

    /// Answers a time-stamp request; a refusal is an answer too.
    pub fn timestamp_answer(&self, request: &[u8], now: UtcTime) -> Vec<u8> {
        let Ok(request) = timestamp::Request::parse(request) else { return refuse_stamp(BAD_FORMAT) };
        if request.has_extensions {
            return refuse_stamp(UNACCEPTED_EXTENSION);
        }
        if request.policy.as_deref().is_some_and(|policy| policy != POLICY.as_bytes()) {
            return refuse_stamp(UNACCEPTED_POLICY);
        }
        if matches!(request.imprint.algorithm(), DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224) {
            return refuse_stamp(BAD_ALGORITHM);
        }
        match sign_stamp(&self.timestamper, &request, now) {
            Ok(token) => sequence(&[&sequence(&[&unsigned(&[0])]), &token]),
            Err(_) => refuse_stamp(SYSTEM_FAILURE),
        }
    }
}

fn status_der(status: CertificateStatus) -> Vec<u8> {
    match status {
        CertificateStatus::Good => tlv(context_value(0), &[]),
        CertificateStatus::Unknown => tlv(context_value(2), &[]),
        CertificateStatus::Revoked(at, reason) => {
            let reason = match reason {
                Some(reason) => tlv(context(0), &[&tlv(ENUMERATED, &[&[reason]])]),
                None => Vec::new(),
            };
            tlv(context(1), &[&generalized_time(at), &reason])
        }
    }
}

fn refuse_stamp(failure: &[u8]) -> Vec<u8> {
    sequence(&[&sequence(&[&unsigned(&[2]), &tlv(crate::asn1::BIT_STRING, &[failure])])])
}

fn sign_stamp(signer: &Signer, request: &timestamp::Request, now: UtcTime) -> Result<Vec<u8>, KeyError> {
    let serial = super::state::random_serial()?;
    let nonce = request.nonce.as_ref().map(|nonce| tlv(INTEGER, &[nonce])).unwrap_or_default();
    let info = sequence(&[
        &unsigned(&[1]),
        &tlv(OBJECT_IDENTIFIER, &[POLICY.as_bytes()]),
        &request.imprint_der,
        &unsigned(&serial),
        &tlv(GENERALIZED_TIME, &[now.to_compact_text().as_bytes(), b"Z"]),
        &sequence(&[&unsigned(&[1])]), // accuracy: one second
        &nonce,
    ]);
    let algorithm = signer.key.default_algorithm();
    let digest = key::digest_identifier(algorithm.digest);
    let identifier = key::algorithm_identifier(algorithm).ok_or(KeyError::WrongAlgorithm)?;
    let attribute = |id: ObjectIdentifier, value: Vec<u8>| sequence(&[&oid(id), &tlv(SET, &[&value])]);
    // ESSCertIDv2 with its default algorithm, SHA-256.
    let certificate = DigestAlgorithm::Sha256.digest(signer.certificate.der());
    let certificate = sequence(&[&sequence(&[&sequence(&[&tlv(OCTET_STRING, &[certificate.bytes()])])])]);
    let attributes = set_of(vec![
        attribute(CONTENT_TYPE, oid(TST_INFO)),
        attribute(SIGNING_TIME, short_time(now)),
        attribute(MESSAGE_DIGEST, tlv(OCTET_STRING, &[algorithm.digest.digest(&info).bytes()])),
        attribute(SIGNING_CERTIFICATE_V2, certificate),
    ]);
    let signature = signer.key.sign(algorithm, &attributes, SignatureForm::Der)?;
    // In the structure the same set stands with the tag [0].
    let mut tagged = attributes;
    if let Some(tag) = tagged.first_mut() {
        *tag = context(0);
    }
    let certificate = &signer.certificate;
    let signer_info = sequence(&[
        &unsigned(&[1]),
        &sequence(&[certificate.issuer_der(), &tlv(INTEGER, &[certificate.serial()])]),
        &digest,
        &tagged,
        &identifier,
        &tlv(OCTET_STRING, &[&signature]),
    ]);
    let certificates =
        if request.certificate_wanted { tlv(context(0), &[certificate.der()]) } else { Vec::new() };
    let data = sequence(&[
        &unsigned(&[3]),
        &tlv(SET, &[&digest]),
        &sequence(&[&oid(TST_INFO), &tlv(context(0), &[&tlv(OCTET_STRING, &[&info])])]),
        &certificates,
        &tlv(SET, &[&signer_info]),
    ]);
    Ok(sequence(&[&oid(SIGNED_DATA), &tlv(context(0), &[&data])]))
}
