//! What TLS may be made of: cipher suites, versions, groups.

use std::fmt;
use std::sync::Arc;

use certs::key::P521Agreement;
use rustls::crypto::{ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup};
use rustls::{
    Error, NamedGroup, PeerMisbehaved, SupportedCipherSuite, SupportedProtocolVersion, ffdhe_groups,
};

/// Cipher suites for connections between security servers, in the order of preference. There is at least one.
#[derive(Clone, PartialEq)]
pub struct CipherSuites(Vec<SupportedCipherSuite>);

/// A list of cipher suites that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SuiteError {
    /// Nobody knows it, or it is not safe.
    #[error("{name} is no cipher suite that can be used; there are {}", CipherSuites::default())]
    Unknown {
        /// As it was given.
        name: String,
    },
    /// The list is empty.
    #[error("there must be at least one cipher suite")]
    None,
}

/// The provider of all TLS: ring, with P-521 for key agreement, so that peers with such a certificate,
/// who look for its curve among our groups, find it.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups.push(&SecP521R1);
    provider
}

impl Default for CipherSuites {
    /// All: TLS 1.3 and TLS 1.2 with authenticated encryption.
    fn default() -> Self {
        Self(rustls::crypto::ring::ALL_CIPHER_SUITES.to_vec())
    }
}

impl CipherSuites {
    /// The suites of these IANA names, such as `TLS_AES_256_GCM_SHA384`.
    ///
    /// # Errors
    /// A name that is not known, or none at all.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, SuiteError> {
        let known = Self::default().0;
        let suites = names.into_iter().map(|name| {
            let suite = known.iter().find(|suite| iana_name(suite) == name).copied();
            suite.ok_or_else(|| SuiteError::Unknown { name: name.to_owned() })
        });
        let suites: Vec<_> = suites.collect::<Result<_, _>>()?;
        if suites.is_empty() { Err(SuiteError::None) } else { Ok(Self(suites)) }
    }

    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider { cipher_suites: self.0.clone(), ..provider() })
    }

    /// The versions that have a suite.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        [&rustls::version::TLS13, &rustls::version::TLS12]
            .into_iter()
            .filter(|version| self.0.iter().any(|suite| suite.version() == *version))
            .collect()
    }
}

fn iana_name(suite: &SupportedCipherSuite) -> String {
    suite.suite().as_str().map_or_else(String::new, |name| name.replacen("TLS13_", "TLS_", 1))
}

impl fmt::Display for CipherSuites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(iana_name).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for CipherSuites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CipherSuites({self})")
    }
}

impl Eq for CipherSuites {}

/// Key agreement on P-521; the last choice, since it is slow.
#[derive(Debug)]
struct SecP521R1;

struct Exchange(P521Agreement);

impl SupportedKxGroup for SecP521R1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let agreement = P521Agreement::generate().map_err(|error| Error::General(error.to_string()))?;
        Ok(Box::new(Exchange(agreement)))
    }

    fn ffdhe_group(&self) -> Option<ffdhe_groups::FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let secret = self.0.agree(peer).map_err(|_| Error::from(PeerMisbehaved::InvalidKeyShare))?;
        Ok(SharedSecret::from(secret.as_slice()))
    }

    fn ffdhe_group(&self) -> Option<ffdhe_groups::FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.0.public()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: Result<usize, SuiteError>) {
        let suites = CipherSuites::from_names(names.iter().copied());
        assert_eq!(suites.map(|suites| suites.versions().len()), expected);
    }

    #[test]
    fn suites_are_known_by_their_names() {
        let unknown = |name: &str| Err(SuiteError::Unknown { name: name.to_owned() });
        check(&["TLS_AES_256_GCM_SHA384"], Ok(1));
        check(&["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"], Ok(1));
        check(&["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], Ok(2));
        check(&["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"], unknown("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"));
        check(&[], Err(SuiteError::None));
        let all = CipherSuites::default().to_string();
        assert_eq!(CipherSuites::from_names(all.split(", ")), Ok(CipherSuites::default()));
    }
}
