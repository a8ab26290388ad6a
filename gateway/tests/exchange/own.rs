//! Calls that a server makes itself, in the name of its owner.

use bytes::Bytes;
use gateway::OwnCalls;
use gateway::ports::{Direction, Side};
use http::StatusCode;
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::id::ClientId;
use protocol::transport::write_fault;
use tokio::runtime::Handle;

use crate::federation::{member, service};
use crate::soap::{PLAIN, Soap, answer, envelope, multipart};

/// The message with the owner of the consumer's server in the place of its client.
fn of_owner(wrapper: &str) -> String {
    envelope(wrapper, "")
        .replace("<i:subsystemCode>client</i:subsystemCode></x:client>", "</x:client>")
        .replace("<x:client i:objectType=\"SUBSYSTEM\">", "<x:client i:objectType=\"MEMBER\">")
}

fn federation() -> (Soap, OwnCalls) {
    let soap = Soap::start();
    let rights = &soap.federation.provider.directory.rights;
    rights.lock().unwrap().insert((ClientId::from(member("1")), service("query")));
    soap.answers(|_, _| answer(PLAIN, of_owner("queryResponse")));
    let calls = soap.federation.consumer.gateway.as_ref().unwrap().own_calls(Handle::current());
    (soap, calls)
}

#[tokio::test]
async fn the_owner_calls_as_clients_do() {
    let (soap, calls) = federation();
    let sent = of_owner("query");
    let got = calls.call("text/xml", sent.clone().into()).await.unwrap();
    assert_eq!(got.wrapper(), ("urn:p", "queryResponse"));
    let hash = got.request_hash().and_then(protocol::soap::RequestHash::octets);
    assert_eq!(hash.as_deref(), Some(DigestAlgorithm::Sha512.digest(sent.as_bytes()).bytes()));
    assert_eq!(soap.last_seen().2, sent);

    let content_type = "multipart/related; type=\"application/octet-stream\"; charset=UTF-8; boundary=B";
    let body = multipart("B", "text/xml; charset=UTF-8", &sent, &[b"one".to_vec(), b"\r\n--two".to_vec()]);
    calls.call(content_type, body.clone().into()).await.unwrap();
    let (_, headers, seen) = soap.last_seen();
    assert_eq!(headers["content-type"], content_type);
    assert!(String::from_utf8_lossy(&seen).contains("\r\n--two"));

    let entries = soap.federation.consumer.log.entries.lock().unwrap();
    let logged: Vec<_> = entries
        .iter()
        .map(|(entry, _)| (entry.side, entry.direction, entry.client.to_string(), entry.attachments.len()))
        .collect();
    let of = |direction, attachments| (Side::Consumer, direction, "CW/COM/1".to_owned(), attachments);
    use Direction::{Request, Response};
    assert_eq!(logged, [of(Request, 0), of(Response, 0), of(Request, 2), of(Response, 0)]);
    assert_eq!(soap.federation.provider.log.len(), 4);
}

#[tokio::test]
async fn nobody_else_calls_this_way() {
    let (soap, calls) = federation();
    let code = |called: Result<_, Fault>| called.map(|_: protocol::soap::SoapMessage| ()).unwrap_err().code;
    let client = calls.call("text/xml", envelope("query", "").into()).await;
    assert_eq!(code(client), "server.clientproxy.unknown_member");
    let foreign =
        of_owner("query").replace("<i:memberCode>1</i:memberCode>", "<i:memberCode>2</i:memberCode>");
    assert_eq!(code(calls.call("text/xml", foreign.into()).await), "server.clientproxy.unknown_member");
    assert_eq!(code(calls.call("text/html", Bytes::new()).await), "client.invalid_content_type");
    assert_eq!((soap.calls(), soap.federation.consumer.log.len()), (0, 0));

    let fault = Fault::new("internal_error", "management_request_exists with statusCode 409");
    let written = write_fault(&fault);
    soap.answers(move |_, _| {
        let mut failed = answer(PLAIN, written.clone());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    });
    let refused = calls.call("text/xml", of_owner("query").into()).await.unwrap_err();
    assert_eq!((refused.code, refused.text), (fault.code, fault.text));
    soap.federation.consumer.identity.clear();
    let silent = calls.call("text/xml", of_owner("query").into()).await.unwrap_err();
    assert_eq!(silent.code, "server.clientproxy.ssl_authentication_failed");
    assert_eq!(silent.text, "Security server has no valid authentication certificate");
}
