//! Messages and transport: SOAP between information systems and their servers, by the tables of
//! `messages/README.md` and by the recordings.

use std::path::Path;

use bytes::Bytes;
use protocol::fault::{Fault, Origin, code};
use protocol::soap::{
    Envelope, Event, Limits, PLAIN_CONTENT_TYPE, Sender, SoapDecoder, SoapMessage, check_action,
    client_content_type, provider_content_type,
};
use protocol::transport::{self, Direction, PartHeaders};

use super::http::Recorded;
use super::transport::decode as decode_transport;
use super::{Cases, read};

const PLAIN: &str = "text/xml";
const RELATED: &str = "multipart/related; charset=UTF-8; boundary=jetty771207119h3h10dty";
const MTOM: &str = "Multipart/Related; start-info=\"application/soap+xml\"; type=\"application/xop+xml\"; \
                    boundary=\"jetty771207119h3h10dty\"";

/// A SOAP message with its attachments.
#[derive(Debug, Eq, PartialEq)]
struct Whole {
    headers: PartHeaders,
    message: Box<SoapMessage>,
    attachments: Vec<(PartHeaders, Vec<u8>)>,
}

/// Reads what an information system sent, in pieces of odd sizes. A fault comes back as the fault that it
/// is, with its octets.
fn decode(content_type: Option<&str>, body: &[u8], sender: Sender) -> Result<Result<Whole, Bytes>, Fault> {
    let mut decoder = SoapDecoder::new(content_type, sender, Limits::default())?;
    let mut whole: Option<Whole> = None;
    let mut pieces = body.chunks(777);
    loop {
        match pieces.next() {
            Some(piece) => decoder.push(Bytes::copy_from_slice(piece)),
            None => decoder.finish()?,
        }
        while let Some(event) = decoder.next()? {
            match (event, &mut whole) {
                (Event::Message { headers, message }, _) => {
                    whole = Some(Whole { headers, message, attachments: Vec::new() });
                }
                (Event::Fault(fault), _) => return Ok(Err(fault.octets)),
                (Event::Attachment(headers), Some(whole)) => whole.attachments.push((headers, Vec::new())),
                (Event::Body(piece), Some(whole)) => {
                    if let Some((_, body)) = whole.attachments.last_mut() {
                        body.extend_from_slice(&piece);
                    }
                }
                (Event::BodyEnd, _) => {}
                (Event::End, _) => {
                    let none = || Fault::new(code::MISSING_SOAP, "an end before the message");
                    return whole.map(Ok).ok_or_else(none);
                }
                (event, None) => return Err(Fault::new(code::INVALID_MESSAGE, format!("{event:?} first"))),
            }
        }
    }
}

fn verdict(result: Result<Result<Whole, Bytes>, Fault>) -> String {
    match result {
        Ok(Ok(_)) => "accepted".to_owned(),
        Ok(Err(_)) => "a fault".to_owned(),
        Err(fault) => fault.code.into_owned(),
    }
}

/// The tables of messages that X-Road takes and refuses.
pub(super) fn queries(folder: &Path, report: &mut Cases) {
    let folder = folder.join("queries");
    pairs(&folder, report);
    for name in [
        "simple-representedparty.query",
        "simple-rpc.query",
        "request-suffix.query",
        "allowedMethods.query",
        "listMethods.query",
        "notAllowed.query",
        "missing-org.query",
        "xml.query",
    ] {
        let got = decode(Some(PLAIN), &read(&folder.join(name)), Sender::Client);
        report.case(format!("queries/{name}, client"), "accepted", verdict(got));
    }
    let rpc = SoapMessage::parse(read(&folder.join("simple-rpc.query")).into());
    report.case("queries/simple-rpc.query, style", true, rpc.is_ok_and(|message| message.is_rpc()));
    refusals(&folder, report);

    let xml = SoapMessage::parse(read(&folder.join("xml.query")).into());
    let getstate = SoapMessage::parse(read(&folder.join("getstate.query")).into());
    if let (Ok(request), Ok(answer)) = (xml, getstate) {
        let hash = request.digest();
        let code =
            answer.with_request_hash(&hash).check_answers(&request, &hash).err().map(|fault| fault.code);
        let expected = "service_failed.inconsistent_response";
        report.case("queries/getstate.query as answer to xml.query", expected, code.unwrap_or_default());
    }
    let action = check_action(Some("malformed")).err().map(|fault| fault.code);
    report.case("malformed SOAPAction", "invalid_soap_action", action.unwrap_or_default());
    for name in ["customfault.answer", "customsoapenv.answer", "soapfaulterror.query", "xop.answer"] {
        report.skip(format!("queries/{name}"), "no expectation is stated");
    }
}

/// Requests with their answers: both are taken, the answer gets the hash of the request, and what comes
/// out answers it.
fn pairs(folder: &Path, report: &mut Cases) {
    for (request_name, request_type, answer_name, answer_type) in [
        ("getstate.query", PLAIN, "getstate.answer", PLAIN),
        ("getstate.query", PLAIN, "requesthash.answer", PLAIN),
        ("getstate.query", PLAIN, "getstate-iso88591.answer", PLAIN),
        ("getstate-defaultnamespace.query", PLAIN, "getstate.answer", PLAIN),
        ("getstate-subsystem.query", PLAIN, "getstate-subsystem.answer", PLAIN),
        ("simple.query", PLAIN, "simple.answer", PLAIN),
        ("simple.query", PLAIN, "simple-comment.answer", PLAIN),
        ("nowhitespace.query", PLAIN, "nowhitespace.answer", PLAIN),
        ("missing-userId.query", PLAIN, "missing-userId.answer", PLAIN),
        ("split-header.query", PLAIN, "split-header.answer", PLAIN),
        ("cdata.query", PLAIN, "cdata.answer", PLAIN),
        ("xmlencoded.query", PLAIN, "xmlencoded.answer", PLAIN),
        ("attachm.query", RELATED, "attachm.answer", PLAIN),
        ("attachments.query", RELATED, "attachm.answer", PLAIN),
        ("attachments.query", RELATED, "attachments.answer", RELATED),
        ("attachm2.query", RELATED, "attachm2.answer", RELATED),
        ("attachm2-utf8bom-inside.query", RELATED, "attachm2-utf8bom-inside.answer", RELATED),
        ("attachm-mtom.query", MTOM, "attachm-mtom.answer", MTOM),
        ("mimesoap.query", RELATED, "mimesoap.answer", RELATED),
    ] {
        let name = format!("queries/{request_name} and {answer_name}");
        let request = decode(Some(request_type), &read(&folder.join(request_name)), Sender::Client);
        let answer = decode(Some(answer_type), &read(&folder.join(answer_name)), Sender::Provider);
        let got = match (request, answer) {
            (Ok(Ok(request)), Ok(Ok(answer))) => answered(&request.message, &answer.message),
            (request, answer) => format!("{} and {}", verdict(request), verdict(answer)),
        };
        report.case(name, "answered", got);
    }
}

fn answered(request: &SoapMessage, answer: &SoapMessage) -> String {
    // The ids on disk differ; X-Road's own harness replaces both.
    let text = String::from_utf8_lossy(answer.octets()).replace(answer.id(), request.id());
    let is_utf8 = text.as_bytes() == &answer.octets()[..] || answer.id() != request.id();
    let answer = match SoapMessage::parse(text.into()) {
        Ok(answer) if is_utf8 => answer,
        _ => answer.clone(),
    };
    let hash = request.digest();
    let checked = SoapMessage::parse(answer.with_request_hash(&hash).octets().clone())
        .and_then(|answer| answer.check_answers(request, &hash));
    match checked {
        Ok(()) => "answered".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn refusals(folder: &Path, report: &mut Cases) {
    use Sender::{Client, Provider};
    for (name, sender, content_type, expected) in [
        ("getstate.query", Client, "blah", "invalid_content_type"),
        ("empty.query", Client, PLAIN, "invalid_soap"),
        ("empty.query", Client, RELATED, "missing_soap"),
        ("empty.query", Provider, PLAIN, "invalid_soap"),
        ("empty.query", Provider, RELATED, "invalid_message"),
        ("attachm-error.query", Client, RELATED, "invalid_content_type"),
        ("attachm-error.query", Provider, RELATED, "invalid_content_type"),
        ("attachm-faulty-soap.query", Client, RELATED, "missing_header_field"),
        ("attachm-faulty-soap.query", Provider, RELATED, "missing_header_field"),
        ("attachm-no-soap.query", Client, RELATED, "invalid_content_type"),
        ("attachm-no-soap.query", Provider, RELATED, "invalid_content_type"),
        ("fault.query", Client, PLAIN, "a fault"),
        ("fault.query", Provider, PLAIN, "a fault"),
        ("faulty-fault.answer", Provider, PLAIN, "a fault"),
        ("soapfault-mtom.answer", Provider, MTOM, "a fault"),
        ("faulty-header.query", Client, PLAIN, "missing_header_field"),
        ("faulty-header.query", Provider, PLAIN, "missing_header_field"),
        ("faulty-header2.query", Client, PLAIN, "duplicate_header_field"),
        ("faulty-multipart.query", Provider, RELATED, "invalid_message"),
        ("inconsistent-headers.query", Client, PLAIN, "inconsistent_headers"),
        ("malformed-body1.query", Client, PLAIN, "invalid_body"),
        ("malformed-body2.query", Client, PLAIN, "invalid_body"),
        ("malformed-body2.query", Provider, PLAIN, "invalid_body"),
        ("malformed-body3.query", Client, PLAIN, "inconsistent_headers"),
        ("malformed-protocolVersion.query", Client, PLAIN, "invalid_protocol_version"),
        ("wrong-protocolVersion.query", Client, PLAIN, "invalid_protocol_version"),
        ("wrong-version.query", Client, PLAIN, "invalid_protocol_version"),
        ("missing-protocolVersion.query", Client, PLAIN, "missing_header_field"),
        ("missing-body.query", Client, PLAIN, "missing_body"),
        ("missing-body.query", Provider, PLAIN, "missing_body"),
        ("missingobjecttype.query", Client, PLAIN, "invalid_xml"),
        ("no-header.query", Client, PLAIN, "missing_header"),
        ("no-header.query", Provider, PLAIN, "missing_header"),
    ] {
        let got = decode(Some(content_type), &read(&folder.join(name)), sender);
        let kind = content_type.split(';').next().unwrap_or_default();
        report.case(format!("queries/{name}, {sender:?}, {kind}"), expected, verdict(got));
    }
    for (name, expected) in [("fault.query", "CODE"), ("faulty-fault.answer", "soap:Server")] {
        let code = match Envelope::parse(read(&folder.join(name)).into()) {
            Ok(Envelope::Fault(fault)) => fault.fault.code.into_owned(),
            Ok(Envelope::Message(_)) => "a message".to_owned(),
            Err(fault) => fault.code.into_owned(),
        };
        report.case(format!("queries/{name}, code"), expected, code);
    }
}

/// One recorded exchange, on its way from the client to the provider and back.
pub(super) fn exchange(name: &str, folder: &Path, report: &mut Cases) {
    let recorded = |file: &str| Recorded::parse(&read(&folder.join(file)));
    let (Some(sent), Some(received)) = (recorded("client-request.http"), recorded("client-response.http"))
    else {
        return;
    };
    let mut line = sent.first_line.split(' ');
    if line.next() != Some("POST") || line.next() != Some("/") {
        return;
    }
    let request = decode(sent.header("content-type"), &sent.body, Sender::Client);
    let (Some(between), Some(back)) = (recorded("server-request.http"), recorded("server-response.http"))
    else {
        return refused(name, request, &received, report);
    };
    let Ok(Ok(request)) = request else {
        return report.case(format!("{name}, from the client"), "accepted", verdict(request));
    };
    let Some(carried) = transported(&between, Direction::Request) else {
        return report.case(format!("{name}, between servers"), "readable", "unreadable");
    };
    same(&format!("{name}, request between servers"), &request, &carried, report);
    if let Some(called) =
        recorded("provider-request.http").filter(|called| called.first_line.starts_with("POST"))
    {
        let content_type = provider_content_type(sent.header("content-type").unwrap_or_default());
        let stated = called.header("content-type").unwrap_or_default();
        report.case(format!("{name}, type for the provider"), stated, content_type.unwrap_or_default());
        if let Ok(Ok(called)) = decode(called.header("content-type"), &called.body, Sender::Client) {
            same(&format!("{name}, request to the provider"), &request, &called, report);
        }
    }
    let Some(answer) = transported(&back, Direction::Response) else {
        return; // a fault, which is among the cases of the transport
    };
    let hash = request.message.digest();
    let code = answer.message.check_answers(&request.message, &hash).err().map(|fault| fault.to_string());
    report.case(format!("{name}, answer to its request"), "yes", code.unwrap_or_else(|| "yes".to_owned()));
    let provided = recorded("provider-response.http")
        .and_then(|response| decode(response.header("content-type"), &response.body, Sender::Provider).ok());
    if let Some(Ok(provided)) = provided {
        // Messages and transport §2.6: the provider's octets stay, where X-Road writes them again with a
        // line break behind the XML declaration and one at the end.
        let ours = provided.message.with_request_hash(&hash);
        let theirs = String::from_utf8_lossy(answer.message.octets()).replacen("?>\n", "?>", 1);
        report.case(
            format!("{name}, answer with the hash of its request"),
            theirs.trim_end(),
            String::from_utf8_lossy(ours.octets()),
        );
        report.case(
            format!("{name}, attachments of the answer"),
            true,
            provided.attachments.len() == answer.attachments.len(),
        );
    }
    let original = back.header("x-original-content-type").unwrap_or_default();
    let content_type = received.header("content-type").unwrap_or_default();
    report.case(
        format!("{name}, type for the client"),
        content_type,
        client_content_type(original).unwrap_or_default(),
    );
    if let Ok(Ok(received)) = decode(received.header("content-type"), &received.body, Sender::Provider) {
        same(&format!("{name}, answer to the client"), &answer, &received, report);
    }
}

/// What a client was refused for its message, by the code that it saw.
fn refused(
    name: &str,
    request: Result<Result<Whole, Bytes>, Fault>,
    received: &Recorded,
    report: &mut Cases,
) {
    let Ok(Envelope::Fault(stated)) = Envelope::parse(received.body.clone().into()) else { return };
    match request {
        Err(fault) => {
            let code = fault.from_origin(Origin::Client).code;
            report.case(format!("{name}, code"), stated.fault.code, code);
        }
        // What is wrong with it shows later: who calls, and what.
        Ok(_) => report.case(format!("{name}, origin"), true, stated.fault.code.starts_with("server.")),
    }
}

fn transported(recorded: &Recorded, direction: Direction) -> Option<Whole> {
    let events = decode_transport(&recorded.body, recorded.header("content-type")?, direction).ok()?;
    let mut whole: Option<Whole> = None;
    for event in events {
        match (event, &mut whole) {
            (transport::Event::Soap { headers, message }, _) => {
                whole = Some(Whole { headers, message, attachments: Vec::new() });
            }
            (transport::Event::Attachment(headers), Some(whole)) => {
                whole.attachments.push((headers, Vec::new()))
            }
            (transport::Event::Body(piece), Some(whole)) => {
                if let Some((_, body)) = whole.attachments.last_mut() {
                    body.extend_from_slice(&piece);
                }
            }
            (transport::Event::Fault(_), _) => return None,
            _ => {}
        }
    }
    whole
}

/// The same message: its octets and those of the attachments. X-Road loses the order of part headers, and
/// gives plain messages a content type of its own (§2.5, §2.8).
fn same(name: &str, one: &Whole, other: &Whole, report: &mut Cases) {
    let octets = one.message.octets() == other.message.octets();
    report.case(format!("{name}, message"), "same octets", if octets { "same octets" } else { "others" });
    report.case(format!("{name}, attachments"), shown(&one.attachments), shown(&other.attachments));
    let is_plain = |whole: &Whole| {
        whole.headers.other().next().is_none()
            && whole
                .headers
                .content_type()
                .is_some_and(|found| found.eq_ignore_ascii_case(PLAIN_CONTENT_TYPE))
    };
    if !is_plain(one) || !is_plain(other) {
        report.case(format!("{name}, headers of the message"), sorted(&one.headers), sorted(&other.headers));
    }
}

fn sorted(headers: &PartHeaders) -> String {
    let mut lines: Vec<_> = headers.other().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    format!("{}; {}", headers.content_type().unwrap_or_default(), lines.join("; "))
}

fn shown(attachments: &[(PartHeaders, Vec<u8>)]) -> String {
    let digest = |body: &[u8]| protocol::digest::DigestAlgorithm::Sha256.digest(body).to_hex();
    attachments.iter().map(|(headers, body)| format!("[{} {}]", sorted(headers), digest(body))).collect()
}

/// §8.4: the worked request and response.
pub(super) fn worked(folder: &Path, expected: &serde_json::Value, report: &mut Cases) {
    let text = |key: &str| expected.get("soap").and_then(|soap| soap.get(key)).cloned().unwrap_or_default();
    let (Ok(request), Ok(provided)) = (
        SoapMessage::parse(read(&folder.join("soap-request.xml")).into()),
        SoapMessage::parse(read(&folder.join("soap-response-from-provider.xml")).into()),
    ) else {
        return report.case("worked SOAP messages", "accepted", "refused");
    };
    let hash = request.digest();
    let stated = text("request_hash_b64");
    report.case("worked SOAP request, hash", stated.as_str().unwrap_or_default(), hash.to_base64());
    let answer = provided.with_request_hash(&hash);
    let same = answer.octets() == &read(&folder.join("soap-response-with-requesthash.xml"));
    report.case("worked SOAP response, with the hash of its request", true, same);
    let stated = text("sha512_response_b64");
    report.case(
        "worked SOAP response, digest",
        stated.as_str().unwrap_or_default(),
        answer.digest().to_base64(),
    );
    let fits = answer.check_answers(&request, &hash).is_ok();
    report.case("worked SOAP response, answers its request", true, fits);
}
