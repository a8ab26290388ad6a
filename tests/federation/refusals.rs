//! What is refused, with which code and status.

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Pilot, code, persons, run, test_service};

struct Case {
    name: &'static str,
    path: String,
    headers: &'static [(&'static str, &'static str)],
    expected: (u16, &'static str),
}

fn case(
    name: &'static str,
    path: impl Into<String>,
    headers: &'static [(&'static str, &'static str)],
    expected: (u16, &'static str),
) -> Case {
    Case { name, path: path.into(), headers, expected }
}

#[test]
fn refusals() {
    run(async {
        let mut pilot = Pilot::start(12).await;
        let ok = format!("/r1/{}", persons("/079200001234"));
        let denied = "server.serverproxy.access_denied";
        let bad = "client.bad_request";
        for Case { name, path, headers, expected } in [
            case("unknown member", "/r1/CW/GOV/9999/x/y", &[], (500, "server.clientproxy.unknown_member")),
            case(
                "unknown service",
                format!("/r1/{}", persons("").replace("persons", "nothing")),
                &[],
                (500, "server.serverproxy.unknown_service"),
            ),
            case(
                "no right at all",
                format!("/r1/{}", persons("").replace("persons", "private")),
                &[],
                (500, denied),
            ),
            case(
                "service switched off",
                format!("/r1/{}", persons("").replace("persons", "closed")),
                &[],
                (500, "server.serverproxy.service_disabled"),
            ),
            case(
                "client of another server",
                ok.clone(),
                &[("X-Road-Client", "CW/NDC/2001/hub")],
                (500, "server.clientproxy.unknown_member"),
            ),
            case(
                "client that nobody knows",
                ok.clone(),
                &[("X-Road-Client", "CW/GOV/1001/nobody")],
                (500, "server.clientproxy.unknown_member"),
            ),
            case(
                "no client",
                ok.clone(),
                &[("X-Road-Client", "")],
                (500, "server.clientproxy.invalid_client_identifier"),
            ),
            case(
                "two clients",
                ok.clone(),
                &[("X-Road-Client", "CW/GOV/1001/permits"), ("X-Road-Client", "CW/GOV/1001/vehicles")],
                (400, bad),
            ),
            case("malformed client", ok.clone(), &[("X-Road-Client", "CW/GOV")], (400, bad)),
            case("bad percent-encoding", ok.replace("079", "%zz"), &[], (400, bad)),
            case("encoding of an identifier that is not UTF-8", "/r1/CW/GOV/%ff/x/y", &[], (400, bad)),
            case("too few identifiers", "/r1/CW/GOV/1001", &[], (400, bad)),
            case("dot segments", ok.replace("/079", "/a/%2e%2e/079"), &[], (400, bad)),
            case("encoded slash in the service path", ok.replace("/079", "/a%2Fb"), &[], (500, denied)),
            case(
                "double encoding in the service path",
                ok.replace("/079", "/%252e%252e/"),
                &[],
                (500, denied),
            ),
            case(
                "targeted server that is not the provider's",
                ok.clone(),
                &[("X-Road-Security-Server", "CW/GOV/1001/ss1")],
                (500, "server.clientproxy.invalid_security_server"),
            ),
        ] {
            let answer = pilot.send(0, Method::GET, &path, headers, Bytes::new()).await;
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), expected, "{name}");
        }

        let instance = pilot.get(0, "XX/GOV/1001/x/y").await;
        assert_eq!(instance.status, 500, "wrong instance");
        assert!(code(&instance).starts_with("server.clientproxy."), "wrong instance: {}", code(&instance));

        let posted = pilot.send(0, Method::POST, &ok, &[], Bytes::from_static(b"x")).await;
        assert_eq!(code(&posted), denied, "a method without a right");

        let slow = pilot.get(0, &test_service(1, "/slow/7000")).await;
        assert_eq!(
            (slow.status.as_u16(), code(&slow).as_str()),
            (500, "server.serverproxy.io_error"),
            "slow provider"
        );
        let broken = pilot.get(0, &test_service(1, "/broken")).await;
        assert_eq!(broken.status, 500, "an answer that breaks off");
        assert!(code(&broken).starts_with("server.serverproxy."), "{}", code(&broken));

        body_that_breaks_off(&pilot).await;

        pilot.federation.stop_one("data-centre-system").await;
        let down = pilot.get(0, &persons("/079200001234")).await;
        assert_eq!(code(&down), "server.serverproxy.network_error", "provider down");
        pilot.federation.start_system(1).await.expect("the system starts again");
        assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200, "and up again");

        pilot.federation.kill("data-centre").await;
        let gone = pilot.get(0, &persons("/079200001234")).await;
        assert_eq!(code(&gone), "server.clientproxy.network_error", "provider's server down");
        pilot.federation.start_again("data-centre").await.expect("it starts again without help");
        assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200, "and up again");
        pilot.federation.stop().await;
    });
}

/// A client announces more than it sends and goes away: nobody is harmed, the next call works, and the
/// provider's system never took the half for the whole.
async fn body_that_breaks_off(pilot: &Pilot) {
    for rest in [&b"only this"[..], &[b'x'; 300_000]] {
        let mut stream = TcpStream::connect(pilot.clients(0)).await.expect("connected");
        let head = format!(
            "POST /r1/{} HTTP/1.1\r\nHost: x\r\nX-Road-Client: CW/GOV/1001/permits\r\nContent-Length: 1000000\r\n\r\n",
            test_service(1, "/sink")
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(rest).await.expect("sent");
        drop(stream);
    }
    // More than announced: the surplus is no second request, and the first is answered as it stands.
    let mut stream = TcpStream::connect(pilot.clients(0)).await.expect("connected");
    let request = format!(
        "POST /r1/{} HTTP/1.1\r\nHost: x\r\nX-Road-Client: CW/GOV/1001/permits\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcdefgh",
        test_service(1, "/sink")
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("{\"bytes\":3}"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(pilot.get(0, &persons("/079200001234")).await.status, 200, "a call after that");
}
