//! Messages and transport: the folder `messages`.

use std::path::Path;

use bytes::Bytes;
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::message::path::{PathGlob, normalised_service_path};
use protocol::message::{RestRequest, RestResponse, request_hash};
use protocol::soap::{Envelope, SoapFault};
use protocol::transport::{Direction, RequestHead, write_fault};
use serde_json::Value;

use super::transport::{decode, encode, outline};
use super::{Cases, read};

const NO_EXCHANGE: &str = "not a transport message";

/// All cases.
pub fn cases(vectors: &Path) -> Cases {
    let folder = vectors.join("messages");
    let mut report = Cases::default();
    blob_cases(&folder, &mut report);
    path_cases(&folder, &mut report);
    worked(&folder, &mut report);
    proxy_messages(&folder, &mut report);
    queries(&folder, &mut report);
    super::soap::queries(&folder, &mut report);
    report
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// X-Road's parser takes blobs that it then writes differently, which breaks the request hash; we take
/// the canonical form only (§3.5), and no request without a client.
fn blob_cases(folder: &Path, report: &mut Cases) {
    let cases = json(&folder.join("worked/rest-blob-cases.json"));
    for case in list(&cases, "request") {
        let name = format!("blob, request, {}", text(case, "name"));
        let accepted = text(case, "result") == "accept"
            && case.get("canonical") == Some(&Value::Bool(true))
            && case.get("client") != Some(&Value::Null);
        let parsed = RestRequest::parse(Bytes::from(text(case, "blob").to_owned()));
        report.case(&name, verdict(accepted), verdict(parsed.is_ok()));
        let Ok(request) = parsed else { continue };
        let client = request.client();
        let client = [client.instance(), client.member().class(), client.member().code()]
            .into_iter()
            .chain(client.subsystem())
            .collect::<Vec<_>>();
        for (key, got) in [
            ("client", Value::from(client)),
            ("query", request.query().map_or(Value::Null, Value::from)),
            ("service_code", Value::from(request.service().code())),
            ("service_path", Value::from(request.service_path())),
        ] {
            if let Some(expected) = case.get(key) {
                report.case(format!("{name}, {key}"), expected, got);
            }
        }
    }
    for case in list(&cases, "response") {
        let name = format!("blob, response, {}", text(case, "name"));
        let parsed = RestResponse::parse(Bytes::from(text(case, "blob").to_owned()));
        report.case(&name, verdict(text(case, "result") == "accept"), verdict(parsed.is_ok()));
        if let (Ok(response), Some(expected)) = (parsed, case.get("service").and_then(Value::as_array)) {
            let expected = expected.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("/");
            let got = response.service().map_or_else(String::new, |service| service.to_string());
            report.case(format!("{name}, service"), expected, got);
        }
    }
}

fn verdict(accepted: bool) -> &'static str {
    if accepted { "accept" } else { "reject" }
}

/// X-Road resolves dot segments, decodes twice and parses the result as a URI again. We decode once and
/// refuse what two readers could understand differently (§5.6); these are the paths where that shows.
const PATHS_OF_OUR_OWN: [(&str, Option<&str>); 9] = [
    ("//a/b", Some("/a/b")),    // X-Road takes `a` for an authority
    ("/a/./b", None),           // dot segment
    ("/a/b/../c", None),        // dot segment
    ("/a/%2e%2e/b", None),      // dot segment
    ("/a%2Fb", None),           // hidden separator
    ("/a%3Fb", Some("/a?b")),   // X-Road cuts the path
    ("/a%23b", Some("/a#b")),   // X-Road cuts the path
    ("/a%2525", Some("/a%25")), // X-Road decodes twice
    ("/a/%252e%252e/b", None),  // dot segment behind two encodings
];

fn path_cases(folder: &Path, report: &mut Cases) {
    let cases = json(&folder.join("worked/path-cases.json"));
    let shown = |path: Option<&str>| path.map_or_else(|| "refused".to_owned(), |path| format!("'{path}'"));
    for case in list(&cases, "normalise") {
        let raw = case.get(0).and_then(Value::as_str).unwrap_or_default();
        let own = PATHS_OF_OUR_OWN.iter().find(|(path, _)| *path == raw).map(|(_, expected)| *expected);
        let expected = own.unwrap_or_else(|| case.get(1).and_then(Value::as_str));
        let got = normalised_service_path(raw).ok();
        report.case(format!("path '{raw}'"), shown(expected), shown(got.as_deref()));
    }
    // Requests that X-Road fails by accident: we serve those that can be understood in one way only.
    for raw in list(&cases, "normalise_error").filter_map(Value::as_str) {
        let expected = match raw {
            "/a%20b" => Some("/a b"),
            "/a%5Bb" => Some("/a[b"),
            "/a%22" => Some("/a\""),
            "/%25" => Some("/%"),
            _ => None,
        };
        let blob = format!("GET\r\n/r1/I/C/M/S/svc{raw}\r\nx-road-client:I/C/M/S\r\n");
        let got = RestRequest::parse(Bytes::from(blob))
            .ok()
            .and_then(|request| normalised_service_path(request.service_path()).ok());
        report.case(format!("path '{raw}' in a request"), shown(expected), shown(got.as_deref()));
    }
    for case in list(&cases, "glob_xroad").chain(list(&cases, "glob_own")) {
        let part = |index| case.get(index).and_then(Value::as_str).unwrap_or_default();
        let got = PathGlob::new(part(0)).matches(part(1));
        let expected = case.get(2).and_then(Value::as_bool).unwrap_or_default();
        report.case(format!("glob '{}' on '{}'", part(0), part(1)), expected, got);
    }
}

fn worked(folder: &Path, report: &mut Cases) {
    let folder = folder.join("worked");
    let expected = json(&folder.join("expected.json"));
    let sha512 = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
    for (name, has_body) in
        [("rest-post-request", true), ("rest-post-response", true), ("rest-get-request", false)]
    {
        let case = expected.get(name).cloned().unwrap_or_default();
        let blob = read(&folder.join(format!("{name}.blob")));
        let body = has_body.then(|| sha512(&read(&folder.join(format!("{name}.body")))));
        let blob_digest = sha512(&blob);
        report.case(format!("{name}, blob"), text(&case, "sha512_blob_b64"), blob_digest.to_base64());
        if let Some(body) = &body {
            report.case(format!("{name}, body"), text(&case, "sha512_body_b64"), body.to_base64());
            let batch = protocol::hash_chain::signature_batch(&[&[blob_digest, *body]]);
            let digest = text(&case, "hash_chain_result_digest_b64");
            report.case(format!("{name}, hash chain result"), true, contains(&batch.result, digest));
        }
        if let Some(hash) = case.get("request_hash_b64").and_then(Value::as_str) {
            report.case(format!("{name}, request hash"), hash, hash_of(blob_digest, body));
        }
        let parsed = if name.ends_with("request") {
            RestRequest::parse(blob.into()).is_ok()
        } else {
            RestResponse::parse(blob.into()).is_ok()
        };
        report.case(format!("{name}, parsed"), verdict(true), verdict(parsed));
    }
    let empty = text(expected.get("rest-empty-body").unwrap_or(&Value::Null), "sha512_empty_b64").to_owned();
    report.case("rest-empty-body", empty, sha512(b"").to_base64());

    // Placeholders stand for the OCSP response and the signature; the first must be DER.
    for (name, direction, outlined) in [
        (
            "rest-post-request",
            Direction::Request,
            "ocsp, rest, body, hash-chain-result, hash-chain, signature",
        ),
        ("rest-post-response", Direction::Response, "rest, body, hash-chain-result, hash-chain, signature"),
        ("soap-request", Direction::Request, "ocsp, soap, signature"),
        ("soap-response", Direction::Response, "soap, signature"),
        (
            "soap-attachments-request",
            Direction::Request,
            "ocsp, soap, attachment, attachment, hash-chain-result, hash-chain, signature",
        ),
    ] {
        let file = with_ocsp(&read(&folder.join(format!("{name}.transport.txt"))));
        let first_line = String::from_utf8_lossy(&file).lines().next().unwrap_or_default().to_owned();
        let boundary = first_line.strip_prefix("--").unwrap_or_default();
        let content_type = format!("multipart/mixed; charset=UTF-8; boundary={boundary}");
        let decoded = decode(&file, &content_type, direction);
        report.case(format!("{name}.transport.txt, decoded"), outlined, outline(&decoded));
        let again = decoded.ok().and_then(|events| encode(&events, &content_type, direction));
        report.case(format!("{name}.transport.txt, encoded again"), true, again.as_deref() == Some(&file));
    }
    super::soap::worked(&folder, &expected, report);

    let body = read(&folder.join("fault-body.xml"));
    let fault = match Envelope::parse(body.clone().into()) {
        Ok(Envelope::Fault(SoapFault { fault, .. })) => Some(fault),
        _ => None,
    };
    let code = fault.as_ref().map(|fault| fault.code.to_string()).unwrap_or_default();
    report.case("fault-body.xml, read", "server.serverproxy.access_denied", code);
    let written = fault.map(|fault| write_fault(&fault)).unwrap_or_default();
    report.case("fault-body.xml, written", true, written.as_bytes() == body);
}

fn hash_of(blob: Digest, body: Option<Digest>) -> String {
    request_hash(&blob, body.as_ref()).to_base64()
}

fn contains(document: &[u8], digest: &str) -> bool {
    !digest.is_empty() && String::from_utf8_lossy(document).contains(digest)
}

/// Puts a small DER sequence in the place of the placeholder for the OCSP response.
fn with_ocsp(file: &[u8]) -> Vec<u8> {
    let marker = b"<<DER bytes of the OCSP response>>";
    match file.windows(marker.len()).position(|window| window == marker) {
        Some(at) => [&file[..at], b"\x30\x03\x0a\x01\x00", &file[at + marker.len()..]].concat(),
        None => file.to_vec(),
    }
}

fn proxy_messages(folder: &Path, report: &mut Cases) {
    for (name, expected) in [
        ("normal.request", "soap, signature"),
        ("ocsp.request", "ocsp, soap, signature"),
        ("normal-soapfault.request", "fault CODE, signature"),
        ("fault-signature.request", "soap, fault CODE"),
        ("extracontent.request", "service_failed.invalid_message"),
        ("invalid-ocsp.request", "service_failed.io_error"),
        ("invalid-soap-contenttype.request", "service_failed.invalid_content_type"),
        ("invalid-contenttype-signature.request", "service_failed.invalid_content_type"),
    ] {
        let content_type = "multipart/mixed; charset=UTF-8; boundary=xtop1357783211hcn1yiro";
        let file = read(&folder.join("proxymessages").join(name));
        let decoded = decode(&file, content_type, Direction::Request);
        report.case(format!("proxymessages/{name}"), expected, outline(&decoded));
    }
    let content_type = "multipart/mixed; charset=UTF-8; boundary=xtop569125687hcu8vfma";
    let decoded =
        decode(&read(&folder.join("proxymessages/attachment.request")), content_type, Direction::Request);
    let parts = outline(&decoded)
        .replace("attachment, attachment", "attachment")
        .replace("attachment, attachment", "attachment");
    report.case("proxymessages/attachment.request", "soap, attachment, signature", parts);
    report
        .skip("proxymessages/normal.response", "no expectation is stated; the file is of an older protocol");
    for content_type in ["multipart/mixed", "text/plain"] {
        let decoded = decode(b"", content_type, Direction::Response);
        let name = format!("content type '{content_type}'");
        report.case(name, "service_failed.invalid_content_type", outline(&decoded));
    }
}

/// The rows of the tables that concern what comes in on port 5500.
fn queries(folder: &Path, report: &mut Cases) {
    const SIMPLE: &str = "text/xml";
    const MIXED: &str = "multipart/mixed; charset=UTF-8; boundary=jetty771207119h3h10dty";
    const UNSIGNED: &str = "multipart/mixed; boundary=jetty42534330h7vzfqv2;charset=ISO-8859-1";
    use Direction::{Request, Response};
    for (name, direction, content_type, expected) in [
        ("getstate.query", Request, SIMPLE, "service_failed.invalid_content_type"),
        ("getstate.query", Response, SIMPLE, "service_failed.invalid_message"),
        ("empty.query", Response, SIMPLE, "service_failed.invalid_soap"),
        ("missing-body.query", Response, SIMPLE, "service_failed.missing_body"),
        ("attachm-error.query", Response, MIXED, "service_failed.invalid_content_type"),
        ("no-signature.query", Request, UNSIGNED, "missing_signature"),
        ("no-signature.query", Response, UNSIGNED, "missing_signature"),
        ("attachm.query", Request, MIXED, "missing_signature"),
        ("no-soap.query", Request, MIXED, "service_failed.invalid_soap"),
    ] {
        let file = read(&folder.join("queries").join(name));
        let decoded = decode(&file, content_type, direction);
        report.case(format!("queries/{name} as {direction:?}"), expected, outline(&decoded));
    }
    let head = RequestHead::read("GET", |_| None).err().map(|fault| fault.code.to_string());
    report.case("a request by GET", "invalid_http_method", head.unwrap_or_default());
    report.skip("metaservice", "its cases are among those of the metadata services");
    report.skip("hashchain", format!("{NO_EXCHANGE}; its cases are among those of evidence"));
}
