//! Every code of the catalogue that a gateway can say is caused here (messages and transport §7.2).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::CertificateUsage;
use certs::key::KeyKind;
use gateway::http::Outgoing;
use gateway::ports::{LogError, ServiceType};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::signature::CertificateRef;
use protocol::transport::PartKind;

use crate::calls::{Answer, call_at, request as call};
use crate::craft::{CLIENT, Crafted, blob, connect, evidence, kind, now, request};
use crate::federation::{
    CLIENT_PORT, Federation, Wishes, client, issue, ocsp_response, provider, publish, service,
};
use crate::interface::fault_code;
use crate::metadata::{soap, soap_request};
use crate::parts::SigningKey;
use crate::responses::start_impostor;

/// The leaves of §7.2, in its order.
const CATALOGUE: &str = "access_denied bad_request not_found cannot_create_cert_path \
    cannot_create_signature cert_validation client_proxy_version_not_supported cryptography_error \
    database_error duplicate_header_field global_conf_outdated hashchain_unused_inputs http_error \
    inconsistent_headers inconsistent_response incorrect_certificate incorrect_validation_info internal_error \
    invalid_body invalid_client_identifier invalid_content_type invalid_hash_chain invalid_hash_chain_ref \
    malformed_hash_chain invalid_reference invalid_http_method invalid_message invalid_protocol_version \
    invalid_request invalid_security_server invalid_signature_value invalid_soap invalid_soap_action \
    invalid_xml io_error logging_failed timestamping_failed no_timestamping_provider_found maintenance_mode \
    malformed_server_conf malformed_signature mime_parsing_failed missing_body missing_header \
    missing_header_field missing_rest missing_soap missing_signature network_error service_disabled \
    service_malformed_url service_missing_url service_type ssl_authentication_failed unknown_host \
    unknown_member unknown_service";

/// Codes that a gateway never says, each with the reason.
const NEVER: [(&str, &str); 4] = [
    ("cryptography_error", "keys are checked when they are loaded; what fails later has a code of its own"),
    ("database_error", "nothing is read from a database while a message is served"),
    ("malformed_server_conf", "a node with a malformed configuration does not start"),
    ("invalid_hash_chain_ref", "parts of messages are known by digest: a difference is invalid_hash_chain"),
];

/// Codes that the catalogue lacks, for what the reference product does not have.
const OURS: &str = "node_class_policy replayed_message";

const ECHO: &str = "/r1/CW/COM/2/service/echo/x";

/// The codes that were caused, as their leaves.
#[derive(Default)]
struct Caused(BTreeSet<String>);

impl Caused {
    #[track_caller]
    fn note(&mut self, code: &str, expected: &str) {
        assert_eq!(code, expected);
        self.0.extend(code.rsplit('.').next().map(str::to_owned));
    }

    /// A REST call of a client, to be refused with this code.
    async fn rest(&mut self, federation: &Federation, path: &str, headers: &[(&str, &str)], expected: &str) {
        let mut request = call("GET", path, Outgoing::Empty);
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = call_at(federation.consumer.address(CLIENT_PORT), request).await;
        self.note(code_of(&answer), expected);
    }

    /// A message to the provider's server, to be refused with this code.
    async fn message(&mut self, federation: &Federation, message: &Crafted, expected: &str) {
        let fault = connect(federation).await.send(message).await.expect_err(expected);
        self.note(&fault.code, &format!("server.serverproxy.{expected}"));
    }
}

fn code_of(answer: &Answer) -> &str {
    if answer.status != 200 {
        let status = if answer.error().starts_with("server.") { 500 } else { 400 };
        assert_eq!(answer.status, status, "{}", answer.error());
    }
    answer.error()
}

#[tokio::test]
async fn every_code_is_caused() {
    let mut caused = Caused::default();
    at_the_consumer(&mut caused).await;
    at_the_provider(&mut caused).await;
    by_services(&mut caused).await;
    by_transport(&mut caused).await;
    by_hash_chains(&mut caused).await;
    by_signers(&mut caused).await;
    by_logs(&mut caused).await;
    by_answers(&mut caused).await;
    by_soap(&mut caused).await;
    let catalogue: BTreeSet<&str> = CATALOGUE.split_whitespace().collect();
    let never: BTreeSet<&str> = NEVER.iter().map(|(code, _)| *code).collect();
    let caused: BTreeSet<&str> = caused.0.iter().map(String::as_str).collect();
    assert_eq!(caused.intersection(&never).count(), 0, "what is never said was said");
    let missing: Vec<_> =
        catalogue.iter().filter(|code| !caused.contains(*code) && !never.contains(*code)).collect();
    assert!(missing.is_empty(), "nothing causes {missing:?}");
    let known: BTreeSet<&str> = catalogue.iter().copied().chain(OURS.split_whitespace()).collect();
    let unknown: Vec<_> = caused.difference(&known).collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:?}");
}

async fn at_the_consumer(caused: &mut Caused) {
    let federation = Federation::start();
    let at = |code: &str| format!("server.clientproxy.{code}");
    caused.rest(&federation, "/r1/CW", &[], "client.bad_request").await;
    caused.rest(&federation, ECHO, &[("x-road-client", "CW/COM/9/x")], &at("unknown_member")).await;
    caused.rest(&federation, "/r1/CW/COM/9/x/echo", &[], &at("unknown_member")).await;
    let target = [("x-road-security-server", "CW/COM/9/x")];
    caused.rest(&federation, ECHO, &target, &at("invalid_security_server")).await;
    let mut without = call("GET", ECHO, Outgoing::Empty);
    without.headers_mut().remove("x-road-client");
    let answer = call_at(federation.consumer.address(CLIENT_PORT), without).await;
    caused.note(code_of(&answer), &at("invalid_client_identifier"));
    let answer = federation.call("GET", "/", Outgoing::Empty).await;
    caused.note(&fault_code(&answer), "client.invalid_http_method");
    let answer = federation.call("GET", "/listClients?xRoadInstance=XX", Outgoing::Empty).await;
    caused.note(&fault_code(&answer), &at("internal_error"));
    // The endpoint of documents speaks plain text; its codes are statuses.
    let owner = "xRoadInstance=CW&memberClass=COM&memberCode=1&subsystemCode=client";
    for (query, status, code) in [("", 400, "bad_request"), (&format!("{owner}&queryId=x"), 404, "not_found")]
    {
        let answer = federation.call("GET", &format!("/asic?{query}"), Outgoing::Empty).await;
        assert_eq!((answer.status, answer.error()), (status, ""));
        caused.note(code, code);
    }
    federation.shared.lock().unwrap().servers[1].maintenance = Some("later".to_owned());
    federation.publish();
    caused.rest(&federation, ECHO, &[], &at("maintenance_mode")).await;
    federation.shared.lock().unwrap().servers[1].maintenance = None;
    federation.shared.lock().unwrap().servers[1].address = Some("127.255.0.1".to_owned());
    federation.publish();
    caused.rest(&federation, ECHO, &[], &at("network_error")).await;
    federation.shared.lock().unwrap().servers[1].address = Some(federation.consumer.ip.clone());
    federation.publish();
    caused.rest(&federation, ECHO, &[], &at("ssl_authentication_failed")).await;
    publish(&federation.shared.lock().unwrap(), None, &federation.consumer, 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    caused.rest(&federation, ECHO, &[], &at("global_conf_outdated")).await;
}

async fn at_the_provider(caused: &mut Caused) {
    let federation = Federation::start();
    let at = |code: &str| format!("server.serverproxy.{code}");
    caused.rest(&federation, &format!("{ECHO}/forbidden"), &[], &at("access_denied")).await;
    caused.rest(&federation, "/r1/CW/COM/2/service/other", &[], &at("unknown_service")).await;
    caused.rest(&federation, "/r1/CW/COM/2/service/getOpenAPI", &[], &at("invalid_request")).await;
    federation.change_service(|service| service.disabled = Some("off".to_owned()));
    caused.rest(&federation, ECHO, &[], &at("service_disabled")).await;
    federation.change_service(|service| service.service_type = ServiceType::Soap);
    caused.rest(&federation, ECHO, &[], &at("service_type")).await;
    let keys = std::mem::take(&mut *federation.provider.keys.keys.lock().unwrap());
    caused.rest(&federation, ECHO, &[], &at("service_failed.cannot_create_signature")).await;
    *federation.provider.keys.keys.lock().unwrap() = keys;
    federation.provider.directory.clients.lock().unwrap().remove(&provider());
    caused.rest(&federation, ECHO, &[], &at("service_failed.unknown_member")).await;
    let settings: fn(&mut gateway::Settings) = |settings| settings.least_peer_version = "9.0.0".parse().ok();
    let federation = Federation::with(Wishes { settings, ..Wishes::default() });
    caused.rest(&federation, ECHO, &[], &at("client_proxy_version_not_supported")).await;
}

async fn by_services(caused: &mut Caused) {
    let federation = Federation::start();
    let at = |code: &str| format!("server.serverproxy.{code}");
    caused.rest(&federation, "/r1/CW/COM/2/service/echo/cut/10", &[], &at("io_error")).await;
    for (url, code) in [
        ("http://127.0.0.1:1/".to_owned(), "network_error"),
        ("http://no-such-host.invalid/".to_owned(), "unknown_host"),
        (format!("https://{}/", federation.system.address), "ssl_authentication_failed"),
        (String::new(), "service_missing_url"),
        ("ftp://h/".to_owned(), "service_malformed_url"),
    ] {
        federation.change_service(|service| url.clone_into(&mut service.url));
        caused.rest(&federation, ECHO, &[], &at(code)).await;
    }
    assert!(federation.provider.directory.services.lock().unwrap().contains_key(&service("echo")));
}

async fn by_transport(caused: &mut Caused) {
    let federation = Federation::start();
    let good = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
    assert!(connect(&federation).await.send(&good).await.is_ok());
    caused.message(&federation, &good, "replayed_message").await;
    let mut message = good.clone();
    message.method = "PUT";
    caused.message(&federation, &message, "invalid_http_method").await;
    message = good.clone();
    message.set_header("content-type", Some("text/plain"));
    caused.message(&federation, &message, "service_failed.invalid_content_type").await;
    message = good.clone();
    message.parts.truncate(1);
    caused.message(&federation, &message, "missing_rest").await;
    message = good.clone();
    message.parts.pop();
    caused.message(&federation, &message, "missing_signature").await;
    message = good.clone();
    message.parts.push((kind(PartKind::RestBody), Bytes::from_static(b"more")));
    caused.message(&federation, &message, "service_failed.invalid_message").await;
    message = good.clone();
    message.ending = format!("\r\n--{}\r\n", crate::craft::BOUNDARY);
    caused.message(&federation, &message, "service_failed.mime_parsing_failed").await;
    message = good.clone();
    message.parts.remove(0);
    caused.message(&federation, &message, "service_failed.ssl_authentication_failed").await;
    let elsewhere = blob("GET", "echo/x", &format!("{CLIENT}x-road-security-server:CW/COM/1/ss\r\n"));
    message = request(&federation, &elsewhere, None).await;
    caused.message(&federation, &message, "service_failed.invalid_security_server").await;
}

async fn by_hash_chains(caused: &mut Caused) {
    let federation = Federation::start();
    let group = "signature_verification.malformed_signature";
    let good = request(&federation, &blob("POST", "echo/x", CLIENT), Some("abc")).await;
    let place = |kind: PartKind| good.place(kind.content_type());
    let mut message = good.clone();
    message.parts[place(PartKind::RestBody)].1 = Bytes::from_static(b"abd");
    caused.message(&federation, &message, &format!("{group}.invalid_hash_chain")).await;
    message = good.clone();
    message.parts.remove(place(PartKind::RestBody));
    caused.message(&federation, &message, &format!("{group}.invalid_reference")).await;
    message = good.clone();
    message.parts[place(PartKind::HashChain)].1 = Bytes::from_static(b"<x/>");
    caused.message(&federation, &message, &format!("{group}.malformed_hash_chain")).await;
    message = good.clone();
    message.parts.retain(|(content_type, _)| !content_type.contains("hash-chain"));
    caused.message(&federation, &message, group).await;
    message = good.clone();
    message.parts[place(PartKind::Signature)].1 = Bytes::from_static(b"nonsense");
    caused.message(&federation, &message, "signature_verification.invalid_xml").await;
    message = good.clone();
    let signature = &mut message.parts[place(PartKind::Signature)].1;
    let text = String::from_utf8(signature.to_vec()).unwrap();
    let at = text.find("SignatureValue").and_then(|at| Some(at + text[at..].find('>')? + 5)).unwrap();
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    *signature = Bytes::from(format!("{}{other}{}", &text[..at], &text[at + 1..]));
    caused.message(&federation, &message, "signature_verification.invalid_signature_value").await;
    // A chain of a batch whose member has no body, and a body beside it.
    let text = Bytes::from(blob("POST", "echo/x", CLIENT));
    message = request(&federation, &blob("POST", "echo/x", CLIENT), None).await;
    message.parts.truncate(2);
    message.parts.push((kind(PartKind::RestBody), Bytes::from_static(b"uncovered")));
    let of = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
    let messages: [&[Digest]; 2] = [&[of(&text)], &[of(b"another message")]];
    let signed = federation.consumer.keys.sign_batch(federation.consumer.id.owner(), &messages).unwrap();
    message.parts.extend(evidence(signed[0].clone()));
    caused.message(&federation, &message, &format!("{group}.hashchain_unused_inputs")).await;
}

async fn by_signers(caused: &mut Caused) {
    let federation = Federation::start();
    let group = "server.serverproxy.signature_verification";
    let own = federation.consumer.keys.keys.lock().unwrap()[client().member()].clone();
    let sign_with = |signing: SigningKey| {
        federation.consumer.keys.keys.lock().unwrap().insert(client().member().clone(), signing);
    };
    // More certificates than a path can have.
    let ca = federation.ca.certificate();
    let another =
        CertificateRef { der: ca.der().clone(), issuer_name: ca.issuer_name(), serial: ca.serial_decimal() };
    *federation.consumer.keys.intermediates.lock().unwrap() = vec![another; 17];
    caused.rest(&federation, ECHO, &[], &format!("{group}.cannot_create_cert_path")).await;
    federation.consumer.keys.intermediates.lock().unwrap().clear();
    // A certificate of another member.
    let (key, certificate) =
        issue(&federation.ca, &federation.provider.id, CertificateUsage::Signing, KeyKind::P256);
    let response = ocsp_response(&federation.ca, &certificate);
    sign_with(SigningKey { key: Arc::new(key), certificate, response, ..own.clone() });
    caused.rest(&federation, ECHO, &[], &format!("{group}.incorrect_certificate")).await;
    // A response that was good, but long ago.
    let asked = certs::ocsp::request(&own.certificate, federation.ca.certificate());
    let old = federation.ca.ocsp_answer(&asked, now().minus(Duration::from_secs(3700)));
    sign_with(SigningKey { response: old.into(), ..own.clone() });
    caused
        .rest(&federation, ECHO, &[], &format!("{group}.invalid_cert_path.incorrect_validation_info"))
        .await;
    // A certificate that was revoked.
    federation.ca.revoke(own.certificate.serial(), 1, now()).unwrap();
    sign_with(SigningKey { response: ocsp_response(&federation.ca, &own.certificate), ..own });
    caused.rest(&federation, ECHO, &[], &format!("{group}.invalid_cert_path.cert_validation")).await;
}

async fn by_logs(caused: &mut Caused) {
    let federation = Federation::start();
    let failures: [(LogError, &str); 4] = [
        (LogError::Full("x".to_owned()), "logging_failed"),
        (LogError::TimestampingOverdue(now()), "logging_failed.timestamping_failed"),
        (LogError::NoTimestampingService, "logging_failed.mlog.no_timestamping_provider_found"),
        (LogError::Unavailable("x".to_owned()), "logging_failed"),
    ];
    for (error, code) in failures {
        for (node, side) in [(&federation.consumer, "clientproxy"), (&federation.provider, "serverproxy")] {
            *node.log.failure.lock().unwrap() = Some(error.clone());
            caused.rest(&federation, ECHO, &[], &format!("server.{side}.{code}")).await;
            *node.log.failure.lock().unwrap() = None;
        }
    }
}

async fn by_answers(caused: &mut Caused) {
    let (federation, impostor, _stop) = start_impostor().await;
    impostor.answers_with_status(404);
    caused.rest(&federation, ECHO, &[], "server.clientproxy.http_error").await;
    impostor.answers_with_status(200);
    impostor.changes_head(|head| head.replace("x-road-id:", "x-road-id:x"));
    caused.rest(&federation, ECHO, &[], "server.clientproxy.inconsistent_response").await;
}

/// What a client's SOAP message can have wrong with it; the whole list is in the tests of SOAP.
async fn by_soap(caused: &mut Caused) {
    let federation = Federation::start();
    let good = soap_request("listMethods", "");
    let (header, body) = (good.find("<e:Header>").unwrap(), good.find("<e:Body>").unwrap());
    let (header_end, body_end) = (body, good.find("</e:Envelope>").unwrap());
    let id = "<x:id>id-1</x:id>";
    for (text, code) in [
        (String::new(), "invalid_soap"),
        (good.replace(id, ""), "missing_header_field"),
        (good.replace(id, &id.repeat(2)), "duplicate_header_field"),
        (good.replace(">4.0<", ">3.1<"), "invalid_protocol_version"),
        (good.replace("<e:Body>", "<e:Body><x:other/>"), "invalid_body"),
        (good.replace("x:listMethods>", "x:other>"), "inconsistent_headers"),
        (format!("{}{}", &good[..header], &good[header_end..]), "missing_header"),
        (format!("{}{}", &good[..body], &good[body_end..]), "missing_body"),
    ] {
        let answer = soap(&federation, "text/xml", text).await;
        caused.note(&fault_code(&answer), &format!("client.{code}"));
    }
    let answer = soap(&federation, "multipart/related; boundary=b", "--b--\r\n".to_owned()).await;
    caused.note(&fault_code(&answer), "client.missing_soap");
    let mut request = call("POST", "/", good.into());
    request.headers_mut().insert("content-type", "text/xml".parse().unwrap());
    request.headers_mut().insert("soapaction", "unquoted".parse().unwrap());
    let answer = call_at(federation.consumer.address(CLIENT_PORT), request).await;
    caused.note(&fault_code(&answer), "client.invalid_soap_action");
}
