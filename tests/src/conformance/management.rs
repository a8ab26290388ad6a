//! Management requests: the bodies with verdicts, and what a running federation recorded.
//!
//! Of the recordings, the registration has everything; of client requests only the messages were logged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::profile::Profile;
use certs::trust::TrustStore;
use protocol::configuration::{
    ApprovedCa, CaCertificate, GlobalConfiguration, Instance, SharedParameters, directory, private, shared,
};
use protocol::digest::DigestAlgorithm;
use protocol::fault::Fault;
use protocol::id::{ClientId, MemberId};
use protocol::management::{Change, ManagementRequest, Received, RequestType, accept, check_answer};
use protocol::soap::SoapMessage;
use protocol::time::UtcTime;
use registry::management::{Checked, Port, View, check};
use serde_json::Value;

use super::http::Recorded;
use super::{Cases, files_below, read};

/// The time of the recorded registration, as its answer has it.
pub const RECORDED_AT: &str = "2026-11-24T03:08:05Z";

/// The folder `admin-api/management-requests`.
pub fn worked(vectors: &Path) -> Cases {
    let folder = vectors.join("admin-api/management-requests");
    let mut report = Cases::default();
    let expected: Value =
        serde_json::from_slice(&read(&folder.join("worked/expected.json"))).unwrap_or_default();
    let text = |key: &str| expected.get(key).and_then(Value::as_str).unwrap_or_default();
    let now: UtcTime = text("clock").parse().unwrap_or(UtcTime::from_seconds(0));
    let view = worked_view(&folder.join("worked/ca.pem"), text("instance"), now);
    for (name, case) in expected.get("cases").and_then(Value::as_object).into_iter().flatten() {
        let body = read(&folder.join("worked").join(name));
        let digest = protocol::digest::hex(DigestAlgorithm::Sha256.digest(&body).bytes());
        let field = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or_default();
        report.case(format!("{name}, octets"), field("sha256"), digest);
        let checked = Received::read(text("content_type"), body.into())
            .and_then(|received| check(&received, Port::Registration, &view, now));
        report.case(name, field("expected"), verdict(checked));
    }
    samples(&folder, &mut report);
    report
}

fn verdict(checked: Result<Checked, Fault>) -> String {
    match checked {
        Ok(checked) if checked.is_dry_run() => "requestId 0, nothing stored".to_owned(),
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.code.into_owned(),
    }
}

fn worked_view(ca: &Path, instance: &str, now: UtcTime) -> View {
    let authority = Certificate::from_pem_or_der(&read(ca));
    let shared = SharedParameters {
        instance: instance.to_owned(),
        approved_cas: authority
            .map(|authority| ApprovedCa {
                name: "CW test CA".to_owned(),
                top: CaCertificate { certificate: authority.der().to_vec(), ocsp: Vec::new() },
                certificate_profile: Profile::Ejbca.class_name(),
                ..ApprovedCa::default()
            })
            .into_iter()
            .collect(),
        ocsp_freshness_seconds: 3600,
        ..SharedParameters::default()
    };
    let provider =
        MemberId::new(instance, "GOV", "1001").and_then(|member| ClientId::new(member, Some("management")));
    view(shared, provider.expect("an identifier"), now)
}

fn view(shared: SharedParameters, provider: ClientId, now: UtcTime) -> View {
    let own_instance = shared.instance.clone();
    let instance = Arc::new(Instance::new(shared, 6, now));
    let instances = [(own_instance.clone(), instance)].into();
    let trust = Arc::new(TrustStore::new(Arc::new(GlobalConfiguration { own_instance, instances })));
    View { trust, provider, provider_addresses: Vec::new() }
}

/// The messages of the published samples: each is read as what its name says, and our answer is the
/// sample's, save for the number, the hash and white space between elements.
fn samples(folder: &Path, report: &mut Cases) {
    for path in files_below(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((number, kind)) = name.split_once('-').filter(|_| name.contains(".request.")) else {
            continue;
        };
        let code = kind.split('.').next().unwrap_or_default();
        // The certificate in this sample is not base64.
        if code == "authCertReg" {
            report.skip(&name, "its certificate is not base64, as the specification says");
            continue;
        }
        let sample = String::from_utf8_lossy(&read(&path)).into_owned();
        let message = envelope(&sample).and_then(|text| SoapMessage::parse(text.to_owned().into()).ok());
        let Some(message) = message else {
            report.case(&name, "read", "not read");
            continue;
        };
        let request =
            ManagementRequest::of(&message).map(|request| request.change.request_type().service_code());
        report.case(&name, code, request.unwrap_or("refused"));
        // The answers of these two samples are about another client than the requests.
        if ["clientDisable", "clientEnable"].contains(&code) {
            report.skip(format!("{name}, answer"), "its client is not that of the request");
            continue;
        }
        let answer_file =
            String::from_utf8_lossy(&read(&folder.join(format!("{number}-{code}.response.xml"))))
                .into_owned();
        let expected = SoapMessage::parse(answer_file.clone().into()).ok();
        let stated = expected.as_ref().and_then(|answer| check_answer(&message, answer).ok().flatten());
        let ours = accept(&message, stated.unwrap_or_default());
        let ours = ours.map(|answer| String::from_utf8_lossy(&answer.wrapper_octets()).into_owned());
        let theirs = expected.map(|answer| String::from_utf8_lossy(&answer.wrapper_octets()).into_owned());
        report.case(
            format!("{name}, answer"),
            dense(&theirs.unwrap_or_default()),
            dense(&ours.unwrap_or_default()),
        );
    }
}

/// The XML document inside a sample.
fn envelope(sample: &str) -> Option<&str> {
    let start = sample.find("<?xml")?;
    let end = sample.find("</SOAP-ENV:Envelope>")? + "</SOAP-ENV:Envelope>".len();
    sample.get(start..end)
}

/// Without white space between elements and in base64.
fn dense(text: &str) -> String {
    text.split('<')
        .map(|piece| {
            piece
                .split_once('>')
                .map_or(piece.to_owned(), |(tag, inside)| format!("<{tag}>{}", inside.trim()))
        })
        .collect()
}

/// The folder `management` of the recordings.
pub fn recorded(recordings: &Path) -> Cases {
    let mut report = Cases::default();
    registration(recordings, &mut report);
    clients(&recordings.join("management"), &mut report);
    report
}

fn registration(recordings: &Path, report: &mut Cases) {
    let folder = recordings.join("management");
    let request = Recorded::parse(&read(&folder.join("authCertReg.request.http"))).unwrap_or_default();
    let response = Recorded::parse(&read(&folder.join("authCertReg.response.http"))).unwrap_or_default();
    let now: UtcTime = RECORDED_AT.parse().expect("a time");
    let Some(view) = recorded_view(recordings, now) else {
        return report.case("authCertReg, configuration", "read", "not read");
    };
    let content_type = request.header("content-type").unwrap_or_default();
    let received = match Received::read(content_type, request.body.clone().into()) {
        Ok(received) => received,
        Err(fault) => return report.case("authCertReg", "read", fault),
    };
    report.case(
        "authCertReg, verdict",
        "accepted",
        verdict(check(&received, Port::Registration, &view, now)),
    );
    let answer = accept(received.message(), 8).map(|answer| answer.octets().clone()).unwrap_or_default();
    report.case("authCertReg, answer", true, answer == response.body);
    let again = received.registration().and_then(|parts| {
        let boundary = content_type.rsplit('=').next().unwrap_or_default();
        parts.write(received.message(), boundary)
    });
    report.case("authCertReg, written again", true, again.is_ok_and(|again| again == request.body));
    built("authCertReg", received.message(), report);
}

/// What the recorded registry checked requests against.
pub fn recorded_view(recordings: &Path, now: UtcTime) -> Option<View> {
    let files = files_below(&recordings.join("globalconf/parts"));
    let newest = |name: &str| {
        let of_version = |path: &&std::path::PathBuf| {
            path.file_name().is_some_and(|found| found.to_string_lossy().contains(name))
                && path.to_string_lossy().contains("V6")
        };
        files.iter().rfind(of_version).map(|path| read(path))
    };
    let shared = shared::parse(&newest(directory::SHARED_PARAMETERS_FILE)?, 6).ok()?;
    let private = private::parse(&newest(directory::PRIVATE_PARAMETERS_FILE)?, 6).ok()?;
    Some(view(shared, private.management_service_provider, now))
}

/// Client requests as the provider's and the consumer's server logged them. The answers have gone through
/// the provider's server, which adds the hash of the request, and writes the XML declaration anew and a line
/// break at the end.
fn clients(folder: &Path, report: &mut Cases) {
    let mut requests: BTreeMap<String, SoapMessage> = BTreeMap::new();
    let mut answers: Vec<(String, SoapMessage)> = Vec::new();
    for path in files_below(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".xml") {
            continue;
        }
        match SoapMessage::parse(Bytes::from(read(&path))) {
            Ok(message) if message.is_response() => answers.push((name, message)),
            Ok(message) => {
                let request = ManagementRequest::of(&message);
                let kind = request.map(|request| match request.change {
                    Change::ClientReg { subsystem_name: None, .. } => RequestType::ClientReg.service_code(),
                    _ => "another request",
                });
                report.case(&name, "clientReg", kind.unwrap_or("refused"));
                built(&name, &message, report);
                requests.insert(message.id().to_owned(), message);
            }
            Err(fault) => report.case(&name, "read", fault),
        }
    }
    for (name, answer) in answers {
        let Some(request) = requests.get(answer.id()) else {
            report.case(&name, "an answer to a recorded request", "none");
            continue;
        };
        let number = check_answer(request, &answer).ok().flatten().unwrap_or_default();
        let ours = accept(request, number).map(|ours| ours.with_request_hash(&request.digest()));
        let ours = ours.map(|ours| String::from_utf8_lossy(ours.octets()).into_owned()).unwrap_or_default();
        let mut ours = ours.replace(
            "<?xml version=\"1.0\" encoding=\"utf-8\" ?>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        );
        ours.push('\n');
        report.case(&name, true, ours.as_bytes() == &answer.octets()[..]);
    }
}

/// The message that we would send for the same request.
fn built(name: &str, message: &SoapMessage, report: &mut Cases) {
    let ours = ManagementRequest::of(message)
        .and_then(|request| request.to_soap(message.service().provider(), message.id()))
        .map(|ours| String::from_utf8_lossy(ours.octets()).into_owned());
    report.case(format!("{name}, built by us"), true, ours.is_ok_and(|ours| ours == comparable(message)));
}

/// A recorded message in the form that we write: the XML declaration, and a namespace that is declared and
/// not used.
fn comparable(message: &SoapMessage) -> String {
    String::from_utf8_lossy(message.octets())
        .replace("<?xml version=\"1.0\" encoding=\"utf-8\" ?>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .replace(" xmlns:ns4=\"http://x-road.eu/xsd/representation.xsd\"", "")
}
