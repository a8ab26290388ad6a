//! Key agreement on P-521, for TLS with peers that know a curve only if it is offered for agreement too.
//!
//! The other groups of TLS come from ring, which has no P-521.

use aws_lc_rs::agreement::{self, ECDH_P521, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::KeyError;

/// Octets of an uncompressed point: a head and two coordinates.
const POINT: usize = 1 + 2 * 66;

/// One side of one agreement. Its secret half leaves memory with it.
pub struct P521Agreement {
    private: agreement::PrivateKey,
    public: Vec<u8>,
}

impl P521Agreement {
    /// Makes a fresh pair.
    ///
    /// # Errors
    /// [`KeyError::Failed`] when there is no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let private = agreement::PrivateKey::generate(&ECDH_P521).map_err(|_| KeyError::Failed)?;
        let public = private.compute_public_key().map_err(|_| KeyError::Failed)?.as_ref().to_vec();
        Ok(Self { private, public })
    }

    /// The public half for the other side: an uncompressed point.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The common secret, given the other side's public half.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when that is not an uncompressed point of the curve; TLS has no other form.
    pub fn agree(&self, other: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if other.len() != POINT || other.first() != Some(&0x04) {
            return Err(KeyError::Malformed);
        }
        let other = UnparsedPublicKey::new(&ECDH_P521, other);
        agreement::agree(&self.private, other, KeyError::Malformed, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree() {
        let (one, other) = (P521Agreement::generate().unwrap(), P521Agreement::generate().unwrap());
        let secret = one.agree(other.public()).unwrap();
        assert_eq!(secret, other.agree(one.public()).unwrap());
        assert_eq!(secret.len(), 66);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let one = P521Agreement::generate().unwrap();
        let mut off_the_curve = one.public().to_vec();
        off_the_curve[POINT - 1] ^= 1;
        let compressed = [&[2], &one.public()[1..67]].concat();
        for point in [&[][..], &[4], &[0; POINT], &off_the_curve, &compressed] {
            assert_eq!(one.agree(point).err(), Some(KeyError::Malformed), "{point:?}");
        }
    }
}
