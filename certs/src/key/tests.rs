use super::*;

const SECRET_FREE: &[u8] = b"what is signed";

fn algorithms(kind: KeyKind) -> Vec<SignatureAlgorithm> {
    let schemes: &[SignatureScheme] = match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => &[SignatureScheme::Ecdsa],
        _ => &[SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss],
    };
    let digests = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
    schemes
        .iter()
        .flat_map(|scheme| digests.iter().map(|digest| SignatureAlgorithm::new(*scheme, *digest)))
        .collect()
}

#[track_caller]
fn check(key: &PrivateKey) {
    for algorithm in algorithms(key.kind()) {
        for form in [SignatureForm::Raw, SignatureForm::Der] {
            let signature = key.sign(algorithm, SECRET_FREE, form).expect("signs");
            assert!(
                verify(key.public_key(), algorithm, SECRET_FREE, &signature, form),
                "{algorithm:?} {form:?}"
            );
            assert!(
                !verify(key.public_key(), algorithm, b"else", &signature, form),
                "{algorithm:?} {form:?}"
            );
            let mut broken = signature.clone();
            broken[signature.len() / 2] ^= 1;
            assert!(!verify(key.public_key(), algorithm, SECRET_FREE, &broken, form));
            for length in [0, 1, signature.len() - 1] {
                assert!(!verify(key.public_key(), algorithm, SECRET_FREE, &signature[..length], form));
            }
        }
    }
}

#[test]
fn every_kind_signs_and_verifies() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048] {
        let key = PrivateKey::generate(kind).expect("generates");
        check(&key);
        let again = PrivateKey::from_pem(&key.to_pem().expect("in memory")).expect("own PEM is read");
        assert_eq!((again.kind(), again.public_key()), (kind, key.public_key()));
        assert_eq!(KeyKind::from_name(kind.name()), Some(kind));
    }
}

#[test]
fn raw_signatures_have_the_length_of_the_curve() {
    for (kind, length) in [(KeyKind::P256, 64), (KeyKind::P384, 96), (KeyKind::P521, 132)] {
        let key = PrivateKey::generate(kind).expect("generates");
        for _ in 0..8 {
            let raw = key.sign(key.default_algorithm(), SECRET_FREE, SignatureForm::Raw).expect("signs");
            assert_eq!(raw.len(), length);
        }
    }
}

#[test]
fn raw_signatures_without_leading_zeros_verify() {
    // One signature in 65 536 has a zero octet at the start of both halves; the same value with more
    // zeros than needed shows that it is the integers that count.
    let key = PrivateKey::generate(KeyKind::P256).expect("generates");
    let raw = key.sign(key.default_algorithm(), SECRET_FREE, SignatureForm::Raw).expect("signs");
    let long = [&[0, 0], &raw[..32], &[0, 0], &raw[32..]].concat();
    assert!(verify(key.public_key(), key.default_algorithm(), SECRET_FREE, &long, SignatureForm::Raw));
}

#[test]
fn wrong_algorithms_are_refused() {
    let key = PrivateKey::generate(KeyKind::P256).expect("generates");
    for (scheme, digest) in [
        (SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256),
        (SignatureScheme::Ecdsa, DigestAlgorithm::Sha1),
        (SignatureScheme::Ecdsa, DigestAlgorithm::Sha224),
    ] {
        let result = key.sign(SignatureAlgorithm::new(scheme, digest), SECRET_FREE, SignatureForm::Raw);
        assert_eq!(result, Err(KeyError::WrongAlgorithm));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let malformed = Err(KeyError::Malformed);
    for pem in
        ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----"]
    {
        assert_eq!(PrivateKey::from_pem(pem).map(|key| key.kind()), malformed);
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(PrivateKey::from_pem(encrypted).map(|key| key.kind()), Err(KeyError::Encrypted));
    assert_eq!(PrivateKey::from_pkcs8(&[0x30; 20_000]).map(|key| key.kind()), malformed);
    assert!(!verify(&[0x30, 0x03, 1], KeyKind::P256.default_algorithm(), b"", b"", SignatureForm::Raw));
}
