//! Reading a time-stamp token: CMS SignedData over a TSTInfo.

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use super::{MAX_RESPONSE, ber, read_imprint, share};
use crate::asn1::{
    INTEGER, Malformed, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, SET, context, context_value, oid,
    read_digest, read_signature, sequence, set_of, time, tlv,
};
use crate::certificate::DistinguishedName;

pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(crate) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(crate) const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
pub(crate) const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Most signed attributes of a signer, and most certificates in a token.
const MANY: usize = 64;

/// A time-stamp token. Nothing in it is believed before [`TimestampToken::check`].
#[derive(Clone, Debug)]
pub struct TimestampToken {
    der: Bytes,
    imprint: Digest,
    time: UtcTime,
    pub(super) content_digest: Digest,
    signer: SignerId,
    pub(super) attributes: Attributes,
    pub(super) signed: Vec<u8>,
    pub(super) algorithm: Option<SignatureAlgorithm>,
    pub(super) signature: Bytes,
}

/// How a token names its signer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignerId {
    /// By the issuer's name and the octets of the serial number.
    IssuerAndSerial(DistinguishedName, Bytes),
    /// By the subject key identifier.
    KeyId(Bytes),
}

/// The signed attributes that are looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<ObjectIdentifier>,
    pub(super) message_digest: Option<Bytes>,
    pub(super) signing_time: Option<UtcTime>,
    /// Digest of the signer's certificate out of the ESS attributes, version 2 preferred.
    pub(super) certificate: Option<Digest>,
}

impl TimestampToken {
    /// Reads a token of at most 256 KiB. Old ones may be in BER; what is kept is DER.
    ///
    /// # Errors
    /// `malformed_signature` when the octets are no token with exactly one signer.
    pub fn parse(der: impl Into<Bytes>) -> Result<Self, Fault> {
        let mut der = der.into();
        if ber::is_indefinite(&der) && der.len() <= MAX_RESPONSE {
            der = Bytes::from(ber::definite(&der).unwrap_or_default());
        }
        read(&der).map_err(|error| Fault::new(code::MALFORMED_SIGNATURE, format!("time-stamp: {error}")))
    }

    /// Takes the token out of a response of a time-stamping service to the request for `imprint`
    /// (§3.2, steps 2 and 3).
    ///
    /// # Errors
    /// `mlog.timestamp_non_granted_response`, `mlog.timestamp_response_validation_failed`.
    pub fn from_response(response: &[u8], imprint: &Digest) -> Result<Self, Fault> {
        let invalid = |text: String| Fault::new(super::code::VALIDATION_FAILED, text);
        let malformed = |error: Malformed| invalid(format!("time-stamp response: {error}"));
        if response.len() > MAX_RESPONSE {
            return Err(malformed(Malformed("larger than 256 KiB")));
        }
        let mut reader = Reader::whole(response, SEQUENCE).map_err(malformed)?;
        let status = reader.sequence().and_then(|mut info| info.small_integer()).map_err(malformed)?;
        if status > 1 {
            return Err(Fault::new(
                super::code::NOT_GRANTED,
                format!("the time-stamping service answered with status {status}"),
            ));
        }
        let token = reader.expect(SEQUENCE).map_err(malformed)?;
        let token = read(&Bytes::copy_from_slice(token.raw)).map_err(malformed)?;
        if token.imprint != *imprint {
            return Err(invalid("the time-stamp is not over what was sent".to_owned()));
        }
        if token.attributes.certificate.is_none() {
            return Err(invalid("the time-stamp does not sign its signer's certificate".to_owned()));
        }
        Ok(token)
    }

    /// The token, DER.
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// The digest of what is stamped.
    pub fn imprint(&self) -> &Digest {
        &self.imprint
    }

    /// `genTime`: when it was stamped, as the token says.
    pub fn time(&self) -> UtcTime {
        self.time
    }

    /// The signer as the token names it.
    pub fn signer(&self) -> &SignerId {
        &self.signer
    }

    /// The token with this certificate in its certificates, as it is stored (§3.2). Everything signed
    /// keeps its octets.
    ///
    /// # Errors
    /// `mlog.timestamp_response_validation_failed` when the token cannot be taken apart; it was read
    /// before, so this does not happen.
    pub fn with_certificate(&self, certificate: &[u8]) -> Result<Bytes, Fault> {
        insert_certificate(&self.der, certificate)
            .map(Bytes::from)
            .map_err(|error| Fault::new(super::code::VALIDATION_FAILED, error.to_string()))
    }
}

fn read(der: &Bytes) -> Result<TimestampToken, Malformed> {
    if der.len() > MAX_RESPONSE {
        return Err(Malformed("larger than 256 KiB"));
    }
    let mut content = Reader::whole(der, SEQUENCE)?;
    if content.oid()? != SIGNED_DATA {
        return Err(Malformed("no signed data"));
    }
    let mut data = content.expect(context(0))?.inside().sequence()?;
    data.expect(INTEGER)?;
    data.expect(SET)?; // digest algorithms: each signer names its own again
    let mut encapsulated = data.sequence()?;
    if encapsulated.oid()? != TST_INFO {
        return Err(Malformed("the signed data is no time-stamp"));
    }
    let info = encapsulated.expect(context(0))?.inside().expect(OCTET_STRING)?.content;
    data.optional(context(0))?; // certificates
    data.optional(context(1))?; // revocation information
    let mut signers = data.expect(SET)?.inside();
    let mut signer = signers.sequence()?;
    if !signers.is_empty() {
        return Err(Malformed("more than one signer"));
    }

    signer.expect(INTEGER)?;
    let name = signer.next()?;
    let signer_id = match name.tag {
        SEQUENCE => {
            let mut name = name.inside();
            let issuer = DistinguishedName::from_der(share(der, name.expect(SEQUENCE)?.raw))
                .map_err(|_| Malformed("issuer of the signer"))?;
            SignerId::IssuerAndSerial(issuer, share(der, name.expect(INTEGER)?.content))
        }
        tag if tag == context_value(0) => SignerId::KeyId(share(der, name.content)),
        _ => return Err(Malformed("signer identifier")),
    };
    let digest = read_digest(&mut signer)?;
    let attributes = signer.expect(context(0))?;
    let algorithm = read_signature(&mut signer, Some(digest))?;
    let signature = signer.expect(OCTET_STRING)?.content;

    let mut stamp = Reader::whole(info, SEQUENCE)?;
    stamp.small_integer()?; // version
    stamp.expect(OBJECT_IDENTIFIER)?; // policy: any
    let imprint = read_imprint(&stamp.sequence()?)?;
    stamp.expect(INTEGER)?; // serial number
    let time = stamp.generalized_time()?;
    // What follows (accuracy, nonce, name, extensions) is not looked at: none of it was asked for.
    let (attributes, signed) = read_attributes(der, attributes.inside())?;
    Ok(TimestampToken {
        imprint,
        time,
        content_digest: digest.digest(info),
        signer: signer_id,
        attributes,
        signed,
        algorithm,
        signature: share(der, signature),
        der: der.clone(),
    })
}

/// The attributes, and the octets that are signed: the attributes as a SET in DER order.
fn read_attributes(der: &Bytes, mut reader: Reader<'_>) -> Result<(Attributes, Vec<u8>), Malformed> {
    let mut attributes = Attributes::default();
    let mut seen = Vec::new();
    let mut raw = Vec::new();
    let mut first_version = None;
    while !reader.is_empty() {
        if raw.len() == MANY {
            return Err(Malformed("too many signed attributes"));
        }
        let attribute = reader.expect(SEQUENCE)?;
        raw.push(attribute.raw.to_vec());
        let mut attribute = attribute.inside();
        let id = attribute.oid()?;
        // RFC 5652 §11: these occur once and have one value.
        if seen.contains(&id) {
            return Err(Malformed("signed attribute given twice"));
        }
        seen.push(id);
        let mut values = attribute.expect(SET)?.inside();
        match id {
            CONTENT_TYPE => attributes.content_type = Some(values.oid()?),
            MESSAGE_DIGEST => {
                attributes.message_digest = Some(share(der, values.expect(OCTET_STRING)?.content));
            }
            SIGNING_TIME => attributes.signing_time = Some(time(&values.next()?)?),
            SIGNING_CERTIFICATE => {
                let mut certificate = values.sequence()?.sequence()?.sequence()?;
                let hash = certificate.expect(OCTET_STRING)?.content;
                first_version = Digest::new(DigestAlgorithm::Sha1, hash);
            }
            SIGNING_CERTIFICATE_V2 => {
                let mut certificate = values.sequence()?.sequence()?.sequence()?;
                let mut look_ahead = certificate;
                let algorithm = if look_ahead.optional(SEQUENCE)?.is_some() {
                    read_digest(&mut certificate)?
                } else {
                    DigestAlgorithm::Sha256
                };
                let hash = certificate.expect(OCTET_STRING)?.content;
                attributes.certificate = Digest::new(algorithm, hash);
            }
            _ => continue,
        }
        values.end()?;
    }
    attributes.certificate = attributes.certificate.or(first_version);
    Ok((attributes, set_of(raw)))
}

fn insert_certificate(token: &[u8], certificate: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut content = Reader::whole(token, SEQUENCE)?;
    content.oid()?;
    let mut data = content.expect(context(0))?.inside().sequence()?;
    let version = data.expect(INTEGER)?.raw;
    let digests = data.expect(SET)?.raw;
    let encapsulated = data.expect(SEQUENCE)?.raw;
    let mut certificates = vec![certificate.to_vec()];
    if let Some(present) = data.optional(context(0))? {
        let mut present = present.inside();
        while !present.is_empty() {
            if certificates.len() > MANY {
                return Err(Malformed("too many certificates"));
            }
            let next = present.next()?.raw.to_vec();
            if !certificates.contains(&next) {
                certificates.push(next);
            }
        }
    }
    // A set is sorted in DER, so the new certificate is not necessarily the first in the octets.
    certificates.sort();
    let pieces: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
    let certificates = tlv(context(0), &pieces);
    let mut rest = Vec::new();
    while !data.is_empty() {
        rest.extend_from_slice(data.next()?.raw);
    }
    let data = sequence(&[version, digests, encapsulated, &certificates, &rest]);
    Ok(sequence(&[&oid(SIGNED_DATA), &tlv(context(0), &[&data])]))
}
