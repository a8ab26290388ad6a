//! Names of algorithms in certificates, OCSP responses and CMS: `AlgorithmIdentifier`.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Sequence};
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use spki::AlgorithmIdentifierRef;

/// Object identifiers of keys and algorithms.
pub(crate) mod oid {
    use der::asn1::ObjectIdentifier;

    macro_rules! oids {
        ($($name:ident = $text:literal;)*) => {
            $(pub(crate) const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)*
        };
    }
    oids! {
        RSA = "1.2.840.113549.1.1.1";
        RSA_SHA1 = "1.2.840.113549.1.1.5";
        RSA_MGF1 = "1.2.840.113549.1.1.8";
        RSA_PSS = "1.2.840.113549.1.1.10";
        RSA_SHA256 = "1.2.840.113549.1.1.11";
        RSA_SHA384 = "1.2.840.113549.1.1.12";
        RSA_SHA512 = "1.2.840.113549.1.1.13";
        EC = "1.2.840.10045.2.1";
        P256 = "1.2.840.10045.3.1.7";
        P384 = "1.3.132.0.34";
        P521 = "1.3.132.0.35";
        ECDSA_SHA1 = "1.2.840.10045.4.1";
        ECDSA_SHA224 = "1.2.840.10045.4.3.1";
        ECDSA_SHA256 = "1.2.840.10045.4.3.2";
        ECDSA_SHA384 = "1.2.840.10045.4.3.3";
        ECDSA_SHA512 = "1.2.840.10045.4.3.4";
        SHA1 = "1.3.14.3.2.26";
        SHA224 = "2.16.840.1.101.3.4.2.4";
        SHA256 = "2.16.840.1.101.3.4.2.1";
        SHA384 = "2.16.840.1.101.3.4.2.2";
        SHA512 = "2.16.840.1.101.3.4.2.3";
    }
}

const SIGNATURES: [(ObjectIdentifier, SignatureScheme, DigestAlgorithm); 9] = [
    (oid::RSA_SHA1, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha1),
    (oid::RSA_SHA256, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256),
    (oid::RSA_SHA384, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha384),
    (oid::RSA_SHA512, SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha512),
    (oid::ECDSA_SHA1, SignatureScheme::Ecdsa, DigestAlgorithm::Sha1),
    (oid::ECDSA_SHA224, SignatureScheme::Ecdsa, DigestAlgorithm::Sha224),
    (oid::ECDSA_SHA256, SignatureScheme::Ecdsa, DigestAlgorithm::Sha256),
    (oid::ECDSA_SHA384, SignatureScheme::Ecdsa, DigestAlgorithm::Sha384),
    (oid::ECDSA_SHA512, SignatureScheme::Ecdsa, DigestAlgorithm::Sha512),
];

/// `RSASSA-PSS-params` with the tags of RFC 4055; every field may be absent and then means SHA-1.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", optional = "true")]
    digest: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", optional = "true")]
    salt: Option<u32>,
    #[asn1(context_specific = "3", optional = "true")]
    trailer: Option<u32>,
}

/// The signature algorithm that an `AlgorithmIdentifier` in DER names.
///
/// Of PSS only the parameters of signatures and evidence §0.3 are known: MGF1 with the same digest, a
/// salt as long as the digest, trailer field 1.
pub fn algorithm_of_identifier(der: &[u8]) -> Option<SignatureAlgorithm> {
    let identifier = AlgorithmIdentifierRef::from_der(der).ok()?;
    if identifier.oid == oid::RSA_PSS {
        return pss_algorithm(identifier.parameters?);
    }
    let absent_or_null = identifier.parameters.is_none_or(|parameters| parameters == AnyRef::NULL);
    SIGNATURES
        .iter()
        .find(|(named, _, _)| *named == identifier.oid && absent_or_null)
        .map(|(_, scheme, digest)| SignatureAlgorithm::new(*scheme, *digest))
}

fn pss_algorithm(parameters: AnyRef<'_>) -> Option<SignatureAlgorithm> {
    let parameters: PssParameters<'_> = parameters.decode_as().ok()?;
    let digest = digest_of(parameters.digest?)?;
    let mask = parameters.mask?;
    let mask_digest: AlgorithmIdentifierRef<'_> = mask.parameters?.decode_as().ok()?;
    let usual = mask.oid == oid::RSA_MGF1
        && digest_of(mask_digest)? == digest
        && parameters.salt.and_then(|salt| usize::try_from(salt).ok()) == Some(digest.length())
        && parameters.trailer.is_none_or(|trailer| trailer == 1);
    usual.then_some(SignatureAlgorithm::new(SignatureScheme::RsaPss, digest))
}

/// The `AlgorithmIdentifier` of a signature algorithm in DER; none for RSA with SHA-224, which nobody
/// uses here.
pub fn algorithm_identifier(algorithm: SignatureAlgorithm) -> Option<Vec<u8>> {
    if algorithm.scheme == SignatureScheme::RsaPss {
        return pss_identifier(algorithm.digest);
    }
    let (named, scheme, _) = SIGNATURES
        .iter()
        .find(|(_, scheme, digest)| (*scheme, *digest) == (algorithm.scheme, algorithm.digest))?;
    let parameters = (*scheme == SignatureScheme::RsaPkcs1).then_some(AnyRef::NULL);
    AlgorithmIdentifierRef { oid: *named, parameters }.to_der().ok()
}

fn pss_identifier(digest: DigestAlgorithm) -> Option<Vec<u8>> {
    let digest_der = digest_identifier(digest);
    let digest_identifier = AlgorithmIdentifierRef::from_der(&digest_der).ok()?;
    let mask =
        AlgorithmIdentifierRef { oid: oid::RSA_MGF1, parameters: Some(AnyRef::from_der(&digest_der).ok()?) };
    let parameters = PssParameters {
        digest: Some(digest_identifier),
        mask: Some(mask),
        salt: Some(u32::try_from(digest.length()).ok()?),
        trailer: None,
    }
    .to_der()
    .ok()?;
    let parameters = Some(AnyRef::from_der(&parameters).ok()?);
    AlgorithmIdentifierRef { oid: oid::RSA_PSS, parameters }.to_der().ok()
}

/// The `AlgorithmIdentifier` of a digest in DER, with NULL parameters as X-Road writes them.
pub fn digest_identifier(digest: DigestAlgorithm) -> Vec<u8> {
    let oid = match digest {
        DigestAlgorithm::Sha1 => oid::SHA1,
        DigestAlgorithm::Sha224 => oid::SHA224,
        DigestAlgorithm::Sha256 => oid::SHA256,
        DigestAlgorithm::Sha384 => oid::SHA384,
        DigestAlgorithm::Sha512 => oid::SHA512,
    };
    let identifier = AlgorithmIdentifierRef { oid, parameters: Some(AnyRef::NULL) };
    identifier.to_der().expect("an object identifier and NULL always encode")
}

/// The digest that an `AlgorithmIdentifier` in DER names; its parameters are absent or NULL.
pub fn digest_of_identifier(der: &[u8]) -> Option<DigestAlgorithm> {
    digest_of(AlgorithmIdentifierRef::from_der(der).ok()?)
}

fn digest_of(identifier: AlgorithmIdentifierRef<'_>) -> Option<DigestAlgorithm> {
    if identifier.parameters.is_some_and(|parameters| parameters != AnyRef::NULL) {
        return None;
    }
    match identifier.oid {
        oid::SHA1 => Some(DigestAlgorithm::Sha1),
        oid::SHA224 => Some(DigestAlgorithm::Sha224),
        oid::SHA256 => Some(DigestAlgorithm::Sha256),
        oid::SHA384 => Some(DigestAlgorithm::Sha384),
        oid::SHA512 => Some(DigestAlgorithm::Sha512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_lead_back() {
        for (_, scheme, digest) in SIGNATURES {
            let algorithm = SignatureAlgorithm::new(scheme, digest);
            let der = algorithm_identifier(algorithm).expect("named");
            assert_eq!(algorithm_of_identifier(&der), Some(algorithm));
        }
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let algorithm = SignatureAlgorithm::new(SignatureScheme::RsaPss, digest);
            let der = algorithm_identifier(algorithm).expect("named");
            assert_eq!(algorithm_of_identifier(&der), Some(algorithm));
            assert_eq!(digest_of_identifier(&digest_identifier(digest)), Some(digest));
        }
    }

    #[test]
    fn strange_parameters_are_not_known() {
        // RSASSA-PSS without parameters means SHA-1 with a salt of 20 octets.
        let der = AlgorithmIdentifierRef { oid: oid::RSA_PSS, parameters: None }.to_der().expect("encodes");
        assert_eq!(algorithm_of_identifier(&der), None);
        assert_eq!(algorithm_of_identifier(&[0x30, 0x80]), None);
    }
}
