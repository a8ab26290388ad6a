//! Reads and verifies a directory.

use std::collections::BTreeSet;

use super::super::ConfigurationError;
use super::super::parameters::{NEWEST_VERSION, OLDEST_VERSION};
use super::super::schema::decode_base64;
use super::headers::{Headers, split_line, value_and_parameter};
use super::{
    DIRECTORY_LIMIT, Directory, PRIVATE_PARAMETERS, Part, SHARED_PARAMETERS, Verifier, is_acceptable,
};
use crate::digest::{Digest, DigestAlgorithm};
use crate::signature::SignatureAlgorithm;
use crate::time::UtcTime;
use crate::transport::ContentType;

/// Most parts that a directory may list.
const PART_LIMIT: usize = 256;

/// A directory as it was fetched. Nothing in it is verified.
#[derive(Clone, Debug)]
pub struct SignedDirectory<'a> {
    signed: &'a [u8],
    signed_offset: usize,
    inner_boundary: String,
    algorithm: SignatureAlgorithm,
    certificate_hash: Digest,
    value: Vec<u8>,
}

impl<'a> SignedDirectory<'a> {
    /// Splits a document into signed octets and signature.
    ///
    /// # Errors
    /// A document without the two parts, or with headers of the signature that are missing or wrong.
    pub fn parse(document: &'a [u8]) -> Result<Self, ConfigurationError> {
        if document.len() > DIRECTORY_LIMIT {
            return Err(ConfigurationError::Directory("it is too large"));
        }
        let (envelope, body) = Headers::read(document)?;
        let outer = boundary(&envelope)?;
        let mut parts = split_parts(body, &outer).into_iter();
        let first = parts.next().ok_or(ConfigurationError::MissingSignedData)?;
        let second = parts.next().ok_or(ConfigurationError::MissingSignature)?;
        if parts.next().is_some() {
            return Err(ConfigurationError::Directory("it has more than two parts"));
        }

        let (headers, signed) = Headers::read(first)?;
        let inner_boundary = boundary(&headers)?;
        // The boundary stands outside of what is signed, so the signed octets must confirm it.
        let mut lines = std::iter::successors(split_line(signed), |(_, rest)| split_line(rest));
        match lines.find(|(line, _)| !line.is_empty()) {
            Some((line, _)) if is_delimiter(line, &inner_boundary) == Some(Delimiter::Next) => {}
            _ => {
                return Err(ConfigurationError::Directory(
                    "the signed data does not begin with its boundary",
                ));
            }
        }

        let (headers, value) = Headers::read(second)?;
        headers.fixed("content-type", "application/octet-stream")?;
        headers.fixed("content-transfer-encoding", "base64")?;
        let uri = headers.required("signature-algorithm-id")?;
        let algorithm = SignatureAlgorithm::from_uri(uri)
            .filter(|algorithm| is_acceptable(*algorithm))
            .ok_or_else(|| ConfigurationError::Algorithm(uri.chars().take(100).collect()))?;
        let certificate_header = headers.required("verification-certificate-hash")?;
        let (hash, hash_uri) = value_and_parameter(certificate_header, "hash-algorithm-id");
        let hash_uri = hash_uri.ok_or(ConfigurationError::ParameterMissing(
            "verification-certificate-hash",
            "hash-algorithm-id",
        ))?;
        let certificate_hash = decode_base64(hash)
            .and_then(|hash| Digest::new(digest_algorithm(hash_uri).ok()?, &hash))
            .ok_or(ConfigurationError::HeaderWrong("verification-certificate-hash"))?;
        let value = base64_body(value).ok_or(ConfigurationError::SignatureDecode)?;
        let signed_offset = (signed.as_ptr() as usize).saturating_sub(document.as_ptr() as usize);
        Ok(Self { signed, signed_offset, inner_boundary, algorithm, certificate_hash, value })
    }

    /// The signed octets.
    pub fn signed_octets(&self) -> &'a [u8] {
        self.signed
    }

    /// Where they begin in the document.
    pub fn signed_offset(&self) -> usize {
        self.signed_offset
    }

    /// How it says to be signed.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The hash of the certificate whose key signed.
    pub fn certificate_hash(&self) -> &Digest {
        &self.certificate_hash
    }

    /// The boundary of the signed part.
    pub fn inner_boundary(&self) -> &str {
        &self.inner_boundary
    }

    /// The signature value.
    pub fn signature_value(&self) -> &[u8] {
        &self.value
    }

    /// Verifies the signature with one of `certificates`, those of the location that was used and no
    /// others, and reads what is signed.
    ///
    /// # Errors
    /// In this order (§4.5): no certificate with the announced hash, a wrong signature, then whatever is
    /// wrong inside, among it a configuration that has expired at `now`.
    pub fn verify(
        &self,
        certificates: &[Vec<u8>],
        verifier: &Verifier<'_>,
        now: UtcTime,
    ) -> Result<Directory, ConfigurationError> {
        let algorithm = self.certificate_hash.algorithm();
        let certificate = certificates
            .iter()
            .find(|certificate| algorithm.digest(certificate) == self.certificate_hash)
            .ok_or(ConfigurationError::NoVerificationCertificate)?;
        if !verifier(certificate, self.algorithm, self.signed, &self.value) {
            return Err(ConfigurationError::Signature);
        }
        self.read(now)
    }

    fn read(&self, now: UtcTime) -> Result<Directory, ConfigurationError> {
        let mut parts = split_parts(self.signed, &self.inner_boundary).into_iter();
        let first = parts.next().ok_or(ConfigurationError::MissingSignedData)?;
        let (headers, _) = Headers::read(first)?;
        let expires: UtcTime = headers
            .required("expire-date")?
            .parse()
            .map_err(|_| ConfigurationError::HeaderWrong("expire-date"))?;
        if now > expires {
            return Err(ConfigurationError::Outdated);
        }
        let version = match headers.optional("version") {
            None => OLDEST_VERSION,
            Some(text) => text
                .parse()
                .ok()
                .filter(|version| (OLDEST_VERSION..=NEWEST_VERSION).contains(version))
                .ok_or_else(|| ConfigurationError::UnsupportedVersion(text.chars().take(20).collect()))?,
        };
        let parts: Vec<Part> = parts.map(part).collect::<Result<_, _>>()?;
        if parts.len() > PART_LIMIT {
            return Err(ConfigurationError::Directory("it lists too many parts"));
        }
        let mut names = BTreeSet::new();
        for part in &parts {
            let name = part.local_name()?;
            if !names.insert((part.instance.as_deref(), name)) {
                return Err(ConfigurationError::FileName(name.to_owned()));
            }
        }
        Ok(Directory { expires, version, parts })
    }
}

fn part(bytes: &[u8]) -> Result<Part, ConfigurationError> {
    let (headers, body) = Headers::read(bytes)?;
    headers.fixed("content-type", "application/octet-stream")?;
    headers.fixed("content-transfer-encoding", "base64")?;
    let location = headers.required("content-location")?.to_owned();
    let algorithm = digest_algorithm(headers.required("hash-algorithm-id")?)?;
    let digest = base64_body(body)
        .filter(|digest| digest.len() == algorithm.length())
        .and_then(|digest| Digest::new(algorithm, &digest))
        .ok_or(ConfigurationError::Directory("a part without a digest of the right length"))?;
    let (mut content_identifier, mut instance) = (None, None);
    if let Some(header) = headers.optional("content-identifier") {
        let (identifier, about) = value_and_parameter(header, "instance");
        if about.is_none() && [PRIVATE_PARAMETERS, SHARED_PARAMETERS].contains(&identifier) {
            return Err(ConfigurationError::ParameterMissing("content-identifier", "instance"));
        }
        content_identifier = Some(identifier.to_owned()).filter(|identifier| !identifier.is_empty());
        instance = about.map(str::to_owned);
    }
    let file_name = headers.optional("content-file-name").map(str::to_owned);
    Ok(Part { content_identifier, instance, location, file_name, digest })
}

fn digest_algorithm(uri: &str) -> Result<DigestAlgorithm, ConfigurationError> {
    DigestAlgorithm::from_uri(uri)
        .filter(|algorithm| *algorithm != DigestAlgorithm::Sha1)
        .ok_or_else(|| ConfigurationError::Algorithm(uri.chars().take(100).collect()))
}

fn base64_body(body: &[u8]) -> Option<Vec<u8>> {
    let text: String = std::str::from_utf8(body).ok()?.split_ascii_whitespace().collect();
    decode_base64(&text).filter(|bytes| !bytes.is_empty())
}

fn boundary(headers: &Headers) -> Result<String, ConfigurationError> {
    let content_type = headers.required("content-type")?;
    let parsed = ContentType::parse(content_type)
        .ok()
        .filter(|parsed| parsed.essence().starts_with("multipart/"))
        .ok_or(ConfigurationError::Directory("it is not a multipart document"))?;
    parsed
        .boundary()
        .map(str::to_owned)
        .map_err(|_| ConfigurationError::Directory("a multipart without boundary"))
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Delimiter {
    Next,
    Closing,
}

fn is_delimiter(line: &[u8], boundary: &str) -> Option<Delimiter> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    match rest.trim_ascii_end() {
        b"" => Some(Delimiter::Next),
        b"--" => Some(Delimiter::Closing),
        _ => None,
    }
}

/// The octets between delimiter lines, each without the line break before the next delimiter. What
/// follows the last delimiter counts as well: old writers leave the closing one out.
fn split_parts<'a>(bytes: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut begin = None;
    let mut rest = bytes;
    while let Some((line, after)) = split_line(rest) {
        if let Some(delimiter) = is_delimiter(line, boundary) {
            let line_at = bytes.len() - rest.len();
            if let Some(begin) = begin.take() {
                let part = bytes.get(begin..line_at).unwrap_or_default();
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                parts.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            if delimiter == Delimiter::Closing || parts.len() > PART_LIMIT {
                return parts;
            }
            begin = Some(bytes.len() - after.len());
        }
        rest = after;
    }
    if let Some(part) = begin.and_then(|begin| bytes.get(begin..)) {
        parts.push(part);
    }
    parts
}
