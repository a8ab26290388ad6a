//! The worked example of the specification, octet by octet (§8).

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::{PrivateKey, SignatureForm};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::hash_chain::{Batch, signature_batch, timestamp_batch};
use protocol::signature::{
    Rules, SignatureDocument, SignedReference, SigningEvidence, insert_timestamp, prepare,
};
use protocol::xml::{CanonicalizationMethod, Document, Limits, XADES_NAMESPACE};

use super::{Case, Folder, VALID, same, time, verdict};

const BASE: &str = "evidence/worked-example";
const SHA512: DigestAlgorithm = DigestAlgorithm::Sha512;

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let read = |name: &str| folder.read(&format!("{BASE}/{name}"));
    let mut cases = Vec::new();
    let mut case = |name: &str, got: &str| cases.push(Case::new(format!("{BASE}/{name}"), VALID, got));

    for example in ["a-single", "b-multipart"] {
        let document = read(&format!("{example}/signatures.xml"));
        let parsed = SignatureDocument::parse(document.clone(), Rules::Message);
        case(&format!("{example}/signatures.xml"), &verdict(parsed.as_ref().map_err(Clone::clone)));
        let (info, value) = parsed
            .map(|parsed| (parsed.signed_info_octets().to_vec(), parsed.value().to_vec()))
            .unwrap_or_default();
        let name = format!("{example}/signed-info.c14n");
        case(&name, same(&read(&name)[..], &info));
        let name = format!("{example}/signature-value.bin");
        case(&name, same(&read(&name)[..], &value));
        let name = format!("{example}/signed-properties.c14n");
        case(&name, same(&read(&name)[..], &signed_properties(&document)));
    }

    let before = read("a-single/signatures-before-timestamp.xml");
    let stamped = insert_timestamp(&before, &read("a-single/timestamp.der")).unwrap_or_default();
    case("a-single/signatures.xml from its parts", same(&read("a-single/signatures.xml"), &stamped));
    case(
        "a-single/signatures-before-timestamp.xml signed again",
        same(&before, &sign(&read).unwrap_or_default()),
    );

    let digest = |name: &str| SHA512.digest(&read(name));
    let batch = signature_batch(&[&[digest("b-multipart/message.xml"), digest("b-multipart/attachment1")]]);
    compare(
        &batch,
        &read,
        "b-multipart/sig-hashchainresult.xml",
        &["b-multipart/sig-hashchain.xml"],
        &mut case,
    );

    let third = SHA512.digest(b"third signature document");
    let documents = [SHA512.digest(&before), digest("b-multipart/signatures.xml"), third];
    let stamps = timestamp_batch(&documents);
    let second = Batch { chains: stamps.chains.get(1).cloned().into_iter().collect(), ..stamps };
    compare(
        &second,
        &read,
        "b-multipart/ts-hashchainresult.xml",
        &["b-multipart/ts-hashchain.xml"],
        &mut case,
    );

    let text = |text: &str| SHA512.digest(text.as_bytes());
    let messages: [Vec<Digest>; 3] = [
        vec![text("message A")],
        vec![text("message B"), text("attachment B1"), text("attachment B2")],
        vec![text("message C")],
    ];
    let slices: Vec<&[Digest]> = messages.iter().map(Vec::as_slice).collect();
    let chains = [0, 1, 2].map(|number| format!("c-batch3/sig-hashchain-{number}.xml"));
    let chains: Vec<&str> = chains.iter().map(String::as_str).collect();
    compare(&signature_batch(&slices), &read, "c-batch3/sig-hashchainresult.xml", &chains, &mut case);

    case(
        "a-single/timestamp.tsq",
        &request(&read, "a-single/timestamp.tsq", &read("a-single/signature-value.bin")),
    );
    let result = read("b-multipart/ts-hashchainresult.xml");
    case("b-multipart/timestamp.tsq", &request(&read, "b-multipart/timestamp.tsq", &result));
    case("ocsp-request-sign-rsa.der", ocsp_request(&read).unwrap_or("no certificate"));
    cases
}

/// What is built is the file, octet by octet.
fn compare(
    batch: &Batch,
    read: &dyn Fn(&str) -> Bytes,
    result: &str,
    chains: &[&str],
    case: &mut dyn FnMut(&str, &str),
) {
    case(result, same(&read(result), &batch.result));
    for (name, chain) in chains.iter().zip(&batch.chains) {
        case(name, same(&read(name), chain));
    }
}

fn signed_properties(document: &[u8]) -> Vec<u8> {
    let Ok(tree) = Document::parse(document, &Limits::default()) else { return Vec::new() };
    let properties =
        tree.root().descendants().find(|element| element.is(XADES_NAMESPACE, "SignedProperties"));
    properties
        .map(|element| element.canonicalize(&CanonicalizationMethod::Inclusive.into()))
        .unwrap_or_default()
}

/// RSA signatures without salt are the same each time, so the whole document can be made again.
fn sign(read: &dyn Fn(&str) -> Bytes) -> Option<Bytes> {
    let text = |name: &str| String::from_utf8(read(name).to_vec()).ok();
    let certificate = Certificate::from_pem(&text("keys/sign-rsa.cert.pem")?).ok()?;
    let key = PrivateKey::from_pem(&text("keys/sign-rsa.key.pem")?).ok()?;
    let evidence = SigningEvidence {
        certificate: certificate.der().clone(),
        issuer_name: certificate.issuer_name(),
        serial: certificate.serial_decimal(),
        intermediates: Vec::new(),
        ocsp_responses: vec![read("ocsp-sign-rsa.der")],
    };
    let reference = SignedReference::Message(SHA512.digest(&read("a-single/message.xml")));
    let algorithm = key.default_algorithm();
    let unsigned = prepare(&evidence, reference, algorithm, time("2026-11-21T16:49:57.000Z"));
    let value = key.sign(algorithm, unsigned.octets(), SignatureForm::Raw).ok()?;
    Some(unsigned.finish(&value))
}

fn request(read: &dyn Fn(&str) -> Bytes, name: &str, stamped: &[u8]) -> String {
    same(&read(name)[..], &certs::timestamp::request(&SHA512.digest(stamped))).to_owned()
}

fn ocsp_request(read: &dyn Fn(&str) -> Bytes) -> Option<&'static str> {
    let certificate = |name: &str| Certificate::from_pem(&String::from_utf8(read(name).to_vec()).ok()?).ok();
    let (subject, issuer) = (certificate("keys/sign-rsa.cert.pem")?, certificate("keys/ca.cert.pem")?);
    Some(same(&read("ocsp-request-sign-rsa.der")[..], &certs::ocsp::request(&subject, &issuer)))
}
