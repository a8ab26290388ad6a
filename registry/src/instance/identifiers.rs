//! Which characters the parts of an identifier may have (registry and administration §1.3).

use std::fmt;

use super::Refusal;

/// Longest part of an identifier, and of most texts that people give.
pub const LONGEST: usize = 255;

/// Something that a person gave and that is not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Which of the things that were given.
    pub field: Field,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// What was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Field {
    InstanceIdentifier,
    MemberClass,
    MemberCode,
    MemberName,
    SubsystemCode,
    SubsystemName,
    ServerCode,
    GroupCode,
    Description,
    Address,
    Message,
    KeyLabel,
    Seconds,
    RegistrationUrl,
}

/// Rules of what people give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// It is empty or only white space.
    Blank,
    /// It is longer than [`LONGEST`].
    TooLong,
    /// It has a character that no identifier may have.
    Characters,
    /// It has a character beyond those of strict identifiers.
    StrictCharacters,
    /// The number is out of its bounds.
    Range,
    /// It is not what it should be.
    Form,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule {
            Rule::Blank => "is empty",
            Rule::TooLong => "is longer than 255 characters",
            Rule::Characters => "has a character that identifiers must not have",
            Rule::StrictCharacters => "has a character beyond A-Z a-z 0-9 ' ( ) + , - . = ?",
            Rule::Range => "is out of bounds",
            Rule::Form => "is not well formed",
        };
        write!(f, "{:?} {rule}", self.field)
    }
}

/// A part of an identifier.
pub(crate) fn part(field: Field, text: &str, strict: bool) -> Result<(), Refusal> {
    let told = |rule| Err(Refusal::Validation(vec![Fault { field, rule }]));
    if text.trim().is_empty() {
        return told(Rule::Blank);
    }
    if text.chars().count() > LONGEST {
        return told(Rule::TooLong);
    }
    // Dots alone are steps of a path, wherever an identifier becomes part of one.
    if !text.chars().all(is_allowed) || text == "." || text == ".." {
        return told(Rule::Characters);
    }
    if strict && !text.chars().all(is_strict) {
        return told(Rule::StrictCharacters);
    }
    Ok(())
}

/// A text for people.
pub(crate) fn text(field: Field, text: &str) -> Result<(), Refusal> {
    let rule = match text.chars().count() {
        _ if text.trim().is_empty() => Rule::Blank,
        length if length > LONGEST => Rule::TooLong,
        _ => return Ok(()),
    };
    Err(Refusal::Validation(vec![Fault { field, rule }]))
}

fn is_allowed(c: char) -> bool {
    !(c.is_control() || matches!(c, ':' | ';' | '/' | '\\' | '%' | '\u{feff}' | '\u{200b}'))
}

fn is_strict(c: char) -> bool {
    c.is_ascii_alphanumeric() || "'()+,-.=?".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, relaxed: Option<Rule>, strict: Option<Rule>) {
        for (is_strict, expected) in [(false, relaxed), (true, strict)] {
            let found = match part(Field::MemberCode, text, is_strict) {
                Ok(()) => None,
                Err(Refusal::Validation(faults)) => Some(faults[0].rule),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{text:?}, strict {is_strict}");
        }
    }

    #[test]
    fn parts() {
        for good in ["GOV", "10.01-a", "a'(b)+,-.=?"] {
            check(good, None, None);
        }
        for relaxed in ["a b", "a_b", "é", "a@b", "a#b"] {
            check(relaxed, None, Some(Rule::StrictCharacters));
        }
        for bad in ["a/b", "a:b", "a;b", "a\\b", "a%2f", "a\u{200b}", "\u{feff}a", "a\nb", ".", ".."] {
            check(bad, Some(Rule::Characters), Some(Rule::Characters));
        }
        check("", Some(Rule::Blank), Some(Rule::Blank));
        check(" ", Some(Rule::Blank), Some(Rule::Blank));
        check(&"x".repeat(256), Some(Rule::TooLong), Some(Rule::TooLong));
        check(&"é".repeat(255), None, Some(Rule::StrictCharacters));
    }
}
