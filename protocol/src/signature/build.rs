//! Making a signature document in two steps: the octets to sign, then the whole (§1.1 to §1.4).
//!
//! Nothing is canonicalised here: `ds:SignedInfo` and `xades:SignedProperties` are written twice, once
//! as they stand in the document and once in canonical form. The tests compare the second with what
//! the general canonicaliser makes of the first.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::SignatureAlgorithm;
use crate::digest::{Digest, DigestAlgorithm};
use crate::hash_chain;
use crate::time::UtcTime;

/// A certificate as a signature document refers to it.
#[derive(Clone, Debug)]
pub struct CertificateRef {
    /// The certificate, DER.
    pub der: Bytes,
    /// The issuer's name in RFC 2253 form as Java prints it: `CN=Test CA,O=Test`.
    pub issuer_name: String,
    /// The serial number in decimal digits.
    pub serial: String,
}

/// What a signer knows before there is a message.
#[derive(Clone, Debug)]
pub struct SigningEvidence {
    /// The signing certificate, DER.
    pub certificate: Bytes,
    /// The name of its issuer, in the form of [`CertificateRef::issuer_name`].
    pub issuer_name: String,
    /// Its serial number in decimal digits.
    pub serial: String,
    /// Certificates between the signing certificate and the trust anchor, nearest first.
    pub intermediates: Vec<CertificateRef>,
    /// Complete OCSP responses, DER: of the signing certificate, then of each intermediate.
    pub ocsp_responses: Vec<Bytes>,
}

/// What the first reference of a signature points at.
#[derive(Clone, Copy, Debug)]
pub enum SignedReference {
    /// The message alone: the digest of `/message.xml`.
    Message(Digest),
    /// The result of a hash chain: the digest of the octets of `/sig-hashchainresult.xml`.
    HashChainResult(Digest),
}

impl SignedReference {
    /// URI, digest and MIME type (§1.1).
    fn parts(&self) -> (&'static str, &Digest, &'static str) {
        match self {
            Self::Message(digest) => (hash_chain::MESSAGE, digest, "text/xml"),
            Self::HashChainResult(digest) => {
                (hash_chain::SIGNATURE_CHAIN_RESULT, digest, "application/hash-chain-result")
            }
        }
    }
}

/// Digest of everything inside a document that this module digests.
const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha512;

/// Declarations on the root, and in canonical form on every apex.
const NAMESPACES: &str = " xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\" \
                          xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
                          xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\" \
                          xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// The fixed policy, verified by no one (§1.2). Split where the canonical form differs.
const POLICY: [&str; 2] = [
    "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>\
     <xades:Identifier Qualifier=\"OIDAsURN\">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier>\
     <xades:Description>Profile for High Performance Digital Signatures (version 1.2)</xades:Description>\
     </xades:SigPolicyId><xades:SigPolicyHash>",
    "<ds:DigestValue>BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==\
     </ds:DigestValue></xades:SigPolicyHash><xades:SigPolicyQualifiers><xades:SigPolicyQualifier>\
     <xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf</xades:SPURI></xades:SigPolicyQualifier>\
     </xades:SigPolicyQualifiers></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>",
];

/// A signature document that lacks its value.
#[derive(Clone, Debug)]
pub struct Unsigned {
    octets: String,
    before_value: String,
    after_value: String,
}

/// Writes a signature document up to the signature value.
///
/// `algorithm` is what the key will sign with; a combination without a URI, such as PSS with SHA-1,
/// gives a document that no one accepts.
pub fn prepare(
    evidence: &SigningEvidence,
    reference: SignedReference,
    algorithm: SignatureAlgorithm,
    signing_time: UtcTime,
) -> Unsigned {
    let certificate = CertificateRef {
        der: evidence.certificate.clone(),
        issuer_name: evidence.issuer_name.clone(),
        serial: evidence.serial.clone(),
    };
    let properties = |form| signed_properties(form, &certificate, &reference, signing_time);
    let properties_digest = DIGEST.digest(properties(Form::Canonical).as_bytes());
    let info = |form| signed_info(form, &reference, algorithm, &properties_digest);

    let mut before_value = String::with_capacity(2048);
    before_value
        .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><asic:XAdESSignatures");
    before_value.push_str(NAMESPACES);
    before_value.push_str("><ds:Signature Id=\"signature\">\n");
    before_value.push_str(&info(Form::Document));
    before_value.push('\n');

    let mut after_value = String::with_capacity(16 * 1024);
    after_value.push_str("<ds:KeyInfo>\n<ds:X509Data>\n<ds:X509Certificate>");
    STANDARD.encode_string(&evidence.certificate, &mut after_value);
    after_value.push_str(
        "</ds:X509Certificate>\n</ds:X509Data>\n</ds:KeyInfo>\n\
         <ds:Object><xades:QualifyingProperties Target=\"#signature\">",
    );
    after_value.push_str(&properties(Form::Document));
    unsigned_properties(&mut after_value, evidence);
    after_value.push_str("</xades:QualifyingProperties></ds:Object>\n</ds:Signature></asic:XAdESSignatures>");

    Unsigned { octets: info(Form::Canonical), before_value, after_value }
}

impl Unsigned {
    /// The canonical `ds:SignedInfo`: what is hashed and signed.
    pub fn octets(&self) -> &[u8] {
        self.octets.as_bytes()
    }

    /// The document with its signature value: the RSA octets, or r ‖ s of ECDSA, each half as long as
    /// the field of the curve.
    pub fn finish(self, value: &[u8]) -> Bytes {
        let value = STANDARD.encode(value);
        let line_feed = if value.len() > 76 { "\n" } else { "" };
        let mut document = self.before_value;
        document.reserve(value.len() + self.after_value.len() + 80);
        document.push_str("<ds:SignatureValue Id=\"signature-value\">");
        document.push_str(line_feed);
        document.push_str(&value);
        document.push_str(line_feed);
        document.push_str("</ds:SignatureValue>\n");
        document.push_str(&self.after_value);
        Bytes::from(document)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    Document,
    Canonical,
}

impl Form {
    /// An element without content.
    fn empty(self, text: &mut String, name: &str, algorithm: &str) {
        let _ = match self {
            Self::Document => write!(text, "<ds:{name} Algorithm=\"{algorithm}\"/>"),
            Self::Canonical => write!(text, "<ds:{name} Algorithm=\"{algorithm}\"></ds:{name}>"),
        };
    }

    /// Declarations of an apex element.
    fn namespaces(self) -> &'static str {
        match self {
            Self::Document => "",
            Self::Canonical => NAMESPACES,
        }
    }

    fn digest(self, text: &mut String, separator: &str, digest: &Digest) {
        self.empty(text, "DigestMethod", digest.algorithm().uri());
        let _ = write!(text, "{separator}<ds:DigestValue>{}</ds:DigestValue>", digest.to_base64());
    }
}

fn signed_info(
    form: Form,
    reference: &SignedReference,
    algorithm: SignatureAlgorithm,
    properties: &Digest,
) -> String {
    let (uri, digest, _) = reference.parts();
    let mut text = String::with_capacity(1280);
    let _ = writeln!(text, "<ds:SignedInfo{}>", form.namespaces());
    form.empty(&mut text, "CanonicalizationMethod", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315");
    text.push('\n');
    form.empty(&mut text, "SignatureMethod", algorithm.uri().unwrap_or_default());
    let _ = writeln!(text, "\n<ds:Reference Id=\"signature-reference-0\" URI=\"{uri}\">");
    form.digest(&mut text, "\n", digest);
    text.push_str(
        "\n</ds:Reference>\n<ds:Reference Id=\"signature-reference-1\" \
         Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#signed-properties\">\n",
    );
    form.digest(&mut text, "\n", properties);
    text.push_str("\n</ds:Reference>\n</ds:SignedInfo>");
    text
}

fn signed_properties(
    form: Form,
    certificate: &CertificateRef,
    reference: &SignedReference,
    signing_time: UtcTime,
) -> String {
    let (_, _, mime_type) = reference.parts();
    let mut text = String::with_capacity(2048);
    let _ = write!(
        text,
        "<xades:SignedProperties{} Id=\"signed-properties\"><xades:SignedSignatureProperties>\
         <xades:SigningTime>{}</xades:SigningTime><xades:SigningCertificate><xades:Cert>",
        form.namespaces(),
        signing_time.to_millis_text()
    );
    certificate_reference(form, &mut text, certificate);
    text.push_str("</xades:Cert></xades:SigningCertificate>");
    let [before, after] = POLICY;
    text.push_str(before);
    form.empty(&mut text, "DigestMethod", DigestAlgorithm::Sha512.uri());
    text.push_str(after);
    let _ = write!(
        text,
        "</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>\
         <xades:DataObjectFormat ObjectReference=\"#signature-reference-0\">\
         <xades:MimeType>{mime_type}</xades:MimeType></xades:DataObjectFormat>\
         </xades:SignedDataObjectProperties></xades:SignedProperties>"
    );
    text
}

/// `CertDigest` and `IssuerSerial`, with no white space anywhere (§1.3 rule 3).
fn certificate_reference(form: Form, text: &mut String, certificate: &CertificateRef) {
    text.push_str("<xades:CertDigest>");
    form.digest(text, "", &DIGEST.digest(&certificate.der));
    text.push_str("</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>");
    escape(text, &certificate.issuer_name);
    text.push_str("</ds:X509IssuerName><ds:X509SerialNumber>");
    escape(text, &certificate.serial);
    text.push_str("</ds:X509SerialNumber></xades:IssuerSerial>");
}

fn unsigned_properties(text: &mut String, evidence: &SigningEvidence) {
    text.push_str("<xades:UnsignedProperties><xades:UnsignedSignatureProperties>");
    if !evidence.intermediates.is_empty() {
        text.push_str("<xades:CompleteCertificateRefs Id=\"complete-certificate-refs\"><xades:CertRefs>");
        for (number, certificate) in (1..).zip(&evidence.intermediates) {
            let _ = write!(text, "<xades:Cert URI=\"#encapsulated-cert-{number}\">");
            certificate_reference(Form::Document, text, certificate);
            text.push_str("</xades:Cert>");
        }
        text.push_str("</xades:CertRefs></xades:CompleteCertificateRefs><xades:CertificateValues>");
        for (number, certificate) in (1..).zip(&evidence.intermediates) {
            let _ = write!(text, "<xades:EncapsulatedX509Certificate Id=\"encapsulated-cert-{number}\">");
            STANDARD.encode_string(&certificate.der, text);
            text.push_str("</xades:EncapsulatedX509Certificate>");
        }
        text.push_str("</xades:CertificateValues>");
    }
    text.push_str("<xades:RevocationValues><xades:OCSPValues>");
    for (number, response) in (1..).zip(&evidence.ocsp_responses) {
        let _ = write!(text, "<xades:EncapsulatedOCSPValue Id=\"ocsp-response-{number}\">");
        STANDARD.encode_string(response, text);
        text.push_str("</xades:EncapsulatedOCSPValue>");
    }
    text.push_str(
        "</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties>\
         </xades:UnsignedProperties>",
    );
}

/// Text in canonical form, which is also well-formed in the document. Characters that XML does not
/// know at all are left out: no name of a certificate authority has them, and no parser takes them.
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\r' => text.push_str("&#xD;"),
            '\t' | '\n' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'.. => text.push(character),
            _ => {}
        }
    }
}
