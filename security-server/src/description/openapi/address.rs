//! Relative URLs of servers.

use crate::description::wsdl::is_http;

/// A reference resolved against the URL of its document, as RFC 3986 §5.2 says; none unless the result is
/// an `http` or `https` URL without query and fragment. A slash at the end is dropped, since the path
/// of a call follows.
pub(super) fn resolve(document: &str, reference: &str) -> Option<String> {
    let reference = reference.trim();
    let (scheme, rest) = document.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let url = if has_scheme(reference) {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{host}{}", without_dots(reference))
    } else if reference.is_empty() {
        format!("{scheme}://{host}{path}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{}", without_dots(&format!("{folder}/{reference}")))
    };
    let url = url.trim_end_matches('/');
    (is_http(url) && !url.contains(['?', '#'])).then(|| url.to_owned())
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// An absolute path without the segments `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, reference: &str, expected: Option<&str>) {
        assert_eq!(resolve(document, reference).as_deref(), expected, "{reference} in {document}");
    }

    #[test]
    fn references() {
        let document = "https://api.example.org:8443/docs/v2/api.yaml?x=/y";
        check(document, "https://example.org/api", Some("https://example.org/api"));
        check(document, "http://example.org/", Some("http://example.org"));
        check(document, "//other.example.org/api/", Some("https://other.example.org/api"));
        check(document, "/", Some("https://api.example.org:8443"));
        check(document, "/v1/../v2", Some("https://api.example.org:8443/v2"));
        check(document, "service", Some("https://api.example.org:8443/docs/v2/service"));
        check(document, "./../service", Some("https://api.example.org:8443/docs/service"));
        check(document, "../../../../service", Some("https://api.example.org:8443/service"));
        check("http://h", "api", Some("http://h/api"));
        for bad in
            ["ftp://h/x", "http://", "file:///etc/passwd", "/a?b", "https://h/#x", "javascript:alert(1)"]
        {
            check(document, bad, None);
        }
        check("nonsense", "/", None);
    }
}
