//! The form of a signature: the parts of the XML-DSig and XAdES 1.3.2 schemas that signatures use
//! (§5.1 step 3).
//!
//! Checks which elements stand where and how often, base64, and attributes that must be there. Elements
//! that the schemas leave open, and those of XAdES that no signature of the protocol has, are not looked
//! into. X-Road validates the first child node of the root, whatever that is; this validates the
//! signature itself, wherever it stands.

use super::document::malformed;
use crate::fault::Fault;
use crate::xml::{Child, Element, XADES_NAMESPACE, XMLDSIG_NAMESPACE, decode_base64};

/// Content of an element.
enum Content {
    /// These children, each as often as said, in this order.
    Sequence(&'static [Item]),
    /// At least one of these children, in any order; foreign elements too.
    Choice(&'static [&'static str]),
    /// Base64.
    Base64,
    /// Not looked into.
    Open,
}

/// A child in a sequence: alternatives in the place, and how often at least and at most.
struct Item(&'static [&'static str], usize, usize);

use Content::{Base64, Choice, Open, Sequence};

const MANY: usize = usize::MAX;

/// Content and required attribute of `ds:NAME` or `xades:NAME`. None: the schema does not know it here.
fn rule(name: &str) -> Option<(Content, Option<&'static str>)> {
    let digest: &[Item] = &[Item(&["ds:DigestMethod"], 1, 1), Item(&["ds:DigestValue"], 1, 1)];
    let content = match name {
        "ds:Signature" => Sequence(&[
            Item(&["ds:SignedInfo"], 1, 1),
            Item(&["ds:SignatureValue"], 1, 1),
            Item(&["ds:KeyInfo"], 0, 1),
            Item(&["ds:Object"], 0, MANY),
        ]),
        "ds:SignedInfo" => Sequence(&[
            Item(&["ds:CanonicalizationMethod"], 1, 1),
            Item(&["ds:SignatureMethod"], 1, 1),
            Item(&["ds:Reference"], 1, MANY),
        ]),
        "ds:Reference" => Sequence(&[
            Item(&["ds:Transforms"], 0, 1),
            Item(&["ds:DigestMethod"], 1, 1),
            Item(&["ds:DigestValue"], 1, 1),
        ]),
        "ds:Transforms" => Sequence(&[Item(&["ds:Transform"], 1, MANY)]),
        "ds:CanonicalizationMethod" | "ds:SignatureMethod" | "ds:DigestMethod" | "ds:Transform" => {
            return Some((Open, Some("Algorithm")));
        }
        "ds:SignatureValue"
        | "ds:DigestValue"
        | "ds:X509Certificate"
        | "xades:EncapsulatedOCSPValue"
        | "xades:EncapsulatedX509Certificate"
        | "xades:EncapsulatedTimeStamp"
        | "xades:EncapsulatedCRLValue" => Base64,
        "ds:KeyInfo" => Choice(&["ds:X509Data", "ds:KeyName", "ds:KeyValue", "ds:RetrievalMethod"]),
        "ds:X509Data" => Choice(&[
            "ds:X509Certificate",
            "ds:X509IssuerSerial",
            "ds:X509SKI",
            "ds:X509SubjectName",
            "ds:X509CRL",
        ]),
        "ds:X509IssuerSerial" | "xades:IssuerSerial" => {
            Sequence(&[Item(&["ds:X509IssuerName"], 1, 1), Item(&["ds:X509SerialNumber"], 1, 1)])
        }
        "xades:QualifyingProperties" => {
            let content = Sequence(&[
                Item(&["xades:SignedProperties"], 0, 1),
                Item(&["xades:UnsignedProperties"], 0, 1),
            ]);
            return Some((content, Some("Target")));
        }
        "xades:SignedProperties" => Sequence(&[
            Item(&["xades:SignedSignatureProperties"], 0, 1),
            Item(&["xades:SignedDataObjectProperties"], 0, 1),
        ]),
        "xades:SignedSignatureProperties" => Sequence(&[
            Item(&["xades:SigningTime"], 0, 1),
            Item(&["xades:SigningCertificate", "xades:SigningCertificateV2"], 0, 1),
            Item(&["xades:SignaturePolicyIdentifier"], 0, 1),
            Item(&["xades:SignatureProductionPlace", "xades:SignatureProductionPlaceV2"], 0, 1),
            Item(&["xades:SignerRole", "xades:SignerRoleV2"], 0, 1),
        ]),
        "xades:SigningCertificate" | "xades:SigningCertificateV2" | "xades:CertRefs" => {
            Sequence(&[Item(&["xades:Cert"], 1, MANY)])
        }
        "xades:Cert" => Sequence(&[
            Item(&["xades:CertDigest"], 1, 1),
            Item(&["xades:IssuerSerial", "xades:IssuerSerialV2"], 0, 1),
        ]),
        "xades:CertDigest" | "xades:SigPolicyHash" => Sequence(digest),
        "xades:SignaturePolicyIdentifier" => {
            Sequence(&[Item(&["xades:SignaturePolicyId", "xades:SignaturePolicyImplied"], 1, 1)])
        }
        "xades:SignaturePolicyId" => Sequence(&[
            Item(&["xades:SigPolicyId"], 1, 1),
            Item(&["ds:Transforms"], 0, 1),
            Item(&["xades:SigPolicyHash"], 1, 1),
            Item(&["xades:SigPolicyQualifiers"], 0, 1),
        ]),
        "xades:SigPolicyId" | "xades:ObjectIdentifier" => Sequence(&[
            Item(&["xades:Identifier"], 1, 1),
            Item(&["xades:Description"], 0, 1),
            Item(&["xades:DocumentationReferences"], 0, 1),
        ]),
        "xades:SigPolicyQualifiers" => Sequence(&[Item(&["xades:SigPolicyQualifier"], 1, MANY)]),
        "xades:SignedDataObjectProperties" => Sequence(&[
            Item(&["xades:DataObjectFormat"], 0, MANY),
            Item(&["xades:CommitmentTypeIndication"], 0, MANY),
            Item(&["xades:AllDataObjectsTimeStamp"], 0, MANY),
            Item(&["xades:IndividualDataObjectsTimeStamp"], 0, MANY),
        ]),
        "xades:DataObjectFormat" => {
            let content = Sequence(&[
                Item(&["xades:Description"], 0, 1),
                Item(&["xades:ObjectIdentifier"], 0, 1),
                Item(&["xades:MimeType"], 0, 1),
                Item(&["xades:Encoding"], 0, 1),
            ]);
            return Some((content, Some("ObjectReference")));
        }
        "xades:UnsignedProperties" => Sequence(&[
            Item(&["xades:UnsignedSignatureProperties"], 0, 1),
            Item(&["xades:UnsignedDataObjectProperties"], 0, 1),
        ]),
        "xades:UnsignedSignatureProperties" => Choice(&[
            "xades:SignatureTimeStamp",
            "xades:CompleteCertificateRefs",
            "xades:CompleteRevocationRefs",
            "xades:AttributeCertificateRefs",
            "xades:AttributeRevocationRefs",
            "xades:SigAndRefsTimeStamp",
            "xades:RefsOnlyTimeStamp",
            "xades:CertificateValues",
            "xades:RevocationValues",
            "xades:AttrAuthoritiesCertValues",
            "xades:AttributeRevocationValues",
            "xades:ArchiveTimeStamp",
        ]),
        "xades:CompleteCertificateRefs" => Sequence(&[Item(&["xades:CertRefs"], 1, 1)]),
        "xades:CertificateValues" => {
            Sequence(&[Item(&["xades:EncapsulatedX509Certificate", "xades:OtherCertificate"], 0, MANY)])
        }
        "xades:RevocationValues" => Sequence(&[
            Item(&["xades:CRLValues"], 0, 1),
            Item(&["xades:OCSPValues"], 0, 1),
            Item(&["xades:OtherValues"], 0, 1),
        ]),
        "xades:OCSPValues" => Sequence(&[Item(&["xades:EncapsulatedOCSPValue"], 1, MANY)]),
        "ds:Object" => Open,
        _ => return None,
    };
    Some((content, None))
}

/// Checks a `ds:Signature` and all below it.
pub(super) fn validate(signature: &Element<'_>) -> Result<(), Fault> {
    let mut name = String::with_capacity(64);
    for element in signature.descendants() {
        let Some(prefix) = prefix(element.namespace()) else { continue };
        name.clear();
        name.push_str(prefix);
        name.push_str(element.local_name());
        if let Some((content, attribute)) = rule(&name) {
            let is_right = attribute.is_none_or(|attribute| element.attribute(attribute).is_some())
                && matches(&element, &content);
            if !is_right {
                return Err(malformed(format!("{} has not the form of the schema", element.local_name())));
            }
        }
    }
    Ok(())
}

/// How the rules write a namespace that they know.
fn prefix(namespace: &str) -> Option<&'static str> {
    match namespace {
        XMLDSIG_NAMESPACE => Some("ds:"),
        XADES_NAMESPACE => Some("xades:"),
        _ => None,
    }
}

/// Whether an element has one of these names.
fn is_one_of(element: &Element<'_>, names: &[&str]) -> bool {
    prefix(element.namespace()).is_some_and(|prefix| {
        let local = element.local_name();
        names.iter().any(|name| name.strip_prefix(prefix) == Some(local))
    })
}

fn matches(element: &Element<'_>, content: &Content) -> bool {
    let has_only_elements =
        || element.children().all(|child| !matches!(child, Child::Text(text) if !text.trim().is_empty()));
    match content {
        Open => true,
        Base64 => element.elements().next().is_none() && decode_base64(&element.text()).is_some(),
        Choice(names) => {
            let mut children = element.elements().peekable();
            children.peek().is_some()
                && children.all(|child| prefix(child.namespace()).is_none() || is_one_of(&child, names))
        }
        Sequence(items) => {
            let mut children = element.elements().peekable();
            let in_order = items.iter().all(|Item(names, least, most)| {
                let mut count = 0;
                while count < *most && children.next_if(|child| is_one_of(child, names)).is_some() {
                    count += 1;
                }
                count >= *least
            });
            in_order && children.next().is_none() && has_only_elements()
        }
    }
}
