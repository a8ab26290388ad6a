//! Where an answer differs from the recorded one.

use http::{HeaderMap, header};
use serde_json::Value;

use super::{Answer, Entry};

/// A value that must differ from the recording, and why.
#[derive(Clone, Copy, Debug)]
pub struct Differing {
    /// Method of the call.
    pub method: &'static str,
    /// Path of the call; `*` stands for one segment.
    pub path: &'static str,
    /// The value in the answer: keys joined by dots, `*` for any element of an array.
    pub value: &'static str,
    /// Why it cannot be the same.
    pub why: &'static str,
}

/// Headers that say how the bytes travel or when, not what the answer is.
const OF_TRANSPORT: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "last-modified",
    "accept-ranges",
    "content-language",
    "transfer-encoding",
    // Compression and cross-origin checks that we do not do.
    "vary",
    // Compared by name and attributes below.
    "set-cookie",
];

/// All differences between an answer and the recorded one, one line each; empty when they are equal
/// but for the values named in `differing`.
pub fn compare(entry: &Entry, answer: &Answer, differing: &[Differing]) -> Vec<String> {
    let mut found = Vec::new();
    if entry.status != answer.status {
        found.push(format!("status {} in place of {}", answer.status, entry.status));
    }
    headers(&entry.headers, &answer.headers, &mut found);
    let named: Vec<&Differing> =
        differing.iter().filter(|differing| entry.is(differing.method, differing.path)).collect();
    bodies(entry, answer, &named, &mut found);
    found
}

fn bodies(entry: &Entry, answer: &Answer, named: &[&Differing], found: &mut Vec<String>) {
    let Some(recorded) = &entry.body else { return };
    let text = String::from_utf8_lossy(&answer.body);
    match (serde_json::from_str::<Value>(recorded), serde_json::from_str::<Value>(&text)) {
        (Ok(recorded), Ok(answered)) => values("", &recorded, &answered, named, found),
        // A body that is no JSON is compared as a whole, unless it is named as a whole.
        _ if named.iter().any(|differing| differing.value.is_empty()) => {}
        _ if *recorded == text => {}
        _ => found.push(format!("body {text:?} in place of {recorded:?}")),
    }
}

fn values(at: &str, recorded: &Value, answered: &Value, named: &[&Differing], found: &mut Vec<String>) {
    if named.iter().any(|differing| matches(differing.value, at)) {
        // It must be there, and be of the same kind.
        if std::mem::discriminant(recorded) != std::mem::discriminant(answered) {
            found.push(format!("{at}: {answered} in place of {recorded}"));
        }
        return;
    }
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (recorded, answered) {
        (Value::Object(recorded), Value::Object(answered)) => {
            for (key, value) in recorded {
                match answered.get(key) {
                    Some(answered) => values(&below(key), value, answered, named, found),
                    None => found.push(format!("{} is missing", below(key))),
                }
            }
            let more = answered.keys().filter(|key| !recorded.contains_key(*key));
            found.extend(more.map(|key| format!("{} is more than recorded", below(key))));
        }
        (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
            for (index, (recorded, answered)) in recorded.iter().zip(answered).enumerate() {
                values(&below(&index.to_string()), recorded, answered, named, found);
            }
        }
        _ if recorded == answered => {}
        _ => found.push(format!("{at}: {answered} in place of {recorded}")),
    }
}

/// Whether a named value is the one at `at`.
fn matches(named: &str, at: &str) -> bool {
    let (named, at): (Vec<_>, Vec<_>) = (named.split('.').collect(), at.split('.').collect());
    let same = |(named, at): (&&str, &&str)| named == at || (*named == "*" && at.parse::<usize>().is_ok());
    !at.is_empty() && named.len() == at.len() && named.iter().zip(&at).all(same)
}

fn headers(recorded: &HeaderMap, answered: &HeaderMap, found: &mut Vec<String>) {
    for name in recorded.keys().filter(|name| !OF_TRANSPORT.contains(&name.as_str())) {
        match (recorded.get(name), answered.get(name)) {
            (_, None) => found.push(format!("header {name} is missing")),
            (Some(recorded), Some(answered)) => {
                let (recorded, answered) = (text(name.as_str(), recorded), text(name.as_str(), answered));
                if recorded != answered {
                    found.push(format!("header {name}: {answered:?} in place of {recorded:?}"));
                }
            }
            (None, Some(_)) => {}
        }
    }
    let (recorded, answered) = (cookies(recorded), cookies(answered));
    if recorded != answered {
        found.push(format!("cookies {answered:?} in place of {recorded:?}"));
    }
}

/// A header's value without what is different in every answer.
fn text(name: &str, value: &header::HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    match name {
        // Thirty-two hexadecimal digits.
        "x-road-ui-correlation-id" => {
            let good = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if good { "an id".to_owned() } else { text.into_owned() }
        }
        // The time in the name of a file.
        "content-disposition" => text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect(),
        // White space and letter case mean nothing in media types.
        "content-type" => text.to_lowercase().replace(' ', ""),
        // The nonce of a page.
        "content-security-policy" => {
            let without =
                |word: &str| if word.starts_with("'nonce-") { "'nonce'".to_owned() } else { word.to_owned() };
            text.split(' ').map(|word| without(word.trim_end_matches(';'))).collect::<Vec<_>>().join(" ")
        }
        _ => text.into_owned(),
    }
}

/// Name and attributes of each cookie, sorted.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let described = |value: &header::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default().to_owned();
        let mut attributes: Vec<&str> = parts.collect();
        attributes.sort_unstable();
        format!("{name}; {}", attributes.join("; "))
    };
    let mut all: Vec<String> = headers.get_all(header::SET_COOKIE).iter().map(described).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const DIFFERING: [Differing; 1] = [Differing {
        method: "GET",
        path: "/api/v1/management-requests",
        value: "items.*.created_at",
        why: "a time",
    }];

    #[test]
    fn differences_are_found_unless_they_are_named() {
        let scenario = Scenario::setup();
        let path = "/api/v1/management-requests";
        let entry = scenario.entries().find(|entry| entry.is("GET", path)).expect("an entry");
        let body = entry.body.clone().expect("a body");
        let answer = |body: String| Answer {
            status: entry.status,
            headers: entry.headers.clone(),
            body: body.into_bytes().into(),
        };
        assert_eq!(compare(entry, &answer(body.clone()), &[]), Vec::<String>::new());
        let later = answer(body.replace("2026-11-24T02:50:56.808956Z", "2027-01-01T00:00:00Z"));
        assert_eq!(compare(entry, &later, &[]).len(), 1);
        assert!(compare(entry, &later, &DIFFERING).is_empty());
        let number = answer(body.replace("\"2026-11-24T02:50:56.808956Z\"", "17"));
        assert_eq!(compare(entry, &number, &DIFFERING).len(), 1);
        let other = answer(body.replace("\"limit\":25", "\"limit\":26"));
        assert_eq!(compare(entry, &other, &DIFFERING), ["paging_metadata.limit: 26 in place of 25"]);
        let mut less = answer(body.replace("\"address\":\"ss0\",", ""));
        less.status = 201;
        less.headers.remove("x-frame-options");
        assert_eq!(
            compare(entry, &less, &DIFFERING),
            ["status 201 in place of 200", "header x-frame-options is missing", "items.0.address is missing"]
        );
    }
}
