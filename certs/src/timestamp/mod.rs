//! Time-stamp requests and tokens (signatures and evidence §3, RFC 3161, RFC 5652).
//!
//! A token is believed only when its signer is an approved time-stamping service of the global
//! configuration; certificates inside a token are never trusted.

mod ber;
mod check;
mod token;

use bytes::Bytes;
use protocol::digest::{Digest, DigestAlgorithm};

pub use check::{Accepted, accept};
pub(crate) use token::{
    CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME, TST_INFO,
};
pub use token::{SignerId, TimestampToken};

use crate::asn1::{
    BOOLEAN, INTEGER, Malformed, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, bare_digest_identifier,
    context, read_digest, sequence, tlv, unsigned,
};

/// Codes of faults (signatures and evidence §5.6).
pub mod code {
    /// No time-stamping service is approved in any known instance.
    pub const NO_PROVIDER: &str = "mlog.no_timestamping_provider_found";
    /// The token's signer is no approved service.
    pub const CERTIFICATE_NOT_FOUND: &str = "mlog.tsp_certificate_not_found";
    /// The token's signature does not verify.
    pub const VERIFICATION_FAILED: &str = "mlog.timestamp_signer_verification_failed";
    /// The answer does not fit the request.
    pub const VALIDATION_FAILED: &str = "mlog.timestamp_response_validation_failed";
    /// The service refused.
    pub const NOT_GRANTED: &str = "mlog.timestamp_non_granted_response";
    /// The HTTP status was not 200.
    pub const NOT_OK: &str = "mlog.timestamping_non_ok_response";
    /// The service could not be reached.
    pub const CONNECTION_FAILED: &str = "mlog.timestamp_provider_connection_failed";
}

/// Largest request that is read, in octets.
pub const MAX_REQUEST: usize = 4 * 1024;
/// Largest response or token that is read, in octets.
pub const MAX_RESPONSE: usize = 256 * 1024;

/// A request to time-stamp what has this digest: no policy, no nonce, no certificate (§3.2).
pub fn request(imprint: &Digest) -> Vec<u8> {
    let imprint =
        sequence(&[&bare_digest_identifier(imprint.algorithm()), &tlv(OCTET_STRING, &[imprint.bytes()])]);
    sequence(&[&unsigned(&[1]), &imprint])
}

/// A request as a time-stamping authority reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is to be stamped.
    pub imprint: Digest,
    /// The message imprint in DER, to be sent back as it is.
    pub imprint_der: Vec<u8>,
    /// Content of the policy identifier, if one is demanded.
    pub policy: Option<Vec<u8>>,
    /// Octets of the nonce, to be sent back as they are.
    pub nonce: Option<Vec<u8>>,
    /// Whether the authority's certificate shall be in the token.
    pub certificate_wanted: bool,
    /// Whether there are extensions.
    pub has_extensions: bool,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is no time-stamp request of version 1 or its imprint has not the length of its algorithm.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_REQUEST {
            return Err(Malformed("request too large"));
        }
        let mut request = Reader::whole(bytes, SEQUENCE)?;
        if request.small_integer()? != 1 {
            return Err(Malformed("version of the request"));
        }
        let imprint_der = request.expect(SEQUENCE)?;
        let imprint = read_imprint(&imprint_der.inside())?;
        let policy = request.optional(OBJECT_IDENTIFIER)?.map(|policy| policy.content.to_vec());
        let nonce = request.optional(INTEGER)?.map(|nonce| nonce.content.to_vec());
        let certificate_wanted = request.optional(BOOLEAN)?.is_some_and(|wanted| wanted.content != [0]);
        let has_extensions = request.optional(context(0))?.is_some();
        request.end()?;
        let imprint_der = imprint_der.raw.to_vec();
        Ok(Self { imprint, imprint_der, policy, nonce, certificate_wanted, has_extensions })
    }
}

/// The inside of a MessageImprint.
fn read_imprint(reader: &Reader<'_>) -> Result<Digest, Malformed> {
    let mut reader = *reader;
    let algorithm: DigestAlgorithm = read_digest(&mut reader)?;
    let value = reader.expect(OCTET_STRING)?.content;
    if value.len() != algorithm.length() {
        return Err(Malformed("length of the message imprint"));
    }
    Digest::new(algorithm, value).ok_or(Malformed("length of the message imprint"))
}

/// A copy of a slice of `whole` that shares its memory.
fn share(whole: &Bytes, part: &[u8]) -> Bytes {
    whole.slice_ref(part)
}
