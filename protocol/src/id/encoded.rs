//! The percent-encoded form of identifiers in REST paths and headers (messages and transport §1.4).

use super::{ClientId, IdError, MemberId, SecurityServerId, ServiceId};

/// Decodes one segment: raw characters of the published set, `%` with two hexadecimal digits, and
/// UTF-8 as the result. A decoded control character or a segment of only dots is refused as well: no
/// honest identifier has one, and both mislead whoever reads a log or a path.
pub fn decode_segment(text: &str) -> Result<String, IdError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'%' => {
                let [high, low, tail @ ..] = rest else { return Err(IdError::BadEncoding) };
                let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(IdError::BadEncoding);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = tail;
            }
            byte if is_raw(*byte) => bytes.push(*byte),
            _ => return Err(IdError::NotNormalised),
        }
    }
    let decoded = String::from_utf8(bytes).map_err(|_| IdError::BadEncoding)?;
    if decoded.chars().any(char::is_control) || decoded == "." || decoded == ".." {
        return Err(IdError::NotNormalised);
    }
    if decoded.trim().is_empty() {
        return Err(IdError::EmptyPart);
    }
    Ok(decoded)
}

/// Encodes one segment: every byte outside the raw set as `%` and two upper-case digits.
pub fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push_segment(&mut encoded, text);
    encoded
}

fn push_segment(encoded: &mut String, text: &str) {
    for byte in text.bytes() {
        if is_raw(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
}

fn is_raw(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn segments<const N: usize>(text: &str) -> Result<[String; N], IdError> {
    let mut parts = text.split('/');
    let mut decoded = [const { String::new() }; N];
    for place in &mut decoded {
        *place = decode_segment(parts.next().ok_or(IdError::WrongNumberOfParts)?)?;
    }
    if parts.next().is_some() { Err(IdError::WrongNumberOfParts) } else { Ok(decoded) }
}

fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut encoded = String::with_capacity(64);
    for part in parts {
        if !encoded.is_empty() {
            encoded.push('/');
        }
        push_segment(&mut encoded, part);
    }
    encoded
}

impl ClientId {
    /// Reads `X-Road-Client`: three segments for a member, four for a subsystem.
    pub fn parse_encoded(text: &str) -> Result<Self, IdError> {
        match text.bytes().filter(|byte| *byte == b'/').count() {
            2 => {
                let [instance, class, code] = segments(text)?;
                Ok(MemberId::new(&instance, &class, &code)?.into())
            }
            3 => {
                let [instance, class, code, subsystem] = segments(text)?;
                Self::new(MemberId::new(&instance, &class, &code)?, Some(&subsystem))
            }
            _ => Err(IdError::WrongNumberOfParts),
        }
    }

    /// The form of `x-road-client`.
    pub fn encoded(&self) -> String {
        let member = self.member();
        join([member.instance(), member.class(), member.code()].into_iter().chain(self.subsystem()))
    }
}

impl ServiceId {
    /// Reads `X-Road-Service` and the path of a request: five segments, a subsystem always among them.
    pub fn parse_encoded(text: &str) -> Result<Self, IdError> {
        let [instance, class, code, subsystem, service] = segments(text)?;
        let provider = ClientId::new(MemberId::new(&instance, &class, &code)?, Some(&subsystem))?;
        Self::new(provider, &service, None)
    }

    /// The form of `x-road-service`. The version has no place in it.
    pub fn encoded(&self) -> String {
        let member = self.provider().member();
        let provider = [member.instance(), member.class(), member.code()].into_iter();
        join(provider.chain(self.provider().subsystem()).chain([self.code()]))
    }
}

impl SecurityServerId {
    /// Reads `X-Road-Security-Server`: four segments.
    pub fn parse_encoded(text: &str) -> Result<Self, IdError> {
        let [instance, class, code, server] = segments(text)?;
        Self::new(MemberId::new(&instance, &class, &code)?, &server)
    }

    /// The percent-encoded form.
    pub fn encoded(&self) -> String {
        let owner = self.owner();
        join([owner.instance(), owner.class(), owner.code(), self.code()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, IdError>) {
        assert_eq!(
            ClientId::parse_encoded(text).map(|id| id.to_string()),
            expected.map(str::to_owned),
            "{text}"
        );
    }

    #[test]
    fn clients() {
        check("XX/GOV/100/population", Ok("XX/GOV/100/population"));
        check("XX/GOV/100", Ok("XX/GOV/100"));
        check("XX/GOV/1%2F0", Ok("XX/GOV/1/0"));
        check("XX/GOV/%c3%96", Ok("XX/GOV/Ö"));
        check("XX/GOV", Err(IdError::WrongNumberOfParts));
        check("XX/GOV/1/2/3", Err(IdError::WrongNumberOfParts));
        check("XX/GOV/100/", Err(IdError::EmptyPart));
        check("XX//100", Err(IdError::EmptyPart));
        check("XX/%20/100", Err(IdError::EmptyPart));
        check(" XX/GOV/100", Err(IdError::NotNormalised));
        check("XX/GOV/Ö", Err(IdError::NotNormalised));
        check("XX/GOV/%2e%2E", Err(IdError::NotNormalised));
        check("XX/GOV/1%00", Err(IdError::NotNormalised));
        check("XX/GOV/1%0d%0aHost", Err(IdError::NotNormalised));
        check("XX/GOV/%C3", Err(IdError::BadEncoding));
        check("XX/GOV/%C0%AF", Err(IdError::BadEncoding));
        check("XX/GOV/%2", Err(IdError::BadEncoding));
        check("XX/GOV/%zz", Err(IdError::BadEncoding));
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        for text in ["plain", "Ä ö/%", "a:b;c=d", "日本"] {
            assert_eq!(decode_segment(&encode_segment(text)).as_deref(), Ok(text));
        }
        let service = ServiceId::parse_encoded("I/C/M/S%20S/svc").expect("five segments");
        assert_eq!(service.encoded(), "I/C/M/S%20S/svc");
        assert_eq!(ServiceId::parse_encoded("I/C/M/svc"), Err(IdError::WrongNumberOfParts));
        assert_eq!(SecurityServerId::parse_encoded("I/C/M/SS/x"), Err(IdError::WrongNumberOfParts));
    }
}
