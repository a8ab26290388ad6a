//! The recording itself.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::Deserialize;

/// A recording, its entries in order.
#[derive(Debug)]
pub struct Scenario(Vec<Entry>);

/// One call and its answer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the recording, from 1: the line of the file.
    pub line: usize,
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: Uri,
    /// Headers of the request.
    pub request_headers: HeaderMap,
    /// Body of the request; none when the recording cut it off.
    pub request_body: Option<String>,
    /// The recorded status.
    pub status: u16,
    /// Headers of the recorded answer.
    pub headers: HeaderMap,
    /// Body of the recorded answer; none when the recording cut it off.
    pub body: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    method: String,
    url: String,
    request_headers: Vec<String>,
    request_body: Option<String>,
    status: String,
    response_headers: Vec<String>,
    response_body: Option<String>,
}

/// A file that belongs to the recording.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/scenario").join(name)
}

impl Scenario {
    /// Reads the recorded set-up.
    ///
    /// # Panics
    /// When the file is not there or not what it should be.
    pub fn setup() -> Self {
        let text = std::fs::read_to_string(file("setup.jsonl")).expect("the recording");
        let entry = |(index, line): (usize, &str)| {
            let line: Line =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("line {index}: {error}"));
            Entry::read(index + 1, line)
        };
        Self(text.lines().enumerate().map(entry).collect())
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

impl Entry {
    fn read(line: usize, recorded: Line) -> Self {
        // The status stands in the recording with the protocol: `HTTP/1.1 200`.
        let status = recorded.status.split(' ').find_map(|word| word.parse().ok()).expect("a status");
        // Bodies of bytes are shown in hexadecimal and cut.
        let whole = |body: Option<String>| {
            let body = body.unwrap_or_default();
            (!body.starts_with("Bytes <")).then_some(body)
        };
        Self {
            line,
            method: recorded.method.parse().expect("a method"),
            url: recorded.url.split(' ').next().expect("a URL").parse().expect("a URL"),
            request_headers: headers(&recorded.request_headers),
            request_body: whole(recorded.request_body),
            status,
            headers: headers(&recorded.response_headers),
            body: whole(recorded.response_body),
        }
    }

    /// The recorded host.
    pub fn host(&self) -> &str {
        self.url.host().expect("an absolute URL")
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.url.path_and_query().map_or("/", |target| target.as_str())
    }

    /// Whether it is a call of this method and path; `*` in `path` stands for one segment.
    pub fn is(&self, method: &str, path: &str) -> bool {
        let (own, wanted): (Vec<_>, Vec<_>) =
            (self.url.path().split('/').collect(), path.split('/').collect());
        let same = |(own, wanted): (&&str, &&str)| *wanted == "*" || own == wanted;
        self.method == method && own.len() == wanted.len() && own.iter().zip(&wanted).all(same)
    }
}

fn headers(lines: &[String]) -> HeaderMap {
    let mut all = HeaderMap::new();
    // One request line stands among the headers of the recording.
    for (name, value) in lines.iter().filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.trim().parse().expect("a header name");
        all.append(name, value.trim().parse::<HeaderValue>().expect("a header value"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_whole() {
        let scenario = Scenario::setup();
        let count = |host: &str| scenario.entries().filter(|entry| entry.host() == host).count();
        assert_eq!(scenario.entries().count(), 107);
        assert!(count("cs") > 30 && count("ss0") > 20 && count("ss1") > 20);
        let login = scenario.entries().find(|entry| entry.is("POST", "/login")).expect("a login");
        assert_eq!((login.status, login.host()), (200, "cs"));
        assert!(login.request_body.is_none() && login.headers.get_all("set-cookie").iter().count() == 2);
        let approval = "/api/v1/management-requests/*/approval";
        assert_eq!(scenario.entries().filter(|entry| entry.is("POST", approval)).count(), 6);
    }
}
