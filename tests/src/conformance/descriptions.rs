//! `admin-api/service-descriptions`: what becomes of each file when it is added to a client, as the
//! table of the vectors' README says.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gateway::ports::ServiceType;
use security_server::description::catalogue::{self, Source};
use security_server::description::{DescriptionError, Document, OpenApi, full_code, validate};
use security_server::state::ClientSettings;

use super::{Cases, read};

const WSDL_URL: &str = "http://provider.example/wsdl/";
const OPENAPI_URL: &str = "http://provider.example/openapi/";

/// All files of the folder.
pub fn cases(vectors: &Path) -> Cases {
    let folder = vectors.join("admin-api/service-descriptions");
    let mut cases = Cases::default();
    wsdls(&folder.join("wsdl"), &mut cases);
    open_apis(&folder.join("openapiparser"), &mut cases);
    cases
}

fn wsdls(folder: &Path, cases: &mut Cases) {
    let xroad = "xroadGetRandom.v1 xroadSmallAttachment.v1 xroadBigAttachment.v1";
    let all = [":", ";", "\\", "/", "%", "/../"].map(|part| format!("xroadGetRandom{part}aa")).join(" ");
    for (file, expected) in [
        ("valid.wsdl", xroad.to_owned()),
        ("valid-getrandom.wsdl", "xroadGetRandom.v1".to_owned()),
        ("valid-smallattachment.wsdl", "xroadSmallAttachment.v1".to_owned()),
        ("valid-additional-services.wsdl", "getRandom.v1 helloService.v1".to_owned()),
        ("invalid-servicecode-all.wsdl", format!("invalid_wsdl_service_identifier {all}")),
        ("invalid.wsdl", "invalid_wsdl".to_owned()),
        ("xxe.wsdl", "invalid_wsdl".to_owned()),
        ("invalid-serviceurl.wsdl", "invalid_service_url".to_owned()),
        ("invalid-servicecode-colon.wsdl", "invalid_wsdl_service_identifier xroadGetRandom:aa".to_owned()),
        ("invalid-serviceversion-percent.wsdl", "invalid_wsdl_service_identifier v1%234".to_owned()),
    ] {
        let outcome = add(&mut ClientSettings::default(), folder, file);
        let got = match outcome {
            Ok(codes) => codes,
            Err(DescriptionError::Identifier(parts)) => {
                format!("invalid_wsdl_service_identifier {}", parts.join(" "))
            }
            Err(error) => error.code().to_owned(),
        };
        cases.case(file, expected, got);
    }
    let mut client = ClientSettings::default();
    let _ = add(&mut client, folder, "valid.wsdl");
    let again = add(&mut client, folder, "valid.wsdl");
    cases.case("valid.wsdl twice", "wsdl_exists", code(again.err()));
    let other = add(&mut client, folder, "testservice.wsdl");
    let expected = format!("service_already_exists xroadGetRandom.v1 {WSDL_URL}valid.wsdl");
    let got = match other {
        Err(DescriptionError::ServiceExists(named)) => format!("service_already_exists {}", named.join(" ")),
        other => format!("{other:?}"),
    };
    cases.case("testservice.wsdl after valid.wsdl", expected, got);

    let url = format!("{WSDL_URL}valid.wsdl");
    for (file, added, removed) in
        [("valid-getrandom.wsdl", 0, 2), ("valid-smallattachment.wsdl", 0, 2), ("valid.wsdl", 0, 0)]
    {
        let document = Document::parse(ServiceType::Soap, &read(&folder.join(file)), None, &url);
        let differences = document.and_then(|document| catalogue::compare(&client, &url, &document));
        let got = differences.map(|found| (found.added_services.len(), found.removed_services.len())).ok();
        let name = format!("valid.wsdl refreshed with {file}");
        cases.case(name, format!("{:?}", Some((added, removed))), format!("{got:?}"));
    }
    // A warning may be ignored and an error may not; which it is, an outside program says.
    for (file, script, expected) in [
        ("warning.wsdl", "echo WARNING: part without element", "wsdl_validation_warnings"),
        ("error.wsdl", "echo ERROR: message not found; exit 1", "wsdl_validation_failed"),
    ] {
        let name = format!("{file}, judged by a validator");
        cases.case(name, format!("read, {expected}"), judged(folder, file, script));
    }
}

fn add(client: &mut ClientSettings, folder: &Path, file: &str) -> Result<String, DescriptionError> {
    let url = format!("{WSDL_URL}{file}");
    let Document::Wsdl(document) =
        Document::parse(ServiceType::Soap, &read(&folder.join(file)), Some("text/xml"), &url)?
    else {
        return Ok("not a WSDL".to_owned());
    };
    let keys = catalogue::add(client, Source::Wsdl { url: &url, document: &document }, false)?;
    Ok(keys.iter().map(full_code).collect::<Vec<_>>().join(" "))
}

/// Whether a WSDL is read, and what a validator with this script makes of it.
fn judged(folder: &Path, file: &str, script: &str) -> String {
    let read = match Document::parse(ServiceType::Soap, &read(&folder.join(file)), None, WSDL_URL) {
        Ok(_) => "read",
        Err(error) => error.code(),
    };
    let verdict = (|| {
        let place = tempfile::tempdir()?;
        let program = place.path().join("validator");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok::<_, std::io::Error>(runtime.block_on(validate(&program, &format!("{WSDL_URL}{file}"))))
    })();
    let verdict = match verdict {
        Ok(Ok(warnings)) => warnings.iter().map(|warning| warning.kind.code()).collect::<Vec<_>>().join(" "),
        Ok(Err(error)) => error.code().to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{read}, {verdict}")
}

fn code(error: Option<DescriptionError>) -> &'static str {
    error.map_or("accepted", |error| error.code())
}

fn open_apis(folder: &Path, cases: &mut Cases) {
    let plain = "https://example.org/api";
    for (file, expected) in [
        ("valid.yaml", format!("3.0.2 {plain} 2 endpoints, warnings: false")),
        ("valid.json", format!("3.0.2 {plain} 2 endpoints, warnings: false")),
        ("valid_modified.yaml", format!("3.0.2 {plain} 3 endpoints, warnings: false")),
        ("v310.yaml", format!("3.1.0 {plain} 3 endpoints, warnings: false")),
        ("v310.json", format!("3.1.0 {plain} 3 endpoints, warnings: false")),
        ("warnings.yml", "3.0.0 https://{securityserver}/r1 2 endpoints, warnings: true".to_owned()),
        ("duplicateendpoint.yaml", "openapi_parsing_error".to_owned()),
        ("invalid_version.yaml", "unsupported_openapi_version".to_owned()),
        ("invalid_version.json", "unsupported_openapi_version".to_owned()),
    ] {
        let got = match open_api(folder, file) {
            Ok(found) => {
                let (endpoints, has_warnings) = (found.endpoints.len(), !found.warnings.is_empty());
                format!(
                    "{} {} {endpoints} endpoints, warnings: {has_warnings}",
                    found.version, found.base_url
                )
            }
            Err(error) => error.code().to_owned(),
        };
        cases.case(file, expected, got);
    }
    cases.case("valid.yaml refreshed with valid_modified.yaml", "2 added, 1 removed", refreshed(folder));
}

fn open_api(folder: &Path, file: &str) -> Result<OpenApi, DescriptionError> {
    let url = format!("{OPENAPI_URL}{file}");
    match Document::parse(ServiceType::OpenApi, &read(&folder.join(file)), None, &url)? {
        Document::OpenApi(document) => Ok(document),
        Document::Wsdl(_) => Err(DescriptionError::OpenApi("it is a WSDL".to_owned())),
    }
}

fn refreshed(folder: &Path) -> String {
    let url = format!("{OPENAPI_URL}valid.yaml");
    let mut client = ClientSettings::default();
    let differences = open_api(folder, "valid.yaml").and_then(|document| {
        catalogue::add(&mut client, Source::OpenApi { url: &url, document: &document, code: "test" }, false)?;
        let modified = Document::OpenApi(open_api(folder, "valid_modified.yaml")?);
        catalogue::compare(&client, &url, &modified)
    });
    match differences {
        Ok(found) => {
            format!("{} added, {} removed", found.added_endpoints.len(), found.removed_endpoints.len())
        }
        Err(error) => error.to_string(),
    }
}
