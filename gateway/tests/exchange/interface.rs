//! The interface to information systems as clients really use it (messages and transport §5).

use gateway::http::Outgoing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::calls::{Answer, call_at, request};
use crate::federation::{CLIENT_PORT, Federation, HEALTH_PORT};

const ECHO: &str = "/r1/CW/COM/2/service/echo";

/// Sends bytes as they are and reads all that comes until the other side closes.
async fn raw(federation: &Federation, bytes: &str) -> String {
    let mut stream = TcpStream::connect(federation.consumer.address(CLIENT_PORT)).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(std::time::Duration::from_secs(20), reading).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(federation: &Federation, target: &str, accept: &[&str]) -> Answer {
    let mut call = request("GET", target, Outgoing::Empty);
    for value in accept {
        call.headers_mut().append("accept", value.parse().unwrap());
    }
    call_at(federation.consumer.address(CLIENT_PORT), call).await
}

/// The code of a SOAP fault; empty when there is none.
pub(crate) fn fault_code(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let code = text.split("<faultcode>").nth(1).and_then(|rest| rest.split("</faultcode>").next());
    if code.is_some() {
        assert_eq!((answer.status, answer.error()), (200, ""));
        assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
        assert_eq!(answer.headers["soapaction"], "");
    }
    code.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn clients_are_listed() {
    let federation = Federation::start();
    for (target, accept, content_type, piece) in [
        ("/listClients", &[][..], "text/xml; charset=UTF-8", "<ns1:subsystemCode>client</ns1:subsystemCode>"),
        ("/listClients?xRoadInstance=CW", &["*/*"][..], "text/xml; charset=UTF-8", "</ns2:clientList>\n"),
        ("http://any:80/listClients?a=b", &[""][..], "text/xml; charset=UTF-8", "</ns2:clientList>\n"),
        (
            "/listClients",
            &["text/xml", "a/b;q=0, application/json;q=0.1"][..],
            "application/json; charset=utf-8",
            "\"subsystem_code\":\"service\"",
        ),
    ] {
        let answer = get(&federation, target, accept).await;
        assert_eq!((answer.status, fault_code(&answer).as_str()), (200, ""), "{target} {accept:?}");
        assert_eq!(answer.headers["content-type"], content_type, "{target} {accept:?}");
        assert!(String::from_utf8_lossy(&answer.body).contains(piece), "{target} {:?}", answer.body);
    }
    for (target, accept) in [
        ("/listClients?xRoadInstance=XX", &[][..]),
        ("/listClients?xRoadInstance=", &[][..]),
        ("/listClients?xRoadInstance=%ff", &[][..]),
        ("/listClients", &["json"][..]),
    ] {
        let answer = get(&federation, target, accept).await;
        assert_eq!(fault_code(&answer), "server.clientproxy.internal_error", "{target} {accept:?}");
    }
    // Nothing of it is an exchange.
    assert_eq!(federation.consumer.log.len(), 0);
    crate::federation::publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 0);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let answer = get(&federation, "/listClients", &[]).await;
    assert_eq!(fault_code(&answer), "server.clientproxy.global_conf_outdated");
}

#[tokio::test]
async fn what_is_no_address_of_ours_is_taken_for_soap() {
    let federation = Federation::start();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/r1"),
        ("GET", "/r2/CW/COM/2/service/echo"),
        ("GET", "/listCentralServices"),
        ("GET", "/listClients/"),
        ("HEAD", "/listClients"),
        ("PUT", "/listClients"),
        ("DELETE", "/asic"),
        ("GET", "http://any/"),
    ] {
        let answer = call_at(
            federation.consumer.address(CLIENT_PORT),
            request(method, target, if method == "PUT" { "x".to_owned().into() } else { Outgoing::Empty }),
        )
        .await;
        if method == "HEAD" {
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{method} {target}");
        } else {
            assert_eq!(fault_code(&answer), "client.invalid_http_method", "{method} {target}");
        }
    }
    let answer = raw(&federation, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("<faultcode>client.invalid_http_method<"), "{answer}");
}

#[tokio::test]
async fn the_absolute_form_is_taken_everywhere() {
    let federation = Federation::start();
    let client = "xRoadInstance=CW&memberClass=COM&memberCode=1&subsystemCode=client";
    for (target, status) in [
        (format!("http://somewhere:80{ECHO}/x"), 200),
        (format!("https://somewhere{ECHO}/x?a=http://b"), 200),
        ("HTTP://somewhere/verificationconf".to_owned(), 200),
        ("http://user@somewhere/listClients".to_owned(), 200),
        (format!("http://somewhere/asic?{client}&queryId=nothing"), 404),
    ] {
        let answer = federation.call("GET", &target, Outgoing::Empty).await;
        assert_eq!((answer.status, fault_code(&answer).as_str()), (status, ""), "{target} {:?}", answer.body);
    }
    let seen = federation.system.seen.last.lock().unwrap().clone().unwrap();
    assert_eq!(seen.1, "/api/x?a=http://b");
}

/// One connection serves one request after the other, whether or not the client waits for answers.
#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let federation = Federation::start();
    let head = "Host: x\r\nX-Road-Client: CW/COM/1/client\r\n";
    let calls = [
        format!("GET {ECHO}/slow/150 HTTP/1.1\r\n{head}\r\n"),
        format!("POST {ECHO}/x HTTP/1.1\r\n{head}Content-Length: 5\r\n\r\nfirst"),
        format!(
            "PUT {ECHO}/x HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3;a=b\r\nond\r\n0\r\n\r\n"
        ),
        // Refused before its body is read; what follows the body is the next request all the same.
        format!("POST /r1/CW/COM/2 HTTP/1.1\r\n{head}Content-Length: 3\r\n\r\nabc"),
        format!("GET /listClients?xRoadInstance=XX HTTP/1.1\r\n{head}\r\n"),
        format!("GET {ECHO}/bytes/0 HTTP/1.1\r\n{head}\r\n"),
        format!("GET {ECHO}/status/204 HTTP/1.1\r\n{head}Connection: close\r\n\r\n"),
    ];
    let answers = raw(&federation, &calls.concat()).await;
    let expected =
        ["HTTP/1.1 200", "slow", "first", "second", "400", "client.bad_request", "internal_error", "204"];
    let mut rest = answers.as_str();
    for piece in expected {
        let at = rest.find(piece).unwrap_or_else(|| panic!("no {piece} in its place: {answers}"));
        rest = &rest[at + piece.len()..];
    }
    assert_eq!(answers.matches("HTTP/1.1 ").count(), calls.len(), "{answers}");
}

#[tokio::test]
async fn connections_are_kept_as_the_client_wishes() {
    let federation = Federation::start();
    let head = "Host: x\r\nX-Road-Client: CW/COM/1/client\r\n";
    for (version, header, kept) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "", false),
    ] {
        let first = format!("GET {ECHO}/x HTTP/{version}\r\n{head}{header}\r\n");
        let last = format!("GET {ECHO}/x HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
        let answers = raw(&federation, &format!("{first}{last}")).await;
        let count = answers.matches(" 200 OK\r\n").count();
        assert_eq!(count, if kept { 2 } else { 1 }, "{version} {header:?} {answers}");
        assert!(!answers.contains("server:"), "{answers}");
    }
}

#[tokio::test]
async fn a_client_may_ask_before_it_sends_a_body() {
    let federation = Federation::start();
    let head = "Host: x\r\nX-Road-Client: CW/COM/1/client\r\nConnection: close\r\nExpect: 100-continue\r\n";
    let call = format!("POST {ECHO}/x HTTP/1.1\r\n{head}Content-Length: 4\r\n\r\nbody");
    let answer = raw(&federation, &call).await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("body"), "{answer}");
}

#[tokio::test]
async fn health_is_told_to_anybody_who_asks() {
    let federation = Federation::start();
    let health = federation.consumer.address(HEALTH_PORT);
    for (method, target) in
        [("GET", "/"), ("HEAD", "/x/y?z"), ("POST", "/"), ("OPTIONS", "http://any/health"), ("PUT", "/r1/")]
    {
        let answer = call_at(health, request(method, target, Outgoing::Empty)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{method} {target}");
    }
    crate::federation::publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 0);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let answer = call_at(health, request("GET", "/", Outgoing::Empty)).await;
    assert_eq!((answer.status, answer.body.as_ref()), (500, &b"global configuration is expired\n"[..]));
}
