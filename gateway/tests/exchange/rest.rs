//! REST to the letter: methods, headers, encodings, redirects, targets (messages and transport §3).

use gateway::http::Outgoing;
use hyper::HeaderMap;

use crate::calls::{Answer, call_at, request};
use crate::federation::{CLIENT_PORT, Federation};

const ECHO: &str = "/r1/CW/COM/2/service/echo";

async fn with(federation: &Federation, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut call = request(method, &format!("{ECHO}{path}"), Outgoing::Empty);
    for (name, value) in headers {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        call.headers_mut().append(name, value.parse().unwrap());
    }
    call_at(federation.consumer.address(CLIENT_PORT), call).await
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn seen(federation: &Federation) -> (String, String, HeaderMap, usize) {
    federation.system.seen.last.lock().unwrap().clone().unwrap()
}

#[tokio::test]
async fn every_method_passes_and_no_other() {
    let federation = Federation::start();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        let answer = with(&federation, method, "/x", &[]).await;
        assert_eq!((answer.status, answer.error()), (200, ""), "{method}");
        let (called, _, headers, length) = seen(&federation);
        assert_eq!((called.as_str(), length), (method, 0));
        // Only methods that have a body say that theirs is empty.
        let lengths = values(&headers, "content-length");
        let expected: &[&str] = if matches!(method, "POST" | "PUT" | "PATCH") { &["0"] } else { &[] };
        assert_eq!(lengths, expected, "{method}");
    }
    for method in ["PROPFIND", "get", "PURGE"] {
        let answer = with(&federation, method, "/x", &[]).await;
        assert_eq!((answer.status, answer.error()), (400, "client.bad_request"), "{method}");
    }
}

#[tokio::test]
async fn headers_are_filtered_on_their_way_and_the_rest_stays_in_order() {
    let federation = Federation::start();
    let sent = [
        ("user-agent", "somebody"),
        ("te", "trailers"),
        ("proxy-authorization", "secret"),
        ("keep-alive", "timeout=5"),
        ("x-road-request-hash", "forged"),
        ("x-road-request-id", "forged"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("x-many", ""),
        ("accept-encoding", "br;q=0.5, gzip"),
        ("accept", "application/xml"),
        ("authorization", "Bearer x"),
        ("x-road-userid", "EE1"),
        ("x-road-issue", "case 7"),
        ("x-road-represented-party", "COM/77"),
        ("x-road-security-server", "CW/COM/2/ss"),
        ("content-language", "fi"),
    ];
    let answer = with(&federation, "GET", "/x", &sent).await;
    assert_eq!((answer.status, answer.error()), (200, ""), "{:?}", answer.body);
    let (_, _, headers, _) = seen(&federation);
    for name in ["user-agent", "te", "proxy-authorization", "keep-alive", "x-road-request-hash", "connection"]
    {
        assert!(values(&headers, name).is_empty(), "{name} was passed on");
    }
    for (name, expected) in [
        ("x-many", &["one", "two", ""][..]),
        ("accept-encoding", &["br;q=0.5, gzip"]),
        ("accept", &["application/xml"]),
        ("authorization", &["Bearer x"]),
        ("x-road-userid", &["EE1"]),
        ("x-road-issue", &["case 7"]),
        ("x-road-represented-party", &["COM/77"]),
        ("x-road-security-server", &["CW/COM/2/ss"]),
        ("x-road-client", &["CW/COM/1/client"]),
        ("content-language", &["fi"]),
    ] {
        assert_eq!(values(&headers, name), expected, "{name}");
    }
    assert_eq!(values(&headers, "x-road-request-id"), values(&answer.headers, "x-road-request-id"));
    // What was signed and logged is what was passed on.
    let logged = federation.provider.log.entries.lock().unwrap()[0].0.message.clone();
    let logged = String::from_utf8(logged.to_vec()).unwrap();
    assert!(logged.contains("\r\nx-many:one\r\nx-many:two\r\nx-many:\r\n"), "{logged}");
    assert!(logged.contains("\r\nx-road-represented-party:COM/77\r\n"), "{logged}");
    assert!(!logged.contains("forged"), "{logged}");
}

#[tokio::test]
async fn answers_pass_as_the_provider_gave_them() {
    let federation = Federation::start();
    for status in [200, 201, 202, 206, 301, 302, 303, 307, 308, 400, 401, 404, 409, 418, 500, 503] {
        let answer = with(&federation, "GET", &format!("/headers/{status}"), &[]).await;
        assert_eq!((answer.status, answer.error()), (status, ""), "{status}");
        for (name, expected) in [
            ("location", &["http://elsewhere/x"][..]),
            ("content-encoding", &["gzip"]),
            ("set-cookie", &["a=1", "b=2"]),
            ("etag", &["\"7\""]),
            ("x-road-service", &["CW/COM/2/service/echo"]),
            ("x-road-client", &["CW/COM/1/client"]),
            ("server", &[]),
            ("x-road-error", &[]),
        ] {
            assert_eq!(values(&answer.headers, name), expected, "{status} {name}");
        }
        assert_eq!(answer.body.as_ref(), b"\x1f\x8bnot really", "{status}");
    }
    // Nothing was followed, retried or remembered.
    assert_eq!(federation.system.seen.calls.load(std::sync::atomic::Ordering::Relaxed), 16);
    assert!(values(&seen(&federation).2, "cookie").is_empty());
}

#[tokio::test]
async fn errors_are_told_in_the_language_that_the_client_reads() {
    let federation = Federation::start();
    let json = "application/json";
    for (accept, expected) in [
        (&[][..], json),
        (&["*/*"], json),
        (&["text/xml"], "text/xml;charset=utf-8"),
        (&["application/json, application/xml;q=0.1"], "application/xml;charset=utf-8"),
        (&["text/html", "text/*;q=0.3"], "text/xml;charset=utf-8"),
        (&["text/html"], json),
        (&["nonsense"], json),
    ] {
        let headers: Vec<_> = accept.iter().map(|value| ("accept", *value)).collect();
        let answer = with(&federation, "GET", "/forbidden", &headers).await;
        assert_eq!((answer.status, answer.error()), (500, "server.serverproxy.access_denied"), "{accept:?}");
        assert_eq!(answer.headers["content-type"], expected, "{accept:?}");
        assert_eq!(answer.body.starts_with(b"{"), expected == json, "{accept:?}");
    }
}

#[tokio::test]
async fn calls_that_name_parties_badly_are_refused() {
    let federation = Federation::start();
    for (name, value, code) in [
        ("x-road-represented-party", "a/b/c", "client.bad_request"),
        ("x-road-represented-party", "COM/%zz", "client.bad_request"),
        ("x-road-security-server", "CW/COM/2", "client.bad_request"),
        ("x-road-security-server", "CW/COM/2/other", "server.clientproxy.invalid_security_server"),
        ("x-road-security-server", "CW/COM/1/ss", "server.clientproxy.invalid_security_server"),
        ("x-road-client", "CW/COM/1/client", "client.bad_request"), // the second one
        ("x-road-id", "", "client.bad_request"),
    ] {
        let answer = with(&federation, "GET", "/x", &[(name, value)]).await;
        assert_eq!(answer.error(), code, "{name}: {value}");
    }
    assert_eq!(federation.consumer.log.len(), 0);
}
