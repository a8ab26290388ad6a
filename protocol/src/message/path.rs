//! Service paths and the patterns of access rights (messages and transport §5.6).

use crate::fault::{Fault, code};

/// The form of a raw service path that access rights are matched against: percent-decoded once, empty
/// segments collapsed.
///
/// # Errors
/// `access_denied` for whatever two readers could understand differently: dot segments in any
/// encoding, an encoded slash or backslash, control characters, bytes that are not UTF-8.
pub fn normalised_service_path(raw: &str) -> Result<String, Fault> {
    let refused = |why: &str| Err(Fault::new(code::ACCESS_DENIED, format!("request path refused: {why}")));
    let mut path = String::with_capacity(raw.len());
    for (index, segment) in raw.split('/').enumerate() {
        let decoded = match percent_encoding::percent_decode_str(segment).decode_utf8() {
            Ok(decoded) => decoded,
            Err(_) => return refused("it is not UTF-8"),
        };
        if decoded.chars().any(|character| character.is_control() || matches!(character, '/' | '\\')) {
            return refused("it hides a separator or a control character");
        }
        let twice = percent_encoding::percent_decode_str(&decoded).decode_utf8_lossy();
        if decoded == "."
            || twice == "."
            || decoded.contains("..")
            || twice.contains("..")
            || twice.contains('/')
        {
            return refused("it has dot segments");
        }
        if index > 0 && !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(&decoded);
    }
    Ok(path)
}

/// A pattern of an endpoint's path.
///
/// Two or more stars match anything; one star matches within a segment, takes all it can and gives
/// nothing back; `\*` and `\\` are literal; every other character matches itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathGlob(Vec<Token>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Literal(String),
    Segment,
    Anything,
}

impl PathGlob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let mut tokens = Vec::new();
        let mut literal = String::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' if matches!(rest.peek(), Some('*' | '\\')) => literal.extend(rest.next()),
                '*' => {
                    if !literal.is_empty() {
                        tokens.push(Token::Literal(std::mem::take(&mut literal)));
                    }
                    let mut stars = 1;
                    while rest.next_if_eq(&'*').is_some() {
                        stars += 1;
                    }
                    tokens.push(if stars > 1 { Token::Anything } else { Token::Segment });
                }
                character => literal.push(character),
            }
        }
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal));
        }
        Self(tokens)
    }

    /// Whether the whole path matches. Time is bounded by pattern length times path length: after
    /// `**`, only the last one is ever tried again.
    pub fn matches(&self, path: &str) -> bool {
        let (mut at, mut token) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match self.0.get(token) {
                None if at == path.len() => return true,
                None => None,
                Some(Token::Literal(text)) => path[at..].starts_with(text.as_str()).then(|| at + text.len()),
                Some(Token::Segment) => Some(path[at..].find('/').map_or(path.len(), |end| at + end)),
                Some(Token::Anything) => {
                    retry = Some((token + 1, at));
                    Some(at)
                }
            };
            match (step, &mut retry) {
                (Some(next), _) => (at, token) = (next, token + 1),
                (None, Some((after, from))) => {
                    let Some(character) = path[*from..].chars().next() else { return false };
                    *from += character.len_utf8();
                    (at, token) = (*from, *after);
                }
                (None, None) => return false,
            }
        }
    }
}
