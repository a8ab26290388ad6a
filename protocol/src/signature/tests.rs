use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::code;
use crate::hash_chain::signature_batch;
use crate::time::UtcTime;
use crate::xml::{CanonicalizationMethod, Document, Limits, XADES_NAMESPACE, XMLDSIG_NAMESPACE};

const MESSAGE: &[u8] = b"GET\r\n/r1/CWTEST/ORG/7002/BETA/status\r\n";
const BODY: &[u8] = b"{\"order\":42}";

fn sha512(octets: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(octets)
}

fn algorithm() -> SignatureAlgorithm {
    SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha256)
}

fn evidence() -> SigningEvidence {
    let intermediate = CertificateRef {
        der: Bytes::from_static(b"an intermediate certificate"),
        issuer_name: "CN=Root".to_owned(),
        serial: "7".to_owned(),
    };
    SigningEvidence {
        certificate: Bytes::from_static(b"a certificate"),
        issuer_name: "CN=Test \"<&>\" CA,O=Test\r\u{1}".to_owned(),
        serial: "1234567890".to_owned(),
        intermediates: vec![intermediate],
        ocsp_responses: vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")],
    }
}

fn time() -> UtcTime {
    UtcTime::from_millis(1_795_279_797_000)
}

fn single() -> Bytes {
    prepare(&evidence(), SignedReference::Message(sha512(MESSAGE)), algorithm(), time()).finish(&[7; 64])
}

fn parts() -> Parts {
    Parts { message: PartDigests::of(Bytes::from_static(MESSAGE)), ..Parts::default() }
}

/// A signature over message and body through a hash chain.
fn chained() -> (Bytes, Parts) {
    let batch = signature_batch(&[&[sha512(b"other")], &[sha512(MESSAGE), sha512(BODY)]]);
    let reference = SignedReference::HashChainResult(sha512(&batch.result));
    let document = prepare(&evidence(), reference, algorithm(), time()).finish(&[7; 64]);
    let parts = Parts {
        attachments: vec![PartDigests::known(sha512(BODY))],
        hash_chain_result: Some(batch.result),
        hash_chain: batch.chains.get(1).cloned(),
        ..parts()
    };
    (document, parts)
}

fn parse(document: impl Into<Bytes>) -> SignatureDocument {
    SignatureDocument::parse(document, Rules::Message).expect("a signature document")
}

#[test]
fn written_octets_are_the_canonical_form() {
    let unsigned = prepare(&evidence(), SignedReference::Message(sha512(MESSAGE)), algorithm(), time());
    let octets = unsigned.octets().to_vec();
    let document = unsigned.finish(&[7; 64]);
    let tree = Document::parse(&document, &Limits::default()).expect("well-formed");
    let info = tree.root().descendants().find(|element| element.is(XMLDSIG_NAMESPACE, "SignedInfo"));
    let canonical = info.expect("SignedInfo").canonicalize(&CanonicalizationMethod::Inclusive.into());
    assert_eq!(String::from_utf8_lossy(&octets), String::from_utf8_lossy(&canonical));
}

#[test]
fn what_was_written_is_read_back() {
    let document = parse(single());
    assert_eq!(document.certificate(), "a certificate");
    assert_eq!(document.algorithm(), algorithm());
    assert_eq!(document.value(), [7; 64]);
    assert_eq!(document.ocsp_responses(), ["first", "second"]);
    assert_eq!(document.intermediates(), ["an intermediate certificate"]);
    assert_eq!(document.signing_time(), Some(time()));
    assert_eq!(document.timestamp(), None);
    assert_eq!(document.references().check(&parts()), Ok(Vec::new()));

    let (document, parts) = chained();
    assert_eq!(parse(document).references().check(&parts), Ok(vec![1, 0]));
}

#[test]
fn timestamps_come_first_and_change_nothing_else() {
    let document = single();
    let stamped = insert_timestamp(&document, b"a token").expect("room for a time-stamp");
    assert_eq!(parse(stamped.clone()).timestamp(), Some(&b"a token"[..]));
    let text = String::from_utf8_lossy(&stamped);
    let stamp = "<xades:UnsignedSignatureProperties><xades:SignatureTimeStamp>\
                 <xades:EncapsulatedTimeStamp>YSB0b2tlbg==</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>";
    assert_eq!(text.replace(stamp, "<xades:UnsignedSignatureProperties>").as_bytes(), &document[..]);
    assert!(insert_timestamp(&stamped, b"another").is_err());
    assert!(insert_timestamp(b"<a/>", b"a token").is_err());
}

#[track_caller]
fn check(document: &Bytes, parts: &Parts, expected: &str) {
    let result = SignatureDocument::parse(document.clone(), Rules::Message)
        .and_then(|document| document.references().check(parts));
    assert_eq!(result.map_err(|fault| fault.code.into_owned()), Err(expected.to_owned()));
}

#[test]
fn what_was_received_must_be_what_was_signed() {
    let document = single();
    check(
        &document,
        &Parts { message: PartDigests::of(Bytes::from_static(b"x")), ..parts() },
        code::INVALID_SIGNATURE_VALUE,
    );
    let body = vec![PartDigests::known(sha512(BODY))];
    check(&document, &Parts { attachments: body, ..parts() }, code::MALFORMED_SIGNATURE);
    let (over_chain, with_chain) = chained();
    check(&over_chain, &parts(), code::MALFORMED_SIGNATURE);
    check(&document, &Parts { attachments: Vec::new(), ..with_chain.clone() }, code::MALFORMED_SIGNATURE);
    let other = vec![PartDigests::known(sha512(b"other"))];
    check(
        &over_chain,
        &Parts { attachments: other, ..with_chain.clone() },
        "malformed_signature.invalid_hash_chain",
    );
    check(
        &over_chain,
        &Parts { attachments: Vec::new(), ..with_chain.clone() },
        "malformed_signature.invalid_reference",
    );
    let result = with_chain.hash_chain_result.as_ref().expect("a result");
    let longer = Bytes::from([result, &b"\n"[..]].concat());
    check(
        &over_chain,
        &Parts { hash_chain_result: Some(longer), ..with_chain },
        code::INVALID_SIGNATURE_VALUE,
    );
}

#[test]
fn documents_that_are_refused() {
    let text = String::from_utf8(single().to_vec()).expect("text");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Bytes::from(text.replacen(from, to, 1))
    };
    let sha1 = "http://www.w3.org/2000/09/xmldsig#sha1";
    let ecdsa = algorithm().uri().expect("a URI");
    for (document, expected) in [
        (Bytes::new(), code::INVALID_XML),
        (changed("<ds:SignedInfo>", "<ds:SignedInfo"), code::INVALID_XML),
        (Bytes::from_static(b"<a/>"), code::MALFORMED_SIGNATURE),
        (changed("Id=\"ocsp-response-2\"", "Id=\"ocsp-response-1\""), code::MALFORMED_SIGNATURE),
        (changed(DigestAlgorithm::Sha512.uri(), sha1), code::MALFORMED_SIGNATURE),
        (changed(ecdsa, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"), code::MALFORMED_SIGNATURE),
        (changed(ecdsa, "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"), code::MALFORMED_SIGNATURE),
        (changed("URI=\"/message.xml\"", "URI=\"/other.xml\""), code::MALFORMED_SIGNATURE),
        (changed("URI=\"/message.xml\"", "URI=\"/attachment1\""), code::MALFORMED_SIGNATURE),
        (changed("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"), code::MALFORMED_SIGNATURE),
        (changed("#encapsulated-cert-1", "#encapsulated-cert-2"), code::MALFORMED_SIGNATURE),
        (changed("#encapsulated-cert-1", "#ocsp-response-1"), code::MALFORMED_SIGNATURE),
        (changed("xades:SigningTime>2026", "xades:SigningTime>2025"), code::INVALID_SIGNATURE_VALUE),
        (
            changed(
                "<ds:Reference Id=\"signature-reference-0\" URI=\"/message.xml\">",
                "<ds:Reference Id=\"signature-reference-0\" URI=\"#signed-properties\">",
            ),
            code::MALFORMED_SIGNATURE,
        ),
        (changed("</ds:Object>", "</ds:Object><ds:Signature/>"), code::MALFORMED_SIGNATURE),
        (changed("<ds:KeyInfo>", "<ds:Object/><ds:KeyInfo>"), code::MALFORMED_SIGNATURE),
        (changed("<xades:OCSPValues>", "<xades:OCSPValues>x"), code::MALFORMED_SIGNATURE),
    ] {
        check(&document, &parts(), expected);
    }
}

#[test]
fn wrapping_is_refused() {
    // The signed properties are moved away and others stand in their place.
    let text = String::from_utf8(single().to_vec()).expect("text");
    let start = text.find("<xades:SignedProperties").expect("start");
    let end = text.find("</xades:SignedProperties>").expect("end") + "</xades:SignedProperties>".len();
    let signed = text.get(start..end).expect("signed properties");
    let other = signed.replace("signed-properties", "other").replace("2026-", "2025-");
    let wrapped = text
        .replace(signed, &other)
        .replace("</ds:Object>", &format!("</ds:Object>\n<ds:Object>{signed}</ds:Object>"));
    check(&Bytes::from(wrapped), &parts(), code::MALFORMED_SIGNATURE);
    assert!(text.contains(XADES_NAMESPACE));
}

proptest! {
    #[test]
    fn no_panic_on_arbitrary_octets(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SignatureDocument::parse(octets.clone(), Rules::Evidence).is_err());
        prop_assert!(insert_timestamp(&octets, b"x").is_err());
    }

    /// A change of one octet is refused, or leaves message, certificate and signed octets the same.
    #[test]
    fn changes_do_not_go_unseen(index in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let good = parse(single());
        let mut changed = single().to_vec();
        let position = index.index(changed.len());
        changed[position] = octet;
        if let Ok(document) = SignatureDocument::parse(changed, Rules::Message)
            && document.references().check(&parts()).is_ok()
            && document.value() == good.value()
            && document.signed_info_octets() == good.signed_info_octets()
        {
            prop_assert_eq!(document.certificate(), good.certificate());
            prop_assert_eq!(document.algorithm(), good.algorithm());
            prop_assert_eq!(document.signing_time(), good.signing_time());
        }
    }
}
