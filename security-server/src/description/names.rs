//! What services may be called (registry and administration §1.3 and §4.5).

use gateway::ports::ServiceType;

use crate::state::ServiceKey;

/// Codes of the services that every node has, which no client may use.
pub const RESERVED: [&str; 8] = [
    "listClients",
    "listMethods",
    "allowedMethods",
    "getWsdl",
    "getOpenAPI",
    "getSecurityServerMetrics",
    "getSecurityServerOperationalData",
    "getSecurityServerHealthData",
];

/// Most characters of a code or version.
const LONGEST: usize = 255;

/// Whether a service code belongs to the built-in services. Case is not looked at, so that nobody is
/// misled by a look-alike.
pub fn is_reserved(code: &str) -> bool {
    RESERVED.iter().any(|reserved| is_same_code(reserved, code))
}

/// Whether two service codes are too much alike to stand beside each other.
pub fn is_same_code(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Whether two services of a client cannot stand beside each other. Access rights are given to codes, so only
/// versions of one SOAP service may share theirs.
pub fn collide(one: (&ServiceKey, ServiceType), other: (&ServiceKey, ServiceType)) -> bool {
    let is_soap = |service: (&ServiceKey, ServiceType)| service.1 == ServiceType::Soap;
    if is_soap(one) && is_soap(other) {
        is_same_code(&full_code(one.0), &full_code(other.0))
    } else {
        is_same_code(&one.0.code, &other.0.code)
    }
}

/// The code, and after a dot the version.
pub fn full_code(key: &ServiceKey) -> String {
    key.version.as_ref().map_or_else(|| key.code.clone(), |version| format!("{}.{version}", key.code))
}

/// Whether a text can be a service code or a version: 1 to 255 characters, none of which two readers of an
/// identifier could take differently.
pub fn is_usable(part: &str) -> bool {
    let misleads = |character: char| {
        matches!(character, ':' | ';' | '/' | '\\' | '%' | '\u{feff}' | '\u{200b}') || character.is_control()
    };
    !part.trim().is_empty()
        && part.chars().count() <= LONGEST
        && !part.contains(misleads)
        && !matches!(part, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(part: &str, expected: bool) {
        assert_eq!(is_usable(part), expected, "{part:?}");
    }

    #[test]
    fn parts() {
        for good in ["a", "getRandom", "Ünï cöde", "v1.2", "a(b)+c,d-e=f?", &"x".repeat(255)] {
            check(good, true);
        }
        for bad in
            ["", " ", ".", "..", "a:b", "a;b", "a/b", "a\\b", "v1%234", "a\u{0}", "a\u{200b}", "\u{feff}a"]
        {
            check(bad, false);
        }
        check(&"x".repeat(256), false);
    }

    #[track_caller]
    fn check_collision(one: (&str, ServiceType), other: (&str, ServiceType), expected: bool) {
        let key = |name: &str| match name.split_once('.') {
            Some((code, version)) => ServiceKey { code: code.into(), version: Some(version.into()) },
            None => ServiceKey { code: name.into(), version: None },
        };
        let found = collide((&key(one.0), one.1), (&key(other.0), other.1));
        assert_eq!(found, expected, "{one:?} {other:?}");
    }

    #[test]
    fn collisions() {
        use ServiceType::{OpenApi, Rest, Soap};
        check_collision(("get.v1", Soap), ("get.v2", Soap), false);
        check_collision(("get.v1", Soap), ("GET.V1", Soap), true);
        check_collision(("get", Soap), ("get", Soap), true);
        check_collision(("get.v1", Soap), ("get", Rest), true);
        check_collision(("Get", OpenApi), ("get", Rest), true);
        check_collision(("get", OpenApi), ("set", Rest), false);
    }

    #[test]
    fn reserved_codes() {
        assert!(RESERVED.iter().all(|code| is_reserved(code)));
        assert!(is_reserved("GETWSDL"));
        assert!(!is_reserved("getWsdl2"));
    }
}
