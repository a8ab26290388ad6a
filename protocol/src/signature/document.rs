//! Reading a signature document (§1.1, §1.3, §1.7).
//!
//! Everything needed later is taken out in one pass, so the tree does not outlive [`SignatureDocument::parse`]:
//! the canonical `ds:SignedInfo`, whether references into the document hold, certificates and OCSP
//! responses. The certificate, the signature value and OCSP are for others to judge.

use bytes::Bytes;

use super::SignatureAlgorithm;
use super::references::References;
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::{Fault, code};
use crate::hash_chain::Rules;
use crate::time::UtcTime;
use crate::xml::{
    Canonicalization, Document, Element, Limits, XADES_NAMESPACE, XMLDSIG_NAMESPACE, decode_base64,
};

/// Bounds of a signature document. With a chain of CA certificates and OCSP responses a real one has
/// some 20 kB.
pub(super) const LIMITS: Limits = Limits { octets: 1 << 20, depth: 32, nodes: 20_000, attributes: 64 };

/// Namespaces of the wrapper, current and before 2015.
const ASIC_NAMESPACES: [&str; 2] = ["http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v1.1.1#"];

/// A signature document, parsed; nothing in it is believed yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureDocument {
    octets: Bytes,
    certificate: Bytes,
    algorithm: SignatureAlgorithm,
    value: Vec<u8>,
    signed_info: Vec<u8>,
    references: References,
    ocsp_responses: Vec<Bytes>,
    intermediates: Vec<Bytes>,
    timestamp: Option<Vec<u8>>,
    signing_time: Option<UtcTime>,
}

pub(super) fn malformed(text: impl Into<String>) -> Fault {
    Fault::new(code::MALFORMED_SIGNATURE, text)
}

impl SignatureDocument {
    /// Reads a document.
    ///
    /// With [`Rules::Message`] the document must also have the form of the XAdES schema and use no
    /// SHA-1.
    ///
    /// # Errors
    /// `invalid_xml` or `malformed_signature`.
    pub fn parse(octets: impl Into<Bytes>, rules: Rules) -> Result<Self, Fault> {
        let octets = octets.into();
        let document = Document::parse(&octets, &LIMITS)
            .map_err(|error| Fault::new(code::INVALID_XML, format!("the signature is not XML: {error}")))?;
        let signature = find_signature(&document)?;
        require_unique_ids(&document)?;
        if rules == Rules::Message {
            super::schema::validate(&signature)?;
        }

        let signed_info = ds(&signature, "SignedInfo")?;
        let canonicalization = ds(&signed_info, "CanonicalizationMethod")?;
        let canonicalization = Canonicalization::from_element(&canonicalization)
            .ok_or_else(|| malformed("unknown canonicalisation"))?;
        let algorithm = ds(&signed_info, "SignatureMethod")?
            .attribute("Algorithm")
            .and_then(SignatureAlgorithm::from_uri)
            .ok_or_else(|| malformed("unknown signature algorithm"))?;
        if rules == Rules::Message && algorithm.digest == DigestAlgorithm::Sha1 {
            return Err(malformed("signatures with SHA-1 are not accepted"));
        }
        let value = base64(&ds(&signature, "SignatureValue")?)?;
        let certificate =
            Bytes::from(base64(&ds(&ds(&ds(&signature, "KeyInfo")?, "X509Data")?, "X509Certificate")?)?);
        ds(&signature, "Object")?;

        let properties = qualifying_properties(&signature);
        let signed_properties = properties.and_then(|found| found.child(XADES_NAMESPACE, "SignedProperties"));
        let references = References::read(&document, &signed_info, signed_properties.as_ref(), rules)?;
        let mut signing_time = None;
        if let Some(signed) = signed_properties.and_then(|found| xades(&found, "SignedSignatureProperties")) {
            signing_time = xades(&signed, "SigningTime").and_then(|time| time.text().parse().ok());
            check_signing_certificate(&signed, &certificate)?;
        }
        let unsigned = properties
            .and_then(|found| xades(&found, "UnsignedProperties"))
            .and_then(|found| xades(&found, "UnsignedSignatureProperties"));
        let mut parsed = Self {
            certificate,
            algorithm,
            value,
            signed_info: signed_info.canonicalize(&canonicalization),
            references,
            ocsp_responses: Vec::new(),
            intermediates: Vec::new(),
            timestamp: None,
            signing_time,
            octets: Bytes::new(),
        };
        if let Some(unsigned) = unsigned {
            parsed.ocsp_responses = ocsp_responses(&unsigned)?;
            parsed.intermediates = intermediates(&document, &unsigned)?;
            parsed.timestamp = timestamp(&unsigned)?;
        }
        drop(document);
        parsed.octets = octets;
        Ok(parsed)
    }

    /// A document that differs from this one in these things.
    pub(super) fn like(
        &self,
        octets: Bytes,
        value: Vec<u8>,
        signed_info: Vec<u8>,
        references: References,
        signing_time: Option<UtcTime>,
    ) -> Option<Self> {
        let same = self.clone();
        (!value.is_empty()).then_some(Self { octets, value, signed_info, references, signing_time, ..same })
    }

    /// The document itself.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// The signing certificate, DER.
    pub fn certificate(&self) -> &Bytes {
        &self.certificate
    }

    /// How the value was made.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The signature value: RSA octets, or r ‖ s.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The canonical `ds:SignedInfo`: what was hashed and signed.
    pub fn signed_info_octets(&self) -> &[u8] {
        &self.signed_info
    }

    /// What the signature refers to.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Complete OCSP responses, DER, in the order of the document.
    pub fn ocsp_responses(&self) -> &[Bytes] {
        &self.ocsp_responses
    }

    /// Certificates between the signing certificate and the trust anchor, DER.
    pub fn intermediates(&self) -> &[Bytes] {
        &self.intermediates
    }

    /// The `TimeStampToken` inside, DER. It covers the decoded signature value.
    pub fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp.as_deref()
    }

    /// When the signer says that it signed.
    pub fn signing_time(&self) -> Option<UtcTime> {
        self.signing_time
    }
}

/// The one `ds:Signature`: the root, or its child in the ASiC wrapper. A second one anywhere is refused,
/// since readers that search by name would take one or the other.
pub(super) fn find_signature<'d>(document: &'d Document<'d>) -> Result<Element<'d>, Fault> {
    let root = document.root();
    let mut all = root.descendants().filter(|element| element.is(XMLDSIG_NAMESPACE, "Signature"));
    let signature = all.next().ok_or_else(|| malformed("there is no signature in the document"))?;
    if all.next().is_some() {
        return Err(malformed("there are two signatures in the document"));
    }
    let is_wrapped = signature.parent() == Some(root)
        && root.local_name() == "XAdESSignatures"
        && ASIC_NAMESPACES.contains(&root.namespace());
    if signature == root || is_wrapped {
        Ok(signature)
    } else {
        Err(malformed("the signature does not stand where it should"))
    }
}

fn require_unique_ids(document: &Document<'_>) -> Result<(), Fault> {
    let mut seen = std::collections::HashSet::new();
    let is_unique =
        document.root().descendants().filter_map(|element| element.attribute("Id")).all(|id| seen.insert(id));
    if is_unique { Ok(()) } else { Err(malformed("an Id occurs twice in the signature")) }
}

pub(super) fn ds<'d>(element: &Element<'d>, local: &str) -> Result<Element<'d>, Fault> {
    element
        .child(XMLDSIG_NAMESPACE, local)
        .ok_or_else(|| malformed(format!("ds:{local} is missing in the signature")))
}

pub(super) fn xades<'d>(element: &Element<'d>, local: &str) -> Option<Element<'d>> {
    element.child(XADES_NAMESPACE, local)
}

pub(super) fn base64(element: &Element<'_>) -> Result<Vec<u8>, Fault> {
    decode_base64(&element.text())
        .filter(|octets| !octets.is_empty())
        .ok_or_else(|| malformed(format!("{} is not base64", element.local_name())))
}

pub(super) fn qualifying_properties<'d>(signature: &Element<'d>) -> Option<Element<'d>> {
    signature
        .elements()
        .filter(|element| element.is(XMLDSIG_NAMESPACE, "Object"))
        .find_map(|object| object.child(XADES_NAMESPACE, "QualifyingProperties"))
}

/// The digest and algorithm in an element with `ds:DigestMethod` and `ds:DigestValue`.
pub(super) fn digest(element: &Element<'_>) -> Result<Digest, Fault> {
    let algorithm = ds(element, "DigestMethod")?
        .attribute("Algorithm")
        .and_then(DigestAlgorithm::from_uri)
        .ok_or_else(|| malformed("unknown digest algorithm"))?;
    Digest::new(algorithm, &base64(&ds(element, "DigestValue")?)?)
        .ok_or_else(|| malformed("a digest has too many octets"))
}

/// The certificate that the signer names among the signed properties is the one in `KeyInfo`.
fn check_signing_certificate(signed: &Element<'_>, certificate: &[u8]) -> Result<(), Fault> {
    let named = ["SigningCertificate", "SigningCertificateV2"].map(|local| xades(signed, local));
    for named in named.into_iter().flatten() {
        let digest = xades(&named, "Cert")
            .and_then(|cert| xades(&cert, "CertDigest"))
            .ok_or_else(|| malformed("the signing certificate has no digest"))
            .and_then(|element| digest(&element))?;
        if digest.algorithm().digest(certificate) != digest {
            return Err(malformed("the signed properties name another signing certificate"));
        }
    }
    Ok(())
}

fn ocsp_responses(unsigned: &Element<'_>) -> Result<Vec<Bytes>, Fault> {
    let values = xades(unsigned, "RevocationValues").and_then(|found| xades(&found, "OCSPValues"));
    values
        .iter()
        .flat_map(Element::elements)
        .filter(|element| element.is(XADES_NAMESPACE, "EncapsulatedOCSPValue"))
        .map(|element| base64(&element).map(Bytes::from))
        .collect()
}

/// Certificates that `CompleteCertificateRefs` names; each must be there and have its digest (§5.4).
fn intermediates(document: &Document<'_>, unsigned: &Element<'_>) -> Result<Vec<Bytes>, Fault> {
    let references = xades(unsigned, "CompleteCertificateRefs").and_then(|found| xades(&found, "CertRefs"));
    let mut certificates = Vec::new();
    for reference in references.iter().flat_map(Element::elements) {
        let target = reference
            .attribute("URI")
            .and_then(|uri| uri.strip_prefix('#'))
            .and_then(|id| document.element_with_id(id))
            .ok_or_else(|| malformed("an intermediate certificate is not in the signature"))?;
        let certificate = base64(&target)?;
        let digest = xades(&reference, "CertDigest")
            .ok_or_else(|| malformed("an intermediate certificate has no digest"))
            .and_then(|element| digest(&element))?;
        if digest.algorithm().digest(&certificate) != digest {
            return Err(malformed("the digest of an intermediate certificate differs"));
        }
        certificates.push(Bytes::from(certificate));
    }
    Ok(certificates)
}

/// The token in `EncapsulatedTimeStamp`; in old files, directly in `SignatureTimeStamp`.
fn timestamp(unsigned: &Element<'_>) -> Result<Option<Vec<u8>>, Fault> {
    let Some(element) = xades(unsigned, "SignatureTimeStamp") else { return Ok(None) };
    let inner = xades(&element, "EncapsulatedTimeStamp").unwrap_or(element);
    base64(&inner).map(Some)
}
