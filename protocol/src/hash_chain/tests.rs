use std::collections::HashSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::code;
use crate::signature::PartDigests;

const SHA512: DigestAlgorithm = DigestAlgorithm::Sha512;

fn digests(texts: &[&str]) -> Vec<Digest> {
    texts.iter().map(|text| SHA512.digest(text.as_bytes())).collect()
}

/// Verifies chain `index` of a batch with these parts of its message.
fn check(batch: &Batch, index: usize, parts: &[PartDigests]) -> Result<(), String> {
    let names: Vec<String> = (0..parts.len())
        .map(|number| if number == 0 { MESSAGE.to_owned() } else { format!("{ATTACHMENT}{number}") })
        .collect();
    let required: Vec<_> =
        names.iter().zip(parts).map(|(name, part)| RequiredInput { name, part: Some(part) }).collect();
    let chain = batch.chains.get(index).cloned().unwrap_or_default();
    let source = |name: &str| {
        if name == SIGNATURE_CHAIN { Source::Octets(chain.clone()) } else { Source::Absent }
    };
    verify(&batch.result, &source, &required, Rules::Message)
        .map(drop)
        .map_err(|fault| fault.code.into_owned())
}

#[test]
fn every_message_of_a_batch_verifies_and_no_other() {
    for count in 1..40 {
        let messages: Vec<Vec<Digest>> = (0..count)
            .map(|number| {
                let texts: Vec<String> = (0..=number % 3).map(|part| format!("{number} {part}")).collect();
                digests(&texts.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect();
        let slices: Vec<&[Digest]> = messages.iter().map(Vec::as_slice).collect();
        let batch = signature_batch(&slices);
        for (index, message) in messages.iter().enumerate() {
            let mut parts: Vec<PartDigests> = message.iter().map(|part| PartDigests::known(*part)).collect();
            assert_eq!(check(&batch, index, &parts), Ok(()), "{index} of {count}");
            parts.push(PartDigests::of(Bytes::new()));
            assert_eq!(check(&batch, index, &parts), Err(code::HASHCHAIN_UNUSED_INPUTS.to_owned()));
            parts.pop();
            parts[0] = PartDigests::of(Bytes::from_static(b"other"));
            assert_eq!(check(&batch, index, &parts), Err(code::INVALID_HASH_CHAIN.to_owned()));
            parts.clear();
            assert_eq!(check(&batch, index, &parts), Err(code::INVALID_REFERENCE.to_owned()));
        }
    }
}

/// Where messages stand in a batch tells them apart, even when they are equal.
#[test]
fn places_of_a_batch_are_different() {
    for count in 1..40 {
        let message = digests(&["the same"]);
        let messages: Vec<&[Digest]> = (0..count).map(|_| &message[..]).collect();
        let batch = signature_batch(&messages);
        let places: HashSet<Vec<u32>> = batch
            .chains
            .iter()
            .map(|chain| {
                let source = |name: &str| match name {
                    SIGNATURE_CHAIN => Source::Octets(chain.clone()),
                    _ => Source::Unresolved,
                };
                let covered = verify(&batch.result, &source, &[], Rules::Evidence).expect("a good chain");
                covered.into_iter().next().expect("the message").place
            })
            .collect();
        assert_eq!(places.len(), count);
    }
}

#[test]
fn known_roots() {
    let sha256 = DigestAlgorithm::Sha256;
    let four: Vec<[Digest; 1]> =
        ["one", "two", "three", "four"].map(|text| [sha256.digest(text.as_bytes())]).into();
    let slices: Vec<&[Digest]> = four.iter().map(|parts| &parts[..]).collect();
    let result = signature_batch(&slices).result;
    let text = String::from_utf8_lossy(&result);
    assert!(text.contains("D7oIIfhfp4ToT729xyx991PvstI5XvpW+d7oeWvXw8E="), "{text}");

    let octets = [0x0b, 0x0c, 0x0d, 0x0e].map(|octet| Digest::new(sha256, &[octet]).expect("a short digest"));
    let result = signature_batch(&[&octets]).result;
    let text = String::from_utf8_lossy(&result);
    assert!(text.contains("v3CBVgjKmzZT5hnJ6vj6waqBazZe334tdEoNiL2oM5E="), "{text}");
}

#[test]
fn a_cycle_is_refused() {
    let chain = format!(
        "<c:HashChain xmlns:c='{NAMESPACE}'><c:DefaultDigestMethod Algorithm='{uri}'/>\
         <c:HashStep id='STEP0'><c:StepRef URI='#STEP1'/></c:HashStep>\
         <c:HashStep id='STEP1'><c:StepRef URI='#STEP0'/></c:HashStep></c:HashChain>",
        uri = SHA512.uri()
    );
    let result = signature_batch(&[&digests(&["x"])]).result;
    let source = |_: &str| Source::Octets(Bytes::from(chain.clone()));
    let fault = verify(&result, &source, &[], Rules::Evidence).expect_err("a cycle");
    assert_eq!(fault.code, code::MALFORMED_HASH_CHAIN);
}

#[test]
fn a_part_twice_is_refused() {
    let part = SHA512.digest(b"x");
    let chain = format!(
        "<c:HashChain xmlns:c='{NAMESPACE}' xmlns:d='http://www.w3.org/2000/09/xmldsig#'>\
         <c:DefaultDigestMethod Algorithm='{uri}'/><c:HashStep id='STEP0'>{data}{data}</c:HashStep></c:HashChain>",
        uri = SHA512.uri(),
        data = format_args!(
            "<c:DataRef URI='{MESSAGE}'><d:DigestValue>{}</d:DigestValue></c:DataRef>",
            part.to_base64()
        ),
    );
    let result = signature_batch(&[&[part, part]]).result;
    let source = |_: &str| Source::Octets(Bytes::from(chain.clone()));
    let given = PartDigests::known(part);
    let required = [RequiredInput { name: MESSAGE, part: Some(&given) }];
    let fault = verify(&result, &source, &required, Rules::Evidence).expect_err("a part twice");
    assert_eq!(fault.code, code::MALFORMED_HASH_CHAIN);
}

proptest! {
    #[test]
    fn no_panic_on_arbitrary_octets(result in prop::collection::vec(any::<u8>(), 0..100)) {
        let source = |_: &str| Source::Octets(Bytes::from(result.clone()));
        prop_assert!(verify(&result, &source, &[], Rules::Evidence).is_err());
        let good = signature_batch(&[&digests(&["x"])]).result;
        prop_assert!(verify(&good, &source, &[], Rules::Evidence).is_err());
    }

    /// One octet of a chain changed: refused, or a change that means nothing.
    #[test]
    fn changed_octets_never_verify_another_message(position in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let messages = [digests(&["a"]), digests(&["b", "c"]), digests(&["d"])];
        let slices: Vec<&[Digest]> = messages.iter().map(Vec::as_slice).collect();
        let mut batch = signature_batch(&slices);
        let mut chain = batch.chains[1].to_vec();
        let index = position.index(chain.len());
        chain[index] = octet;
        batch.chains[1] = Bytes::from(chain);
        let wrong = [PartDigests::of(Bytes::from_static(b"b")), PartDigests::of(Bytes::from_static(b"x"))];
        prop_assert!(check(&batch, 1, &wrong).is_err());
    }
}
