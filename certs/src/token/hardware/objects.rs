//! Keys as PKCS#11 describes them, and the way they sign (signatures and evidence §7.1).

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode as _, Encode as _};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::device::DeviceError;
use crate::key::{KeyKind, oid};

/// Objects of a token that are looked at.
const MOST_OBJECTS: usize = 10_000;

/// A key pair on a device.
pub(super) struct Found {
    pub(super) id: Vec<u8>,
    pub(super) label: String,
    pub(super) public_key: Vec<u8>,
}

/// What a signature is made with, and of what.
pub(super) fn mechanism(
    algorithm: SignatureAlgorithm,
    kind: KeyKind,
    digest: &[u8],
) -> Option<(Mechanism<'static>, Vec<u8>)> {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    Some(match algorithm.scheme {
        SignatureScheme::RsaPkcs1 => {
            // The head of a `DigestInfo`: its length, the digest's identifier with NULL, the digest's length.
            let identifier = crate::key::digest_identifier(algorithm.digest);
            let length = u8::try_from(digest.len()).ok()?;
            let content = [&identifier[..], &[0x04, length], digest].concat();
            let info = [&[0x30, u8::try_from(content.len()).ok()?][..], &content].concat();
            (Mechanism::RsaPkcs, info)
        }
        SignatureScheme::RsaPss => {
            let (hash_alg, mgf, salt) = match algorithm.digest {
                Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32),
                Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
                Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
                DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => return None,
            };
            let s_len = cryptoki::types::Ulong::new(salt);
            (Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len }), digest.to_vec())
        }
        // The leftmost bits of a digest that is longer than the curve: not every device cuts it off itself.
        SignatureScheme::Ecdsa => {
            let octets = match kind {
                KeyKind::P256 => 32,
                KeyKind::P384 => 48,
                KeyKind::P521 | KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => digest.len(),
            };
            (Mechanism::Ecdsa, digest.get(..octets).unwrap_or(digest).to_vec())
        }
    })
}

/// The private key of this id.
pub(super) fn find_private(session: &Session, id: &[u8]) -> Result<ObjectHandle, DeviceError> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.to_vec())];
    let found = session.find_objects(&template)?.into_iter().next();
    found.ok_or_else(|| DeviceError::Told("the device does not have the key".to_owned()))
}

/// Generates a pair on the device; gives its `SubjectPublicKeyInfo` in DER.
pub(super) fn generate(
    session: &Session,
    kind: KeyKind,
    id: &[u8],
    label: &str,
) -> Result<Vec<u8>, DeviceError> {
    let common =
        [Attribute::Token(true), Attribute::Id(id.to_vec()), Attribute::Label(label.as_bytes().to_vec())];
    let mut public = common.to_vec();
    public.push(Attribute::Verify(true));
    let mut private = common.to_vec();
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ]);
    let mechanism = match (bits(kind), curve(kind)) {
        (Some(bits), _) => {
            public.push(Attribute::ModulusBits(bits.into()));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
            Mechanism::RsaPkcsKeyPairGen
        }
        (None, Some(curve)) => {
            let parameters = curve.to_der().map_err(|_| unreadable())?;
            public.push(Attribute::EcParams(parameters));
            Mechanism::EccKeyPairGen
        }
        (None, None) => return Err(unreadable()),
    };
    let (public, _) = session.generate_key_pair(&mechanism, &public, &private)?;
    public_key(session, public)
}

/// Removes both halves of a pair.
pub(super) fn remove(session: &Session, id: &[u8]) -> Result<(), DeviceError> {
    for object in session.find_objects(&[Attribute::Token(true), Attribute::Id(id.to_vec())])? {
        session.destroy_object(object)?;
    }
    Ok(())
}

/// All pairs whose public half can be read.
pub(super) fn list(session: &Session) -> Result<Vec<Found>, DeviceError> {
    let mut found = Vec::new();
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Token(true)];
    for object in session.find_objects(&template)?.into_iter().take(MOST_OBJECTS) {
        let Ok(public_key) = public_key(session, object) else { continue };
        let (mut id, mut label) = (Vec::new(), String::new());
        for attribute in session.get_attributes(object, &[AttributeType::Id, AttributeType::Label])? {
            match attribute {
                Attribute::Id(value) => id = value,
                Attribute::Label(value) => label = String::from_utf8_lossy(&value).into_owned(),
                _ => {}
            }
        }
        if find_private(session, &id).is_ok() {
            found.push(Found { id, label, public_key });
        }
    }
    Ok(found)
}

/// The `SubjectPublicKeyInfo` of a public key object.
fn public_key(session: &Session, object: ObjectHandle) -> Result<Vec<u8>, DeviceError> {
    let wanted = [AttributeType::KeyType];
    let is_rsa = session.get_attributes(object, &wanted)?.contains(&Attribute::KeyType(KeyType::RSA));
    let wanted = if is_rsa {
        [AttributeType::Modulus, AttributeType::PublicExponent]
    } else {
        [AttributeType::EcParams, AttributeType::EcPoint]
    };
    let attributes = session.get_attributes(object, &wanted)?;
    let spki = match attributes.as_slice() {
        [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)] => rsa_spki(modulus, exponent),
        [Attribute::EcParams(parameters), Attribute::EcPoint(point)] => ec_spki(parameters, point),
        _ => None,
    };
    spki.ok_or_else(unreadable)
}

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let numbers = vec![UintRef::new(modulus).ok()?, UintRef::new(exponent).ok()?].to_der().ok()?;
    spki(AlgorithmIdentifierRef { oid: oid::RSA, parameters: Some(AnyRef::NULL) }, &numbers)
}

fn ec_spki(parameters: &[u8], point: &[u8]) -> Option<Vec<u8>> {
    let parameters = Some(AnyRef::from_der(parameters).ok()?);
    // PKCS#11 has the point in an OCTET STRING; some devices give it bare.
    let point = OctetStringRef::from_der(point).map_or(point, |inner| inner.as_bytes());
    spki(AlgorithmIdentifierRef { oid: oid::EC, parameters }, point)
}

fn spki(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(key).ok()?;
    SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

fn bits(kind: KeyKind) -> Option<u64> {
    match kind {
        KeyKind::Rsa2048 => Some(2048),
        KeyKind::Rsa3072 => Some(3072),
        KeyKind::Rsa4096 => Some(4096),
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => None,
    }
}

fn curve(kind: KeyKind) -> Option<ObjectIdentifier> {
    match kind {
        KeyKind::P256 => Some(oid::P256),
        KeyKind::P384 => Some(oid::P384),
        KeyKind::P521 => Some(oid::P521),
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => None,
    }
}

fn unreadable() -> DeviceError {
    DeviceError::Told("the device has a key that cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PrivateKey, public_key_bits};

    #[test]
    fn public_keys_are_put_together_as_we_have_them() {
        for kind in [KeyKind::P256, KeyKind::P521] {
            let key = PrivateKey::generate(kind).unwrap();
            let point = public_key_bits(key.public_key()).unwrap();
            let parameters = curve(kind).unwrap().to_der().unwrap();
            assert_eq!(ec_spki(&parameters, point).as_deref(), Some(key.public_key()));
            let wrapped = OctetStringRef::new(point).unwrap().to_der().unwrap();
            assert_eq!(ec_spki(&parameters, &wrapped).as_deref(), Some(key.public_key()));
        }
        let key = PrivateKey::generate(KeyKind::Rsa2048).unwrap();
        let numbers: Vec<UintRef<'_>> = Vec::from_der(public_key_bits(key.public_key()).unwrap()).unwrap();
        let spki = rsa_spki(numbers[0].as_bytes(), numbers[1].as_bytes());
        assert_eq!(spki.as_deref(), Some(key.public_key()));
        assert_eq!(KeyKind::of_public_key(key.public_key()), Some(KeyKind::Rsa2048));
    }

    #[test]
    fn a_digest_info_is_what_pkcs1_says() {
        let digest = DigestAlgorithm::Sha256.digest(b"");
        let algorithm = SignatureAlgorithm::new(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256);
        let (_, info) = mechanism(algorithm, KeyKind::Rsa2048, digest.bytes()).unwrap();
        let head = [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
        assert_eq!(info, [&head, digest.bytes()].concat());
    }
}
