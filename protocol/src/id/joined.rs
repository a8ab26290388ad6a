//! The form of identifiers in administration interfaces: the parts joined by colons (registry and
//! administration §6.3). No part can have a colon, so nothing is escaped inside; whoever puts the
//! whole into a URL encodes it as any other text there.

use super::{ClientId, GlobalGroupId, IdError, MemberId, SecurityServerId, ServiceId};

/// Takes `text` apart into exactly `N` parts that identifiers may have (§1.3, the wide rule).
fn parts<const N: usize>(text: &str) -> Result<[&str; N], IdError> {
    let parts: Vec<&str> = text.split(':').collect();
    let parts: [&str; N] = parts.try_into().map_err(|_| IdError::WrongNumberOfParts)?;
    if parts.iter().all(|part| is_allowed(part)) { Ok(parts) } else { Err(IdError::NotNormalised) }
}

/// Whether a part of an identifier is 1 to 255 characters and none that X-Road forbids in them.
fn is_allowed(part: &str) -> bool {
    let forbidden = |letter: char| letter.is_control() || ":;/\\%\u{feff}\u{200b}".contains(letter);
    part.chars().count() <= 255 && !part.contains(forbidden)
}

impl MemberId {
    /// Reads `INSTANCE:CLASS:MEMBER`.
    pub fn parse_joined(text: &str) -> Result<Self, IdError> {
        let [instance, class, code] = parts(text)?;
        Self::new(instance, class, code)
    }

    /// Writes `INSTANCE:CLASS:MEMBER`.
    pub fn joined(&self) -> String {
        format!("{}:{}:{}", self.instance, self.class, self.code)
    }
}

impl ClientId {
    /// Reads `INSTANCE:CLASS:MEMBER` or `INSTANCE:CLASS:MEMBER:SUBSYSTEM`.
    pub fn parse_joined(text: &str) -> Result<Self, IdError> {
        if text.matches(':').count() == 2 {
            return MemberId::parse_joined(text).map(Into::into);
        }
        let [instance, class, code, subsystem] = parts(text)?;
        Self::new(MemberId::new(instance, class, code)?, Some(subsystem))
    }

    /// Writes `INSTANCE:CLASS:MEMBER` or `INSTANCE:CLASS:MEMBER:SUBSYSTEM`.
    pub fn joined(&self) -> String {
        let member = self.member.joined();
        self.subsystem().map_or(member.clone(), |subsystem| format!("{member}:{subsystem}"))
    }
}

impl SecurityServerId {
    /// Reads `INSTANCE:CLASS:MEMBER:SERVER`.
    pub fn parse_joined(text: &str) -> Result<Self, IdError> {
        let [instance, class, code, server] = parts(text)?;
        Self::new(MemberId::new(instance, class, code)?, server)
    }

    /// Writes `INSTANCE:CLASS:MEMBER:SERVER`.
    pub fn joined(&self) -> String {
        format!("{}:{}", self.owner.joined(), self.code)
    }
}

impl ServiceId {
    /// Reads `INSTANCE:CLASS:MEMBER:SUBSYSTEM:SERVICE` or the same with `.VERSION`. A service code may
    /// have dots, a version has none: the last dot is the border.
    pub fn parse_joined(text: &str) -> Result<Self, IdError> {
        let (provider, service) = text.rsplit_once(':').ok_or(IdError::WrongNumberOfParts)?;
        let provider = ClientId::parse_joined(provider)?;
        let [service] = parts(service)?;
        match service.rsplit_once('.') {
            Some((code, version)) if !code.is_empty() && !version.is_empty() => {
                Self::new(provider, code, Some(version))
            }
            _ => Self::new(provider, service, None),
        }
    }

    /// Writes `INSTANCE:CLASS:MEMBER:SUBSYSTEM:SERVICE`, with `.VERSION` if there is one.
    pub fn joined(&self) -> String {
        let service = format!("{}:{}", self.provider.joined(), self.code);
        self.version().map_or(service.clone(), |version| format!("{service}.{version}"))
    }
}

impl GlobalGroupId {
    /// Reads `INSTANCE:GROUP`.
    pub fn parse_joined(text: &str) -> Result<Self, IdError> {
        let [instance, code] = parts(text)?;
        Self::new(instance, code)
    }

    /// Writes `INSTANCE:GROUP`.
    pub fn joined(&self) -> String {
        format!("{}:{}", self.instance, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_forms_are_read_and_written() {
        for text in ["DEV:COM:1234", "DEV:COM:1234:SUB", "DEV:ÄÖ:x y:z.1"] {
            assert_eq!(ClientId::parse_joined(text).map(|id| id.joined()).as_deref(), Ok(text));
        }
        for text in ["DEV:COM:1234:SUB:code", "DEV:COM:1234:SUB:a.b.v1"] {
            assert_eq!(ServiceId::parse_joined(text).map(|id| id.joined()).as_deref(), Ok(text));
        }
        let service = ServiceId::parse_joined("DEV:COM:1234:SUB:a.b.v1").expect("a service");
        assert_eq!((service.code(), service.version()), ("a.b", Some("v1")));
        let server = SecurityServerId::parse_joined("DEV:COM:1234:SS0").expect("a server");
        assert_eq!((server.joined().as_str(), server.code()), ("DEV:COM:1234:SS0", "SS0"));
        assert_eq!(GlobalGroupId::parse_joined("DEV:g").map(|id| id.joined()).as_deref(), Ok("DEV:g"));
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        use IdError::{EmptyPart, NotNormalised, WrongNumberOfParts};
        let long = format!("DEV:COM:{}", "x".repeat(256));
        for (text, error) in [
            ("", WrongNumberOfParts),
            ("DEV:COM", WrongNumberOfParts),
            ("DEV:COM:1:2:3", WrongNumberOfParts),
            ("DEV::1", EmptyPart),
            ("DEV:COM: ", EmptyPart),
            ("DEV:COM:1:", EmptyPart),
            ("DEV:COM:a/b", NotNormalised),
            ("DEV:COM:a\\b", NotNormalised),
            ("DEV:COM:a%2fb", NotNormalised),
            ("DEV:COM:a;b", NotNormalised),
            ("DEV:COM:a\r\n", NotNormalised),
            ("DEV:COM:a\u{200b}", NotNormalised),
            (long.as_str(), NotNormalised),
        ] {
            assert_eq!(ClientId::parse_joined(text), Err(error), "{text}");
        }
    }
}
