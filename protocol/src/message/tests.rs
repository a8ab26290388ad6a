use bytes::Bytes;

use super::error_body;
use super::path::{PathGlob, normalised_service_path};
use super::*;
use crate::fault::Fault;

const REQUEST: &str =
    "GET\r\n/r1/I/C/M/S/svc/a%20b?\r\nx-road-client:I/C/M/S\r\nx-road-id:1\r\nx-road-request-id:r\r\n";

#[track_caller]
fn check(blob: &str, good: bool) {
    let parsed = RestRequest::parse(Bytes::from(blob.to_owned()));
    assert_eq!(parsed.is_ok(), good, "{blob:?}: {parsed:?}");
}

#[test]
fn request_blobs() {
    check(REQUEST, true);
    check("GET\r\n/r1/I/C/M/S/svc\r\n", false);
    check("GET\n/r1/I/C/M/S/svc\nx-road-client:I/C/M/S\n", false);
    check("GET\r\n/r1/I/C/M/S/svc\r\nx-road-client:I/C/M/S", false);
    check("GET\r\n/r1/I/C/M/S/svc\r\nx-road-client:I/C/M/S\r\n\r\n", false);
    check("GET\r\n/r1/I/C/M/S/svc#f\r\nx-road-client:I/C/M/S\r\n", false);
    check("GET\r\n/r1/I/C/M/S/svc/%2e%2e/x\r\nx-road-client:I/C/M/S\r\n", false);
    check("GET\r\n/r1/I/C/M/S/svc/..;x/x\r\nx-road-client:I/C/M/S\r\n", false);
    check("GET\r\n/r1/I/C/M/S/svc//x\r\nx-road-client:I/C/M/S\r\n", false);
    check("GET\r\n//r1/I/C/M/S/svc\r\nx-road-client:I/C/M/S\r\n", false);
    check("get\r\n/r1/I/C/M/S/svc\r\nx-road-client:I/C/M/S\r\n", false);
    check("GET\r\n/r1/I/C/M/S/svc\r\nx-road-client:I/C/M/S\r\nHost:x\r\n", false);
}

#[test]
fn request_from_client() {
    let headers =
        [("Host", &b"h"[..]), ("X-Road-Client", b"I/C/M/S"), ("X-Road-Request-Hash", b"x"), ("A", b"\xe9")];
    let build = |extra: &[(&'static str, &'static [u8])]| {
        let headers = headers.iter().chain(extra).copied();
        RestRequest::from_client("POST", "/r1/I/C/M/S/svc/", headers, "uuid", || "I-1".into())
    };
    let request = build(&[]).expect("a request");
    assert_eq!(
        request.blob(),
        "POST\r\n/r1/I/C/M/S/svc/\r\nX-Road-Client:I/C/M/S\r\nA:é\r\nx-road-request-id:uuid\r\nx-road-id:I-1\r\n"
    );
    assert_eq!((request.service_path(), request.query(), request.id()), ("/", None, "I-1"));
    assert_eq!(
        build(&[("x-road-client", b"I/C/M/T")]).err(),
        Some(RestError::DuplicateHeader("x-road-client"))
    );
    assert_eq!(build(&[("x-road-id", b"")]).err(), Some(RestError::Missing("x-road-id")));
    assert!(matches!(build(&[("b", b"1\r\nx:2")]).err(), Some(RestError::HeaderValue(_))));
}

#[test]
fn responses_answer_their_request() {
    let request = RestRequest::parse(Bytes::from_static(REQUEST.as_bytes())).expect("a request");
    assert_eq!((request.service_path(), request.query()), ("/a%20b", Some("")));
    let hash = request_hash(&DigestAlgorithm::Sha512.digest(request.blob()), None);
    let headers = [("Server", &b"x"[..]), ("X-Road-Error", b"y"), ("x-road-service", b"z"), ("ETag", b"1")];
    let response =
        RestResponse::build(200, "OK", headers.into_iter(), &request, "r", &hash).expect("a response");
    assert_eq!(
        response.blob(),
        format!(
            "200\r\nOK\r\nETag:1\r\nx-road-id:1\r\nx-road-client:I/C/M/S\r\nx-road-service:I/C/M/S/svc\r\nx-road-request-id:r\r\nx-road-request-hash:{}\r\n",
            hash.to_base64()
        )
        .as_str()
    );
    assert_eq!(response.check_answers(&request, &hash), Ok(()));
    let other = request_hash(&hash, Some(&hash));
    let refused = response.check_answers(&request, &other).expect_err("another hash");
    assert_eq!(refused.code, "inconsistent_response");
}

#[test]
fn error_bodies() {
    let fault = Fault::new("server.x", "no \"<access>\"").with_detail(|| "d".into());
    let render = |accept: &'static str| error_body::render(&fault, [accept].into_iter());
    let (media_type, body) = render("text/html, */*");
    assert_eq!(media_type, "application/json");
    assert_eq!(body, r#"{"type":"server.x","message":"no \"<access>\"","detail":"d"}"#);
    let (media_type, body) = render("application/json, text/*;q=0.1");
    assert_eq!(media_type, "text/xml;charset=utf-8");
    assert!(body.ends_with(
        "<error><type>server.x</type><message>no &quot;&lt;access&gt;&quot;</message><detail>d</detail></error>"
    ));
    assert_eq!(
        [error_body::status("Server.X"), error_body::status("client.x"), error_body::status("ser")],
        [500, 400, 400]
    );
}

#[test]
fn service_paths() {
    for (raw, normal) in [
        ("", Some("")),
        ("/", Some("/")),
        ("/a//b", Some("/a/b")),
        ("/a/b/", Some("/a/b/")),
        ("/a%20b", Some("/a b")),
        ("/a%C3%A4", Some("/aä")),
        ("/a%2Fb", None),
        ("/a/../b", None),
        ("/a/%2e%2e/b", None),
        ("/a/%252e%252e/b", None),
        ("/a/./b", None),
        ("/a..b", None),
        ("/a%00", None),
        ("/a%ff", None),
    ] {
        assert_eq!(normalised_service_path(raw).ok().as_deref(), normal, "{raw}");
    }
}

#[test]
fn globs() {
    for (pattern, path, expected) in [
        ("**", "", true),
        ("/*/", "/a/b/", false),
        ("**\\*", "/what/ever*", true),
        ("**/*/**", "//", true),
        ("/a*c", "/abc", false),
        ("/pet/*", "/pet/1/x", false),
        ("/x/*/y", "/x//y", true),
        ("aa\\", "aa\\", true),
    ] {
        assert_eq!(PathGlob::new(pattern).matches(path), expected, "{pattern} {path}");
    }
    // Would take ages with naive backtracking.
    assert!(!PathGlob::new(&"**a".repeat(40)).matches(&"a".repeat(39)));
}
