//! Hash chains of X-Road's own tests (§2.4).

use bytes::Bytes;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::hash_chain::{self, RequiredInput, Rules, Source};
use protocol::signature::PartDigests;

use super::{Case, Folder, VALID, verdict};

const BASE: &str = "messages/hashchain";

/// A verification: names of files for chain names, and the inputs.
struct Chain<'a> {
    folder: &'a Folder,
    result: &'a str,
    files: &'a [(&'a str, &'a str)],
    unresolved: bool,
}

impl Chain<'_> {
    fn verify(&self, inputs: &[(&str, Option<PartDigests>)]) -> String {
        let read = |file: &str| self.folder.read(&format!("{BASE}/{file}"));
        let source = |name: &str| match self.files.iter().find(|(known, _)| *known == name) {
            Some((_, file)) => Source::Octets(read(file)),
            None if self.unresolved => Source::Unresolved,
            None => Source::Absent,
        };
        let required: Vec<RequiredInput<'_>> =
            inputs.iter().map(|(name, part)| RequiredInput { name, part: part.as_ref() }).collect();
        verdict(hash_chain::verify(&read(self.result), &source, &required, Rules::Evidence))
    }
}

pub(super) fn cases(folder: &Folder) -> Vec<Case> {
    let sha256 = DigestAlgorithm::Sha256;
    let message = "/message.xml";
    let known = |octets: &[u8]| Some(PartDigests::known(sha256.digest(octets)));
    let short = |octet: u8| Digest::new(sha256, &[octet]).map(PartDigests::known);
    let mut cases = Vec::new();
    let mut case = |name: &str, expected: &str, got: String| {
        cases.push(Case::new(format!("{BASE}, case {name}"), expected, got));
    };

    let first = folder.read(&format!("{BASE}/hc-verifier1-message.xml"));
    let chain = ("/hashchain.xml", "hc-verifier1-hashchain.xml");
    let files = [chain, (message, "hc-verifier1-message.xml")];
    let result = "hc-verifier1-hashchainresult.xml";
    let one = Chain { folder, result, files: &files, unresolved: false };
    case("1a", VALID, one.verify(&[(message, None)]));
    let one = Chain { folder, result, files: &[chain], unresolved: false };
    case("1b", VALID, one.verify(&[(message, known(&first))]));
    let three = [(message, known(&first)), ("/foo", known(b"x")), ("/bar", known(b"y"))];
    case("1c", "hashchain_unused_inputs", one.verify(&three));
    case("1d", "invalid_hash_chain", one.verify(&[(message, known(b"another"))]));

    let files = [("/hashchain.xml", "hc-verifier2-hashchain.xml")];
    let result = "hc-verifier2-hashchainresult.xml";
    let inputs = [(message, 0x0b), ("/attachment1", 0x0c), ("/attachment2", 0x0d), ("/attachment3", 0x0e)];
    let inputs = inputs.map(|(name, octet)| (name, short(octet)));
    let two = Chain { folder, result, files: &files, unresolved: false };
    case("2a", VALID, two.verify(&inputs));
    let two = Chain { folder, result, files: &files, unresolved: true };
    case("2b", VALID, two.verify(&[(message, short(0x0b))]));

    let result = "hc-verifier3-hashchainresult.xml";
    for (name, chain, expected) in [
        ("3a", "hc-verifier3-hashchain.xml", VALID),
        ("3b", "hc-verifier3-hashchain-invalid.xml", "invalid_hash_chain_ref"),
        ("5", "hc-verifier5-hashchain-invalid-schema.xml", "malformed_hash_chain"),
    ] {
        let files = [("/hashchain.xml", chain), (message, "hc-verifier3-message.xml")];
        let three = Chain { folder, result, files: &files, unresolved: false };
        case(name, expected, three.verify(&[(message, None)]));
    }

    let files = [
        ("/hashchain.xml", "hc-verifier4-hashchain1.xml"),
        ("/hashchain2.xml", "hc-verifier4-hashchain2.xml"),
        (message, "hc-verifier4-message.xml"),
    ];
    let four = Chain { folder, result: "hc-verifier4-hashchainresult.xml", files: &files, unresolved: false };
    case("4", VALID, four.verify(&[(message, None)]));
    cases.extend(roots());
    cases
}

/// The builder's check values in the README of the evidence vectors.
fn roots() -> Vec<Case> {
    let sha256 = DigestAlgorithm::Sha256;
    let contains = |result: &Bytes, root: &str| {
        if String::from_utf8_lossy(result).contains(root) {
            root.to_owned()
        } else {
            "another root".to_owned()
        }
    };
    let four = ["one", "two", "three", "four"].map(|text| [sha256.digest(text.as_bytes())]);
    let slices: Vec<&[Digest]> = four.iter().map(|parts| parts.as_slice()).collect();
    let root = "D7oIIfhfp4ToT729xyx991PvstI5XvpW+d7oeWvXw8E=";
    let got = contains(&hash_chain::signature_batch(&slices).result, root);
    let mut cases = vec![Case::new("root over four single inputs", root, got)];
    let parts: Vec<Digest> =
        [0x0b, 0x0c, 0x0d, 0x0e].iter().filter_map(|octet| Digest::new(sha256, &[*octet])).collect();
    let root = "v3CBVgjKmzZT5hnJ6vj6waqBazZe334tdEoNiL2oM5E=";
    let got = contains(&hash_chain::signature_batch(&[&parts]).result, root);
    cases.push(Case::new("root over one input of four parts", root, got));
    cases
}
