//! What a registry lets into its state: characters of identifiers, addresses, URLs, names of things.

use protocol::configuration::directory::{
    FETCH_INTERVAL, MONITORING, NEXT_UPDATE, PRIVATE_PARAMETERS, PRIVATE_PARAMETERS_FILE, SHARED_PARAMETERS,
    SHARED_PARAMETERS_FILE,
};
use protocol::configuration::{CostType, CsrFormat, NodeClass, TlsFloor, node_classes};
use protocol::id::{ClientId, MemberId, SecurityServerId};

/// Longest component of an identifier.
const LONGEST: usize = 255;

/// Certificate profiles by their short and simple names (global configuration and trust §14.4).
const PROFILES: [(&str, &str); 8] = [
    ("Ejbca", "EjbcaCertificateProfileInfoProvider"),
    ("FiVRK", "FiVRKCertificateProfileInfoProvider"),
    ("Basic", "BasicCertificateProfileInfoProvider"),
    ("BasicACME", "BasicACMECertificateProfileInfoProvider"),
    ("Fo", "FoCertificateProfileInfoProvider"),
    ("Is", "IsCertificateProfileInfoProvider"),
    ("SkKlass3", "SkKlass3CertificateProfileInfoProvider"),
    ("SkEsteId", "SkEsteIdCertificateProfileInfoProvider"),
];
const PROFILE_PACKAGE: &str = "ee.ria.xroad.common.certificateprofile.impl.";

/// A component of an identifier: the published set of characters, strictly (messages and transport
/// §1.5).
pub(crate) fn code(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'()+,-.=?".contains(c);
    if text.is_empty() {
        return Err("has an empty part".into());
    }
    if text.len() > LONGEST {
        return Err(format!("has a part longer than {LONGEST} characters"));
    }
    // Dots alone would be a step in a path, wherever an identifier becomes part of one.
    if text == "." || text == ".." {
        return Err(format!("has the part `{text}`, which means something else in paths"));
    }
    match text.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(format!("has the character {c:?}; allowed are A-Z a-z 0-9 ' ( ) + , - . = ?")),
    }
}

fn parts<'t, const N: usize>(text: &'t str, form: &str) -> Result<[&'t str; N], String> {
    let parts: Vec<&str> = text.split('/').collect();
    for part in &parts {
        code(part)?;
    }
    parts.try_into().map_err(|_| format!("must have the form {form}"))
}

/// `INSTANCE/CLASS/MEMBER`
pub(super) fn member(text: &str) -> Result<MemberId, String> {
    let [instance, class, code] = parts(text, "INSTANCE/CLASS/MEMBER")?;
    MemberId::new(instance, class, code).map_err(|error| error.to_string())
}

/// `INSTANCE/CLASS/MEMBER` or `INSTANCE/CLASS/MEMBER/SUBSYSTEM`
pub(super) fn client(text: &str) -> Result<ClientId, String> {
    let form = "INSTANCE/CLASS/MEMBER or INSTANCE/CLASS/MEMBER/SUBSYSTEM";
    if text.split('/').count() == 3 {
        return member(text).map(Into::into);
    }
    let [instance, class, code, subsystem] = parts(text, form)?;
    let member = MemberId::new(instance, class, code).map_err(|error| error.to_string())?;
    ClientId::new(member, Some(subsystem)).map_err(|error| error.to_string())
}

/// A server of an owner.
pub(super) fn server(owner: MemberId, text: &str) -> Result<SecurityServerId, String> {
    code(text)?;
    SecurityServerId::new(owner, text).map_err(|error| error.to_string())
}

/// A host name or an IP address: no scheme, no port, no path.
pub(crate) fn host(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = text.len() <= 253 && text.trim_end_matches('.').split('.').all(label);
    if name || text.parse::<std::net::IpAddr>().is_ok() {
        Ok(())
    } else {
        Err("must be a host name or an IP address, without scheme, port and path".into())
    }
}

/// The form of certificate requests.
pub(super) fn csr_format(text: &str) -> Result<CsrFormat, String> {
    match text {
        "pem" => Ok(CsrFormat::Pem),
        "der" => Ok(CsrFormat::Der),
        _ => Err("must be pem or der".into()),
    }
}

/// The identifier of an optional part that an operator provides: none that has a meaning of its own.
pub(crate) fn part_identifier(text: &str) -> Result<(), String> {
    let taken = [PRIVATE_PARAMETERS, SHARED_PARAMETERS, node_classes::CONTENT_IDENTIFIER];
    let made = [MONITORING, FETCH_INTERVAL, NEXT_UPDATE];
    if taken.contains(&text) {
        return Err("is the identifier of a part that every configuration has".into());
    }
    if made.contains(&text) {
        return Err("is made from [settings]".into());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 100 || !text.bytes().all(allowed) {
        return Err("must be of letters, digits, - _ and ., 100 at most".into());
    }
    Ok(())
}

/// The name of a file of configuration that is no other part's.
pub(crate) fn part_file_name(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let plain = !text.starts_with('.') && text.len() <= 100 && text.bytes().all(allowed);
    let taken = [
        PRIVATE_PARAMETERS_FILE,
        SHARED_PARAMETERS_FILE,
        "monitoring-params.xml",
        "fetchinterval-params.xml",
        "nextupdate-params.xml",
        node_classes::FILE_NAME,
    ];
    if text.is_empty() || !plain || text.ends_with(".metadata") {
        return Err("must be a plain name of letters, digits, - _ and .".into());
    }
    if taken.contains(&text) { Err("is the name of another part's file".into()) } else { Ok(()) }
}

/// An absolute `http` or `https` URL.
pub(crate) fn url(text: &str) -> Result<(), String> {
    let uri: Option<http::Uri> = text.parse().ok();
    let good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if good { Ok(()) } else { Err("must be an http:// or https:// URL".into()) }
}

/// The full name of a certificate profile, from its short, simple or full name.
pub(crate) fn profile(text: &str) -> Result<String, String> {
    let simple = text.strip_prefix(PROFILE_PACKAGE).unwrap_or(text);
    match PROFILES.iter().find(|(short, long)| *short == simple || *long == simple) {
        Some((_, long)) => Ok(format!("{PROFILE_PACKAGE}{long}")),
        None => {
            let known: Vec<&str> = PROFILES.iter().map(|(short, _)| *short).collect();
            Err(format!("is no known certificate profile; known are {}", known.join(", ")))
        }
    }
}

/// `state`, `data-center` or `international`
pub(crate) fn node_class(text: &str) -> Result<NodeClass, String> {
    NodeClass::from_name(text).ok_or_else(|| "must be state, data-center or international".into())
}

/// `1.2` or `1.3`
pub(crate) fn tls_floor(text: &str) -> Result<TlsFloor, String> {
    TlsFloor::from_name(text).ok_or_else(|| "must be \"1.2\" or \"1.3\"".into())
}

/// `free`, `paid` or `undefined`
pub(super) fn cost(text: &str) -> Result<CostType, String> {
    match text {
        "free" => Ok(CostType::Free),
        "paid" => Ok(CostType::Paid),
        "undefined" => Ok(CostType::Undefined),
        _ => Err("must be free, paid or undefined".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for good in ["GOV", "10.01-a", "a'(b)+,-.=?"] {
            assert_eq!(code(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "a_b", "é", "a\u{200b}", "a%2f", "a:b", &"x".repeat(256)] {
            assert!(code(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["127.0.1.1", "::1", "ss1.example.org", "ss1", "ss1.example.org."] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in ["", "http://a", "a:80", "a/b", "a b", "..", "a..b", "[::1]"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn identifiers() {
        assert!(client("I/GOV/1").is_ok_and(|id| id.subsystem().is_none()));
        assert!(client("I/GOV/1/s").is_ok_and(|id| id.subsystem() == Some("s")));
        for bad in ["I/GOV", "I/GOV/1/s/x", "I//1", "I/GOV/1/", "I/GOV/1/a b", ""] {
            assert!(client(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn profiles() {
        let full = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider";
        for name in ["FiVRK", "FiVRKCertificateProfileInfoProvider", full] {
            assert_eq!(profile(name).as_deref(), Ok(full));
        }
        assert!(profile("FiVRKX").is_err());
    }
}
