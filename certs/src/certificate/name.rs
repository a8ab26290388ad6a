//! Distinguished names: comparing them, printing them, and finding attributes in them.
//!
//! Names are compared as X-Road does it (signatures and evidence §5.4): letter case and runs of white
//! space do not count, the string type does not count, and neither does the order of the RDNs.

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use der::asn1::{AnyRef, ObjectIdentifier, PrintableStringRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};

/// Attribute types that are needed by name.
pub mod attribute {
    use der::asn1::ObjectIdentifier;

    macro_rules! attributes {
        ($($name:ident = $text:literal;)*) => {
            $(#[doc = concat!("`", $text, "`")]
            pub const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)*
        };
    }
    attributes! {
        COMMON_NAME = "2.5.4.3";
        SERIAL_NUMBER = "2.5.4.5";
        COUNTRY = "2.5.4.6";
        LOCALITY = "2.5.4.7";
        STATE = "2.5.4.8";
        STREET = "2.5.4.9";
        ORGANIZATION = "2.5.4.10";
        ORGANIZATIONAL_UNIT = "2.5.4.11";
        BUSINESS_CATEGORY = "2.5.4.15";
        ORGANIZATION_IDENTIFIER = "2.5.4.97";
        USER_ID = "0.9.2342.19200300.100.1.1";
        DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25";
    }
}

/// The attribute types that RFC 2253 prints by keyword; all others are printed as object identifiers.
const KEYWORDS: [(ObjectIdentifier, &str); 9] = [
    (attribute::COMMON_NAME, "CN"),
    (attribute::COUNTRY, "C"),
    (attribute::LOCALITY, "L"),
    (attribute::STATE, "ST"),
    (attribute::ORGANIZATION, "O"),
    (attribute::ORGANIZATIONAL_UNIT, "OU"),
    (attribute::STREET, "STREET"),
    (attribute::DOMAIN_COMPONENT, "DC"),
    (attribute::USER_ID, "UID"),
];

/// The further attribute types that Java prints by keyword where people read the name.
const MORE_KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.12", "T"),
    ("2.5.4.46", "DNQ"),
    ("2.5.4.4", "SURNAME"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATION"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("1.3.6.1.4.1.42.2.11.2.1", "IP"),
];

/// A distinguished name. Equality is the comparison described above, not that of bytes.
#[derive(Clone)]
pub struct DistinguishedName {
    der: Bytes,
    rdns: Vec<Vec<Attribute>>,
    key: Vec<u8>,
}

#[derive(Clone)]
struct Attribute {
    kind: ObjectIdentifier,
    der: Vec<u8>,
    text: Option<String>, // none: not a string type
}

/// The bytes are not a distinguished name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a distinguished name")]
pub struct NameError;

impl DistinguishedName {
    /// Reads a `Name` in DER.
    pub fn from_der(der: impl Into<Bytes>) -> Result<Self, NameError> {
        let der = der.into();
        let rdns = read(&der).map_err(|_| NameError)?;
        let key = key(&rdns);
        Ok(Self { der, rdns, key })
    }

    /// Builds a name with one attribute in each RDN, in this order. Country, serial number and domain
    /// component are written as the string types that RFC 5280 demands, all else as UTF-8.
    ///
    /// # Errors
    /// [`NameError`] when a value cannot be written as its string type or is too long.
    pub fn build<'a>(
        attributes: impl IntoIterator<Item = (ObjectIdentifier, &'a str)>,
    ) -> Result<Self, NameError> {
        let mut names = Vec::new();
        for (kind, value) in attributes {
            let tag = match kind {
                attribute::COUNTRY | attribute::SERIAL_NUMBER if PrintableStringRef::new(value).is_ok() => {
                    Tag::PrintableString
                }
                attribute::DOMAIN_COMPONENT if value.is_ascii() => Tag::Ia5String,
                _ => Tag::Utf8String,
            };
            let value = AnyRef::new(tag, value.as_bytes()).map_err(|_| NameError)?;
            let mut member = kind.to_der().map_err(|_| NameError)?;
            value.encode_to_vec(&mut member).map_err(|_| NameError)?;
            let mut set = Vec::new();
            wrap(Tag::Sequence, &member, &mut set)?;
            wrap(Tag::Set, &set, &mut names)?;
        }
        let mut der = Vec::new();
        wrap(Tag::Sequence, &names, &mut der)?;
        Self::from_der(der)
    }

    /// Reads a name as people write it, `C=FI, O=Example, CN=cs.example`: commas between, the types that
    /// [`DistinguishedName::to_java_text`] knows or object identifiers, a backslash before what would be
    /// mistaken, or quotes around the value. The last attribute of the text comes first in the name, which
    /// is RFC 2253's order and Java's.
    ///
    /// # Errors
    /// [`NameError`] when the text is none of this.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        let mut attributes = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (kind, after) = rest.split_once('=').ok_or(NameError)?;
            let (value, after) = value(after.trim_start())?;
            attributes.push((kind_of(kind.trim())?, value));
            rest = match after.trim_start().strip_prefix(',') {
                Some(after) if !after.trim().is_empty() => after.trim_start(),
                None if after.trim().is_empty() => "",
                _ => return Err(NameError),
            };
        }
        if attributes.is_empty() {
            return Err(NameError);
        }
        Self::build(attributes.iter().rev().map(|(kind, value)| (*kind, value.as_str())))
    }

    /// The `Name` in DER, as it was read.
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// The text of the first attribute of this type. None also when it is not a string.
    pub fn first(&self, kind: ObjectIdentifier) -> Option<&str> {
        self.rdns.iter().flatten().find(|attribute| attribute.kind == kind)?.text.as_deref()
    }

    /// The name as Java prints it by RFC 2253: last RDN first, commas without space, types that RFC 2253
    /// has no keyword for as `OID=#hex of the value's DER` (signatures and evidence §1.1).
    pub fn to_rfc2253(&self) -> String {
        let mut text = String::new();
        for (index, rdn) in self.rdns.iter().rev().enumerate() {
            if index > 0 {
                text.push(',');
            }
            for (index, attribute) in rdn.iter().enumerate() {
                if index > 0 {
                    text.push('+');
                }
                attribute.print(&mut text);
            }
        }
        text
    }

    /// The name as Java prints it for people, which administrators see: last RDN first, a comma and a
    /// space between, more keywords than RFC 2253 has, quotes around what would be mistaken.
    pub fn to_java_text(&self) -> String {
        let rdn = |rdn: &Vec<Attribute>| rdn.iter().map(Attribute::java_text).collect::<Vec<_>>().join(" + ");
        self.rdns.iter().rev().map(rdn).collect::<Vec<_>>().join(", ")
    }
}

impl Attribute {
    fn java_text(&self) -> String {
        let oid = self.kind.to_string();
        let known = KEYWORDS.iter().find(|(kind, _)| *kind == self.kind).map(|(_, keyword)| *keyword);
        let more = || MORE_KEYWORDS.iter().find(|(kind, _)| *kind == oid).map(|(_, keyword)| *keyword);
        let keyword = known.or_else(more).map_or_else(|| format!("OID.{oid}"), str::to_owned);
        match &self.text {
            Some(value) => format!("{keyword}={}", quoted(value)),
            None => format!("{keyword}=#{}", protocol::digest::hex(&self.der)),
        }
    }

    fn print(&self, text: &mut String) {
        let keyword = KEYWORDS.iter().find(|(kind, _)| *kind == self.kind).map(|(_, keyword)| *keyword);
        match (keyword, &self.text) {
            (Some(keyword), Some(value)) => {
                text.push_str(keyword);
                text.push('=');
                escape(value, text);
            }
            (keyword, _) => {
                match keyword {
                    Some(keyword) => text.push_str(keyword),
                    None => text.push_str(&self.kind.to_string()),
                }
                text.push_str("=#");
                text.push_str(&protocol::digest::hex(&self.der));
            }
        }
    }
}

/// Escapes what RFC 2253 demands, and `=` and `#` anywhere, which Java escapes as well.
fn escape(value: &str, text: &mut String) {
    let letters: Vec<char> = value.chars().collect();
    let blank = |letter: &&char| matches!(**letter, ' ' | '\r');
    let leading = letters.iter().take_while(blank).count();
    let trailing = letters.len() - letters.iter().rev().take_while(blank).count();
    for (index, letter) in letters.iter().enumerate() {
        match letter {
            '\0' => text.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                text.push('\\');
                text.push(*letter);
            }
            _ => {
                if index < leading || index >= trailing {
                    text.push('\\');
                }
                text.push(*letter);
            }
        }
    }
}

/// The attribute type of a keyword, or of an object identifier.
fn kind_of(keyword: &str) -> Result<ObjectIdentifier, NameError> {
    let known = KEYWORDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(keyword));
    if let Some((kind, _)) = known {
        return Ok(*kind);
    }
    let more = MORE_KEYWORDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(keyword));
    let oid = more.map_or_else(|| keyword.strip_prefix("OID.").unwrap_or(keyword), |(oid, _)| oid);
    ObjectIdentifier::new(oid).map_err(|_| NameError)
}

/// The value at the beginning of `text`, and what comes after it.
fn value(text: &str) -> Result<(String, &str), NameError> {
    let quoted = text.starts_with('"');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    let end = loop {
        match letters.next() {
            Some((_, '\\')) => value.push(letters.next().ok_or(NameError)?.1),
            Some((at, '"')) if quoted => break at + 1,
            Some((at, ',')) if !quoted => break at,
            // More than one attribute in an RDN is not written here.
            Some((_, '+' | '"' | ';' | '<' | '>')) if !quoted => return Err(NameError),
            Some((_, letter)) => value.push(letter),
            None if quoted => return Err(NameError),
            None => break text.len(),
        }
    };
    let value = if quoted { value } else { value.trim_end().to_owned() };
    if value.is_empty() { Err(NameError) } else { Ok((value, text.get(end..).unwrap_or_default())) }
}

/// A value as it stands, or in quotes if something in it would end it or be mistaken for syntax.
fn quoted(value: &str) -> String {
    let special = |letter: char| ",+=\n<>#;\\\"".contains(letter);
    let at_ends = |letter: char| matches!(letter, ' ' | '\n');
    if !value.contains(special) && !value.starts_with(at_ends) && !value.ends_with(at_ends) {
        return value.to_owned();
    }
    let mut text = String::from('"');
    for letter in value.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
    text
}

fn wrap(tag: Tag, content: &[u8], to: &mut Vec<u8>) -> Result<(), NameError> {
    AnyRef::new(tag, content).and_then(|wrapped| wrapped.encode_to_vec(to)).map(drop).map_err(|_| NameError)
}

fn read(der: &[u8]) -> der::Result<Vec<Vec<Attribute>>> {
    let mut reader = SliceReader::new(der)?;
    let rdns = reader.sequence(|names| {
        let mut rdns = Vec::new();
        while !names.is_finished() {
            let set = AnyRef::decode(names)?;
            set.tag().assert_eq(Tag::Set)?;
            let mut members = SliceReader::new(set.value())?;
            let mut rdn = Vec::new();
            while !members.is_finished() {
                rdn.push(members.sequence(|member| {
                    let kind = ObjectIdentifier::decode(member)?;
                    let value = AnyRef::decode(member)?;
                    Ok(Attribute { kind, der: value.to_der()?, text: text(value) })
                })?);
            }
            rdns.push(rdn);
        }
        Ok(rdns)
    })?;
    reader.finish(rdns)
}

fn text(value: AnyRef<'_>) -> Option<String> {
    let octets = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            String::from_utf8(octets.to_vec()).ok()
        }
        // Everybody reads T61 as Latin-1.
        Tag::TeletexString => Some(octets.iter().map(|octet| char::from(*octet)).collect()),
        Tag::BmpString if octets.len() % 2 == 0 => {
            let (units, _) = octets.as_chunks::<2>();
            char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit)))
                .collect::<Result<_, _>>()
                .ok()
        }
        _ => None,
    }
}

/// What two equal names have in common: every attribute with its folded value, RDNs and the attributes
/// within one sorted. Lengths stand before the parts, so parts cannot run into each other.
fn key(rdns: &[Vec<Attribute>]) -> Vec<u8> {
    let sorted = |mut parts: Vec<Vec<u8>>| {
        parts.sort_unstable();
        let mut joined = Vec::new();
        for part in parts {
            joined.extend((part.len() as u64).to_be_bytes());
            joined.extend(part);
        }
        joined
    };
    sorted(
        rdns.iter()
            .map(|rdn| {
                sorted(
                    rdn.iter()
                        .map(|attribute| [attribute.kind.as_bytes(), &attribute.folded()].join(&0))
                        .collect(),
                )
            })
            .collect(),
    )
}

impl Attribute {
    fn folded(&self) -> Vec<u8> {
        let Some(text) = &self.text else { return [&[0xff], self.der.as_slice()].concat() };
        let mut folded = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.extend(word.chars().flat_map(char::to_lowercase));
        }
        folded.into_bytes()
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for DistinguishedName {}

impl Hash for DistinguishedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc2253())
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One RDN for each group, one attribute for each pair; the third field is the string tag.
    fn name(rdns: &[&[(ObjectIdentifier, u8, &[u8])]]) -> DistinguishedName {
        let wrap = |tag: u8, content: Vec<u8>| [vec![tag, content.len() as u8], content].concat();
        let content = rdns.iter().flat_map(|rdn| {
            let members = rdn.iter().flat_map(|(kind, tag, value)| {
                let kind = kind.to_der().expect("encodes");
                wrap(0x30, [kind, wrap(*tag, value.to_vec())].concat())
            });
            wrap(0x31, members.collect())
        });
        DistinguishedName::from_der(wrap(0x30, content.collect())).expect("a name")
    }

    #[track_caller]
    fn prints(rdns: &[&[(ObjectIdentifier, u8, &[u8])]], expected: &str) {
        assert_eq!(name(rdns).to_rfc2253(), expected);
    }

    use attribute::{COMMON_NAME as CN, ORGANIZATION as O, SERIAL_NUMBER as SERIAL};

    #[test]
    fn names_print_as_java_prints_them() {
        prints(&[&[(O, 12, b"Test")], &[(CN, 12, b"Test CA")]], "CN=Test CA,O=Test");
        prints(&[&[(SERIAL, 19, b"A/1")], &[(CN, 19, b"x")]], "CN=x,2.5.4.5=#1303412f31");
        prints(&[&[(O, 12, b"a"), (CN, 12, b"b")]], "O=a+CN=b");
        prints(&[&[(CN, 12, b" #1, \"a\"=b+c\\ ")]], r#"CN=\ \#1\, \"a\"\=b\+c\\\ "#);
        prints(&[&[(CN, 4, &[1, 255])]], "CN=#040201ff");
        prints(&[&[(CN, 30, &[0, 0xe4, 0x01, 0x60])]], "CN=äŠ");
        prints(&[&[(CN, 20, &[0xe4])]], "CN=ä");
        prints(&[], "");
    }

    #[test]
    fn names_print_for_people() {
        let text = |rdns: &[&[(ObjectIdentifier, u8, &[u8])]]| name(rdns).to_java_text();
        assert_eq!(text(&[&[(O, 12, b"Test")], &[(CN, 12, b"Test CA")]]), "CN=Test CA, O=Test");
        assert_eq!(text(&[&[(SERIAL, 19, b"A/1")]]), "SERIALNUMBER=A/1");
        assert_eq!(text(&[&[(O, 12, b"a, \"b\""), (CN, 12, b"b")]]), r#"O="a, \"b\"" + CN=b"#);
        let organization = attribute::ORGANIZATION_IDENTIFIER;
        assert_eq!(text(&[&[(organization, 12, b"x")]]), "OID.2.5.4.97=x");
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        let same = |text: &str, shown: &str| {
            assert_eq!(
                DistinguishedName::from_text(text).map(|name| name.to_java_text()).as_deref(),
                Ok(shown)
            );
        };
        same("C=FI, O=X-Road Test, CN=cs", "C=FI, O=X-Road Test, CN=cs");
        same("cn=a\\, b,serialnumber=A/1", "CN=\"a, b\", SERIALNUMBER=A/1");
        same("O=\"a, \\\"b\\\"\" , 2.5.4.97=x", r#"O="a, \"b\"", OID.2.5.4.97=x"#);
        for bad in ["", "x", "CN=", "CN=a,", "CN=a,,O=b", "CN=a+O=b", "FOO=a", "CN=\"a", "CN=a\\", "=a"] {
            assert_eq!(DistinguishedName::from_text(bad), Err(NameError), "{bad}");
        }
    }

    #[test]
    fn equality_folds_case_space_order_and_string_type() {
        let ca = name(&[&[(O, 12, b"Test")], &[(CN, 12, b"Test CA")]]);
        assert_eq!(ca, name(&[&[(CN, 19, b" test  ca ")], &[(O, 19, b"TEST")]]));
        assert_ne!(ca, name(&[&[(CN, 12, b"TestCA")], &[(O, 12, b"Test")]]));
        assert_ne!(ca, name(&[&[(O, 12, b"Test"), (CN, 12, b"Test CA")]]));
        assert_ne!(ca, name(&[&[(O, 12, b"Test")]]));
        assert_eq!(ca.first(CN), Some("Test CA"));
        assert_eq!(ca.first(SERIAL), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for der in [&[][..], &[0x30], &[0x30, 2, 0x31, 5], &[0x30, 0, 0], &[0x30, 2, 0x30, 0], &[0x31, 0]] {
            assert_eq!(DistinguishedName::from_der(der.to_vec()).map(drop), Err(NameError), "{der:?}");
        }
    }
}
