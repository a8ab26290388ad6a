//! The answer of port 5577: one part for each response (messages and transport §4.3).

use bytes::{Bytes, BytesMut};

use super::RESPONSE_TYPE;

/// Most parts of an answer, and most certificates of a question.
pub const MANY: usize = 16;

/// The content type of an answer.
pub fn content_type(boundary: &str) -> String {
    format!("multipart/related; type=\"{RESPONSE_TYPE}\"; charset=UTF-8; boundary={boundary}")
}

/// The body of an answer.
pub fn write(boundary: &str, responses: &[Bytes]) -> Bytes {
    let mut body = BytesMut::new();
    for (index, response) in responses.iter().enumerate() {
        let start = if index == 0 { "--" } else { "\r\n--" };
        body.extend_from_slice(
            format!("{start}{boundary}\r\nContent-Type: {RESPONSE_TYPE}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(response);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body.freeze()
}

/// The parts of an answer that are OCSP responses. `None` when it is no well formed multipart body
/// with an end, or has more than [`MANY`] parts.
pub fn read(content_type: &str, body: &Bytes) -> Option<Vec<Bytes>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    let finder = memchr::memmem::Finder::new(delimiter.as_bytes());
    // The first delimiter may stand at the very start, without the line end before it.
    let mut at = if body.starts_with(delimiter.as_bytes().get(2..)?) {
        delimiter.len() - 2
    } else {
        finder.find(body)? + delimiter.len()
    };
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        // Blanks may stand between the boundary and its line end.
        let line = memchr::memmem::find(rest, b"\r\n")?;
        if !rest.get(..line)?.iter().all(|octet| matches!(octet, b' ' | b'\t')) {
            return None;
        }
        let start = at + line;
        let end = start + finder.find(body.get(start..)?)?;
        let part = body.get(start..end)?;
        let head = memchr::memmem::find(part, b"\r\n\r\n")?;
        if is_response(part.get(..head)?) {
            if parts.len() == MANY {
                return None;
            }
            parts.push(body.slice(start + head + 4..end));
        }
        at = end + delimiter.len();
    }
}

/// Whether the headers of a part say that it is an OCSP response.
fn is_response(head: &[u8]) -> bool {
    String::from_utf8_lossy(head).split("\r\n").any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("content-type")
                && value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(RESPONSE_TYPE)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_lead_back() {
        for responses in
            [vec![], vec![Bytes::from_static(b"one")], vec![Bytes::from_static(b"\r\n--x"), Bytes::new()]]
        {
            let body = write("limit", &responses);
            // Without parts there is nothing but the end, whose line end is then part of the delimiter.
            assert_eq!(read(&content_type("limit"), &body), Some(responses));
        }
    }

    #[test]
    fn refused() {
        #[track_caller]
        fn check(content_type: &str, body: &str) {
            assert_eq!(read(content_type, &Bytes::copy_from_slice(body.as_bytes())), None, "{body}");
        }
        let kind = "multipart/related; boundary=b";
        check("multipart/mixed; boundary=b", "--b--");
        check("multipart/related", "--b--");
        check("multipart/related; boundary=", "--b--");
        check(kind, "");
        check(kind, "--b\r\nContent-Type: application/ocsp-response\r\n\r\nabc");
        check(kind, "--bx\r\nContent-Type: application/ocsp-response\r\n\r\nabc\r\n--b--");
        check(kind, "--b\r\nno head\r\n--b--");
    }

    #[test]
    fn other_parts_are_left_out() {
        let body = Bytes::from_static(
            b"preamble\r\n--b \r\nA: b\r\n\r\nx\r\n--b\r\ncontent-type: application/ocsp-response; a=b\r\n\r\ny\r\n--b--\r\n",
        );
        assert_eq!(read("Multipart/Related;boundary=\"b\"", &body), Some(vec![Bytes::from_static(b"y")]));
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_not_panic(kind in ".{0,40}", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(body);
            let _ = read(&kind, &body);
            let _ = read("multipart/related; boundary=-", &body);
        }
    }
}
