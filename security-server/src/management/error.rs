//! Why a request was not taken.

use gateway::http::FetchError;
use protocol::fault::Fault;

/// Why a request was not taken. Nothing has changed at the registry, unless the answer was lost on its way.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// A fault of the registry, or of a server on the way to it, this one included.
    #[error("{0}")]
    Refused(Fault),
    /// The registration service cannot be reached.
    #[error("the registration service cannot be reached")]
    Unreachable(#[source] FetchError),
    /// The registration service answered something that is no answer.
    #[error("the registration service answered with status {0} and nothing that could be read")]
    NoAnswer(u16),
    /// The global configuration has no private parameters, so it does not say where to ask.
    #[error("the global configuration does not say where the registry takes requests")]
    NoPrivateParameters,
    /// The private parameters name no certificate, so whoever answers could be anybody.
    #[error("the global configuration does not name the certificate of the registration service")]
    NotPinned,
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Signing(String),
}

impl From<Fault> for ManagementError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl ManagementError {
    /// The fault, if it is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused(fault) => Some(fault),
            Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::NoPrivateParameters
            | Self::NotPinned
            | Self::Signing(_) => None,
        }
    }

    /// The error code of the registry's own rules, such as `management_request_exists`, when they forbid
    /// the request (§3.9).
    pub fn registry_code(&self) -> Option<&str> {
        let text = &self.fault()?.text;
        let (code, _) = text.split_once(" with statusCode ")?;
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (!code.is_empty() && code.bytes().all(is_code)).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use protocol::fault::code;

    use super::*;

    #[test]
    fn codes_of_the_registry_are_found() {
        let check = |text: &str, expected: Option<&str>| {
            let error = ManagementError::from(Fault::new(code::INTERNAL_ERROR, text));
            assert_eq!(error.registry_code(), expected, "{text}");
        };
        check("management_request_exists with statusCode 409", Some("management_request_exists"));
        check(
            "management_request_exists with statusCode 409 in X-Road's words",
            Some("management_request_exists"),
        );
        check("something failed", None);
        check(" with statusCode 409", None);
        check("A sentence with statusCode 409", None);
        assert_eq!(ManagementError::NotPinned.registry_code(), None);
    }
}
