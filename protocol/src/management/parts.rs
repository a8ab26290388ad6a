//! The multiparts of requests: the SOAP message, and beside it signatures, certificates and OCSP
//! responses (§3.4, §3.6, §3.7). Parts are known by their order alone.

use bytes::{Bytes, BytesMut};

use super::RequestType;
use super::body::request_type;
use crate::fault::{Fault, code};
use crate::mime::PartHeaders;
use crate::soap::{Event, Limits, PLAIN_CONTENT_TYPE, RelatedEncoder, Sender, SoapDecoder, SoapMessage};

/// The header of a signature's part that names its algorithm. X-Road looks for these very letters.
pub const SIGNATURE_ALGORITHM: &str = "signature-algorithm-id";

/// What the parts besides the message are.
const OCTETS: &str = "application/octet-stream";
/// Parts besides the message that are looked at; one more than any request has is enough to refuse it.
const MOST_PARTS: usize = 6;

/// A signature over the octets of the message as they were sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartSignature {
    /// The name of its algorithm as it stands there, see [`algorithm_of`](super::algorithm_of).
    pub algorithm: String,
    /// The signature; of ECDSA in DER.
    pub value: Bytes,
}

/// What comes with the registration of an authentication certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegistrationParts {
    /// Made with the authentication key: it is there.
    pub possession: PartSignature,
    /// Made with the signing key of the server's owner: the owner wants it.
    pub consent: PartSignature,
    /// The authentication certificate, DER.
    pub authentication_certificate: Bytes,
    /// The owner's signing certificate, DER.
    pub owner_certificate: Bytes,
    /// An OCSP response for the owner's certificate, DER.
    pub owner_ocsp: Bytes,
}

/// What comes with the other signed requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedParts {
    /// The signature of the member who has to want it.
    pub signature: PartSignature,
    /// Its signing certificate, DER.
    pub certificate: Bytes,
    /// An OCSP response for the certificate, DER.
    pub ocsp: Bytes,
}

/// A request as it came in. Nothing of it was checked but that it can be read.
#[derive(Clone, Debug)]
pub struct Received {
    message: SoapMessage,
    kind: RequestType,
    parts: Vec<(PartHeaders, Bytes)>,
}

impl Received {
    /// Reads what was sent with this content type: a multipart, or the message alone.
    ///
    /// # Errors
    /// Those of reading SOAP messages; `invalid_request` for a service that does not exist.
    pub fn read(content_type: &str, body: Bytes) -> Result<Self, Fault> {
        // More parts are counted than refused here, so that their refusal has the code it should have.
        let limits = Limits { attachments: 1000, ..Limits::default() };
        let mut decoder = SoapDecoder::new(Some(content_type), Sender::Client, limits)?;
        decoder.push(body);
        decoder.finish()?;
        let mut message = None;
        let mut parts: Vec<(PartHeaders, BytesMut)> = Vec::new();
        while let Some(event) = decoder.next()? {
            match event {
                Event::Message { message: found, .. } => message = Some(*found),
                Event::Fault(fault) => return Err(fault.refused()),
                Event::Attachment(_) if parts.len() == MOST_PARTS => break,
                Event::Attachment(headers) => parts.push((headers, BytesMut::new())),
                Event::Body(piece) => {
                    if let Some((_, octets)) = parts.last_mut() {
                        octets.extend_from_slice(&piece);
                    }
                }
                Event::BodyEnd | Event::End => {}
            }
        }
        let message = message.ok_or_else(|| Fault::new(code::MISSING_SOAP, "there is no SOAP message"))?;
        let kind = request_type(&message)?;
        let parts = parts.into_iter().map(|(headers, octets)| (headers, octets.freeze())).collect();
        Ok(Self { message, kind, parts })
    }

    /// The message.
    pub fn message(&self) -> &SoapMessage {
        &self.message
    }

    /// What kind of request it is.
    pub fn request_type(&self) -> RequestType {
        self.kind
    }

    /// The parts of a registration.
    ///
    /// # Errors
    /// `invalid_request` that names what is missing, `internal_error` when there is more.
    pub fn registration(&self) -> Result<RegistrationParts, Fault> {
        self.check_count(5)?;
        Ok(RegistrationParts {
            possession: self.signature(0, "signature with the authentication key")?,
            consent: self.signature(1, "signature of the owner")?,
            authentication_certificate: self.octets(2, "authentication certificate")?,
            owner_certificate: self.octets(3, "signing certificate of the owner")?,
            owner_ocsp: self.octets(4, "OCSP response for the owner's certificate")?,
        })
    }

    /// The parts of another signed request.
    ///
    /// # Errors
    /// As [`Received::registration`].
    pub fn signed(&self) -> Result<SignedParts, Fault> {
        self.check_count(3)?;
        Ok(SignedParts {
            signature: self.signature(0, "signature")?,
            certificate: self.octets(1, "signing certificate")?,
            ocsp: self.octets(2, "OCSP response for the signing certificate")?,
        })
    }

    /// An unsigned request has nothing but its message.
    ///
    /// # Errors
    /// `internal_error` when there is more.
    pub fn unsigned(&self) -> Result<(), Fault> {
        self.check_count(0)
    }

    fn check_count(&self, most: usize) -> Result<(), Fault> {
        if self.parts.len() <= most {
            return Ok(());
        }
        Err(Fault::new(code::INTERNAL_ERROR, "the request has more parts than requests of its kind have"))
    }

    fn octets(&self, index: usize, what: &str) -> Result<Bytes, Fault> {
        let found = self.parts.get(index).map(|(_, octets)| octets.clone()).filter(|part| !part.is_empty());
        found.ok_or_else(|| missing(what))
    }

    fn signature(&self, index: usize, what: &str) -> Result<PartSignature, Fault> {
        let value = self.octets(index, what)?;
        let named = self.parts.get(index).and_then(|(headers, _)| headers.get(SIGNATURE_ALGORITHM));
        let algorithm = named.filter(|name| !name.is_empty());
        let algorithm = algorithm.ok_or_else(|| missing(&format!("algorithm of the {what}")))?.to_owned();
        Ok(PartSignature { algorithm, value })
    }
}

fn missing(what: &str) -> Fault {
    Fault::new(code::INVALID_REQUEST, format!("the request has no {what}"))
}

/// The content type of a multipart with this boundary.
pub fn content_type(boundary: &str) -> String {
    format!("multipart/related; type=\"{OCTETS}\"; charset=UTF-8; boundary={boundary}")
}

/// A multipart with the message alone: a registration that only wants to know whether somebody answers.
///
/// # Errors
/// As [`RegistrationParts::write`].
pub fn soap_only(message: &SoapMessage, boundary: &str) -> Result<Bytes, Fault> {
    write(message, &[], boundary)
}

impl RegistrationParts {
    /// The whole multipart. The boundary is random; see [`content_type`].
    ///
    /// # Errors
    /// `invalid_content_type` when a part holds the boundary by chance: take another one.
    pub fn write(&self, message: &SoapMessage, boundary: &str) -> Result<Bytes, Fault> {
        let parts = [
            (Some(&self.possession.algorithm), &self.possession.value),
            (Some(&self.consent.algorithm), &self.consent.value),
            (None, &self.authentication_certificate),
            (None, &self.owner_certificate),
            (None, &self.owner_ocsp),
        ];
        write(message, &parts, boundary)
    }
}

impl SignedParts {
    /// The whole multipart.
    ///
    /// # Errors
    /// As [`RegistrationParts::write`].
    pub fn write(&self, message: &SoapMessage, boundary: &str) -> Result<Bytes, Fault> {
        let parts = [
            (Some(&self.signature.algorithm), &self.signature.value),
            (None, &self.certificate),
            (None, &self.ocsp),
        ];
        write(message, &parts, boundary)
    }
}

/// Each part with the algorithm of the signature in it, if one is in it.
fn write(message: &SoapMessage, parts: &[(Option<&String>, &Bytes)], boundary: &str) -> Result<Bytes, Fault> {
    let mut encoder = RelatedEncoder::new(boundary);
    let mut body = BytesMut::new();
    let mut put = |encoder: &mut RelatedEncoder, headers: &PartHeaders, octets: &[u8]| {
        body.extend_from_slice(&encoder.part(headers));
        body.extend_from_slice(octets);
        encoder.check(octets)
    };
    put(&mut encoder, &PartHeaders::new(PLAIN_CONTENT_TYPE)?, message.octets())?;
    for (algorithm, octets) in parts {
        let headers = PartHeaders::new(OCTETS)?;
        let headers = match algorithm {
            Some(name) => headers.with(SIGNATURE_ALGORITHM, name)?,
            None => headers,
        };
        put(&mut encoder, &headers, octets)?;
    }
    body.extend_from_slice(&encoder.end());
    Ok(body.freeze())
}
