//! The choice between XML and JSON by `Accept` headers (§6.1).

/// An `Accept` header that is no list of media ranges.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the Accept header is not a list of media ranges")]
pub struct UnreadableAccept;

/// Whether any media range of any header is `application/json`; parameters and qualities do not count.
///
/// # Errors
/// When a header cannot be read, even after a range that would have decided.
pub fn accepts_json<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Result<bool, UnreadableAccept> {
    let mut json = false;
    for header in headers {
        let header = std::str::from_utf8(header).map_err(|_| UnreadableAccept)?;
        // A list may have empty members.
        for range in split(header, ',').into_iter().map(str::trim).filter(|range| !range.is_empty()) {
            let mut pieces = split(range, ';').into_iter().map(str::trim);
            let (kind, subtype) =
                pieces.next().and_then(|range| range.split_once('/')).ok_or(UnreadableAccept)?;
            if !is_token(kind) || !is_token(subtype) || (kind == "*" && subtype != "*") {
                return Err(UnreadableAccept);
            }
            for parameter in pieces.filter(|parameter| !parameter.is_empty()) {
                let (name, value) = parameter.split_once('=').unwrap_or((parameter, "x"));
                if !is_token(name.trim()) || !(is_token(value.trim()) || is_quoted(value.trim())) {
                    return Err(UnreadableAccept);
                }
            }
            json |= kind.eq_ignore_ascii_case("application") && subtype.eq_ignore_ascii_case("json");
        }
    }
    Ok(json)
}

/// Splits where the separator stands outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            character => return !quoted && character == separator,
        }
        false
    })
    .collect()
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expected: Result<bool, UnreadableAccept>) {
        let headers = headers.iter().map(|header| header.as_bytes());
        assert_eq!(accepts_json(headers.clone()), expected, "{:?}", headers.collect::<Vec<_>>());
    }

    #[test]
    fn any_range_may_ask_for_json() {
        check(&[], Ok(false));
        check(&[""], Ok(false));
        check(&["*/*"], Ok(false));
        check(&["application/*"], Ok(false));
        check(&["text/xml, */*;q=0.1"], Ok(false));
        check(&["application/json"], Ok(true));
        check(&["Application/JSON ; charset=utf-8;q=0"], Ok(true));
        check(&["text/xml", "text/html,,application/json"], Ok(true));
        check(&["text/html;level=\"1,2;x\", application/json"], Ok(true));
        check(&["application/json+ld"], Ok(false));
    }

    #[test]
    fn what_is_no_list_of_ranges_is_refused() {
        for header in
            ["json", "application/json, x", "a/b/c", "/json", "a b/c", "*/json", "a/b;=1", "a/b;q=\""]
        {
            check(&[header], Err(UnreadableAccept));
        }
        assert_eq!(accepts_json([&b"application/json\xff"[..]].into_iter()), Err(UnreadableAccept));
    }
}
