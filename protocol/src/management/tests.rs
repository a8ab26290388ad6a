use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::fault::{Fault, code};
use crate::id::MemberId;
use crate::soap::SoapMessage;

const BOUNDARY: &str = "xroadABCDEFGHIJKLMNOPQRSTUVWXYZabcd";

fn owner() -> MemberId {
    MemberId::new("CW", "GOV", "1001").unwrap()
}

fn provider() -> ClientId {
    ClientId::new(owner(), Some("management")).unwrap()
}

fn subsystem() -> ClientId {
    ClientId::new(MemberId::new("CW", "COM", "2 & Söhne").unwrap(), Some("shop")).unwrap()
}

fn request(change: Change) -> ManagementRequest {
    ManagementRequest { server: SecurityServerId::new(owner(), "SS1").unwrap(), change }
}

/// One of each kind, and the variants of optional elements.
fn all() -> Vec<Change> {
    let client = subsystem();
    let certificate = vec![0x30, 3, 1, 1, 0xff];
    vec![
        Change::AuthCertReg {
            address: Some("ss1.example".into()),
            certificate: certificate.clone(),
            dry_run: false,
        },
        Change::AuthCertReg { address: None, certificate: certificate.clone(), dry_run: true },
        Change::AuthCertDeletion { certificate },
        Change::ClientReg { client: client.clone(), subsystem_name: None },
        Change::ClientReg { client: client.clone(), subsystem_name: Some("A <shop> & more".into()) },
        Change::ClientReg { client: owner().into(), subsystem_name: None },
        Change::ClientDeletion { client: client.clone() },
        Change::ClientDisable { client: client.clone() },
        Change::ClientEnable { client: client.clone() },
        Change::ClientRename { client, subsystem_name: String::new() },
        Change::OwnerChange { client: owner().into() },
        Change::AddressChange { address: "192.0.2.1".into() },
        Change::MaintenanceModeEnable { message: None },
        Change::MaintenanceModeEnable { message: Some(" until\r\n\tnoon ]]> & ".into()) },
        Change::MaintenanceModeDisable,
    ]
}

fn soap(change: Change) -> SoapMessage {
    request(change).to_soap(&provider(), "an-id").unwrap()
}

fn changed(message: &SoapMessage, from: &str, to: &str) -> Result<SoapMessage, Fault> {
    let text = String::from_utf8(message.octets().to_vec()).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text, "{from}");
    SoapMessage::parse(changed.into())
}

#[test]
fn requests_are_read_as_they_were_written() {
    let kinds: Vec<RequestType> = all().iter().map(Change::request_type).collect();
    for kind in RequestType::ALL {
        assert!(kinds.contains(&kind), "{kind:?}");
        assert_eq!(RequestType::from_service_code(&kind.service_code().to_uppercase()), Some(kind));
    }
    for change in all() {
        let message = soap(change.clone());
        assert_eq!(message.client(), &ClientId::from(owner()));
        assert_eq!(message.service().provider(), &provider());
        assert_eq!((message.id(), message.protocol_version()), ("an-id", "4.0"));
        assert_eq!(message.wrapper(), (crate::soap::XROAD_NAMESPACE, change.request_type().service_code()));
        assert_eq!(ManagementRequest::of(&message), Ok(request(change)));
    }
}

/// The form that X-Road writes, for a reader that looks at more than the elements.
#[test]
fn a_request_is_written_as_others_write_it() {
    let message = soap(Change::ClientReg { client: owner().into(), subsystem_name: None });
    let member = "<id:xRoadInstance>CW</id:xRoadInstance><id:memberClass>GOV</id:memberClass>\
                  <id:memberCode>1001</id:memberCode>";
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope \
         xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\" xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\">\
         <SOAP-ENV:Header><xroad:client id:objectType=\"MEMBER\">{member}</xroad:client>\
         <xroad:service id:objectType=\"SERVICE\">{member}<id:subsystemCode>management</id:subsystemCode>\
         <id:serviceCode>clientReg</id:serviceCode></xroad:service><xroad:id>an-id</xroad:id>\
         <xroad:protocolVersion>4.0</xroad:protocolVersion></SOAP-ENV:Header><SOAP-ENV:Body>\
         <xroad:clientReg><xroad:server id:objectType=\"SERVER\">{member}<id:serverCode>SS1</id:serverCode>\
         </xroad:server><xroad:client id:objectType=\"MEMBER\">{member}</xroad:client></xroad:clientReg>\
         </SOAP-ENV:Body></SOAP-ENV:Envelope>"
    );
    assert_eq!(String::from_utf8(message.octets().to_vec()).unwrap(), expected);
}

#[test]
fn bodies_follow_their_schema() {
    let registration =
        Change::AuthCertReg { address: Some("ss1".into()), certificate: vec![1, 2, 3], dry_run: true };
    let client = Change::ClientReg { client: subsystem(), subsystem_name: Some("Shop".into()) };
    let (invalid, identifier) = (code::INVALID_REQUEST, code::INVALID_CLIENT_IDENTIFIER);
    let check = |change: &Change, from: &str, to: &str, expected: &'static str| {
        let message = changed(&soap(change.clone()), from, to).unwrap();
        let got = ManagementRequest::of(&message).map_err(|fault| fault.code.into_owned());
        assert_eq!(got.map(drop), Err(expected.to_owned()), "{from} {to}");
    };
    for (from, to, expected) in [
        (">AQID<", ">AQI<", invalid),
        (">AQID<", "><xroad:x/><", invalid),
        ("true</", "yes</", invalid),
        ("</xroad:dryRun>", "</xroad:dryRun><xroad:dryRun>true</xroad:dryRun>", invalid),
        ("</xroad:dryRun>", "</xroad:dryRun><xroad:requestId>1</xroad:requestId>", invalid),
        ("</xroad:dryRun>", "</xroad:dryRun><xroad:later/>", invalid),
        ("<xroad:address>ss1</xroad:address>", "", ""),
        ("<xroad:authCert>AQID</xroad:authCert>", "", invalid),
        ("\"SERVER\"", "\"MEMBER\"", invalid),
        ("<id:serverCode>SS1</id:serverCode>", "", invalid),
        ("<id:serverCode>SS1", "<id:serverCode>", identifier),
        ("<id:serverCode>SS1", "<id:serverCode> ", identifier),
        ("<id:serverCode>SS1", "<id:serverCode>SS/1", identifier),
        ("<id:serverCode>SS1", "<id:serverCode>SS\u{200b}1", identifier),
        ("<id:serverCode>SS1", "<id:serverCode>SS&#9;1", identifier),
        ("<xroad:authCertReg>", "<authCertReg xmlns=\"other\">", "not well-formed"),
    ] {
        match expected {
            "" => {
                let message = changed(&soap(registration.clone()), from, to).unwrap();
                assert!(ManagementRequest::of(&message).is_ok(), "{from}");
            }
            "not well-formed" => assert!(changed(&soap(registration.clone()), from, to).is_err()),
            expected => check(&registration, from, to, expected),
        }
    }
    let long = "x".repeat(256);
    for (from, to, expected) in [
        ("\"SUBSYSTEM\"", "\"MEMBER\"", invalid),
        ("\"SUBSYSTEM\"", "\"SERVICE\"", invalid),
        ("<id:subsystemCode>shop</id:subsystemCode>", "", invalid),
        ("<id:subsystemCode>shop", "<id:subsystemCode>a;b", identifier),
        ("<id:subsystemCode>shop", &format!("<id:subsystemCode>{long}"), identifier),
        ("<xroad:subsystemName>", "<xroad:subsystemName/><xroad:subsystemName>", invalid),
    ] {
        check(&client, from, to, expected);
    }
    let rename = Change::ClientRename { client: subsystem(), subsystem_name: "Shop".into() };
    check(&rename, "<xroad:subsystemName>Shop</xroad:subsystemName>", "", invalid);
    // The codes of services are the only kinds there are.
    let other = Change::MaintenanceModeDisable;
    let text = String::from_utf8(soap(other).octets().to_vec()).unwrap();
    let other = SoapMessage::parse(text.replace("maintenanceModeDisable", "reboot").into()).unwrap();
    assert_eq!(ManagementRequest::of(&other).unwrap_err().code, invalid);
}

#[test]
fn answers_are_requests_with_a_number() {
    for change in all() {
        let message = soap(change.clone());
        let name = change.request_type().service_code();
        let answer = accept(&message, 392).unwrap();
        let text = String::from_utf8(message.octets().to_vec()).unwrap();
        let expected = text.replace(&format!("<xroad:{name}>"), &format!("<xroad:{name}Response>")).replace(
            &format!("</xroad:{name}>"),
            &format!("<xroad:requestId>392</xroad:requestId></xroad:{name}Response>"),
        );
        assert_eq!(String::from_utf8(answer.octets().to_vec()).unwrap(), expected);
        assert_eq!(check_answer(&message, &answer), Ok(Some(392)));
        assert!(check_answer(&message, &message).is_err(), "a request is no answer");
        let silent = changed(&answer, "<xroad:requestId>392</xroad:requestId>", "").unwrap();
        assert_eq!(check_answer(&message, &silent), Ok(None));
        let foreign = changed(&answer, "an-id", "another").unwrap();
        assert_eq!(
            check_answer(&message, &foreign).unwrap_err().code,
            "service_failed.inconsistent_response"
        );
    }
}

#[test]
fn answers_keep_the_prefixes_of_the_request() {
    let message = soap(Change::MaintenanceModeDisable);
    let plain = String::from_utf8(message.octets().to_vec())
        .unwrap()
        .replace(
            "<xroad:maintenanceModeDisable>",
            "<maintenanceModeDisable\n xmlns = 'http://x-road.eu/xsd/xroad.xsd' >",
        )
        .replace("</xroad:maintenanceModeDisable>", "</maintenanceModeDisable\n>");
    let message = SoapMessage::parse(plain.into()).unwrap();
    assert_eq!(check_answer(&message, &accept(&message, 7).unwrap()), Ok(Some(7)));
}

fn signature(name: &str) -> PartSignature {
    PartSignature { algorithm: name.into(), value: Bytes::from_static(b"\r\n--\x00signature\n") }
}

fn registration() -> RegistrationParts {
    RegistrationParts {
        possession: signature("SHA512withRSA"),
        consent: signature("SHA512withECDSA"),
        authentication_certificate: Bytes::from_static(b"authentication"),
        owner_certificate: Bytes::from_static(b"owner"),
        owner_ocsp: Bytes::from_static(b"ocsp"),
    }
}

#[test]
fn multiparts_are_read_as_they_were_written() {
    let message = soap(all().remove(0));
    let body = registration().write(&message, BOUNDARY).unwrap();
    let start = format!("--{BOUNDARY}\r\ncontent-type:text/xml; charset=UTF-8\r\n\r\n<?xml");
    assert!(
        body.starts_with(start.as_bytes()) && body.ends_with(format!("\r\n--{BOUNDARY}--\r\n").as_bytes())
    );
    for content_type in [
        content_type(BOUNDARY),
        format!("multipart/related; boundary=\"{BOUNDARY}\""),
        format!("Multipart/Related;boundary={BOUNDARY};type=\"application/octet-stream\""),
    ] {
        for before in ["", "\r\n"] {
            let body = Bytes::from([before.as_bytes(), &body].concat());
            let received = Received::read(&content_type, body).unwrap();
            assert_eq!(received.message(), &message);
            assert_eq!(received.registration(), Ok(registration()));
        }
    }
    let signed = SignedParts {
        signature: signature("SHA256withRSAandMGF1"),
        certificate: Bytes::from_static(b"certificate"),
        ocsp: Bytes::from_static(b"ocsp"),
    };
    let message = soap(Change::MaintenanceModeDisable);
    let received = Received::read(&content_type(BOUNDARY), signed.write(&message, BOUNDARY).unwrap());
    assert_eq!(received.unwrap().signed(), Ok(signed));
    let received = Received::read("text/xml;charset=UTF-8", message.octets().clone()).unwrap();
    assert_eq!(received.unsigned(), Ok(()));
    let collision =
        RegistrationParts { owner_ocsp: format!("a\r\n--{BOUNDARY}\r\n").into(), ..registration() };
    assert_eq!(collision.write(&message, BOUNDARY).unwrap_err().code, code::INVALID_CONTENT_TYPE);
}

#[test]
fn missing_and_superfluous_parts_have_their_codes() {
    let message = soap(all().remove(0));
    let read = |body: Bytes| Received::read(&content_type(BOUNDARY), body).unwrap();
    let code_of = |body: Bytes| read(body).registration().map(drop).map_err(|fault| fault.code.into_owned());
    let invalid = Err(code::INVALID_REQUEST.to_owned());
    assert_eq!(code_of(soap_only(&message, BOUNDARY).unwrap()), invalid);
    let whole = registration().write(&message, BOUNDARY).unwrap();
    assert_eq!(code_of(whole.clone()), Ok(()));
    for from in ["SHA512withECDSA", "authentication", "owner", "ocsp"] {
        let text = String::from_utf8(whole.to_vec()).unwrap();
        // Only the last occurrence is the part itself.
        let at = text.rfind(&format!("{from}\r\n")).unwrap();
        let body = [&text[..at], &text[at + from.len()..]].concat();
        assert_eq!(code_of(body.into()), invalid, "{from}");
    }
    let seventh = [
        whole.strip_suffix(b"--\r\n").unwrap(),
        format!("\r\ncontent-type:text/plain\r\n\r\nx\r\n--{BOUNDARY}--\r\n").as_bytes(),
    ]
    .concat();
    assert_eq!(code_of(seventh.into()), Err(code::INTERNAL_ERROR.to_owned()));
    assert_eq!(read(whole.clone()).signed().unwrap_err().code, code::INTERNAL_ERROR);
    assert_eq!(read(whole).unsigned().unwrap_err().code, code::INTERNAL_ERROR);
    let fault = crate::transport::write_fault(&Fault::new("Server.Broken", "x"));
    assert_eq!(Received::read("text/xml", fault.into()).unwrap_err().code, "server.broken");
}

proptest! {
    #[test]
    fn any_octets_can_be_signatures(value in proptest::collection::vec(any::<u8>(), 1..64)) {
        let message = soap(Change::MaintenanceModeDisable);
        let signed = SignedParts {
            signature: PartSignature { algorithm: "SHA512withRSA".into(), value: value.into() },
            certificate: Bytes::from_static(b"\n"),
            ocsp: Bytes::from_static(b"\r\n\r\n"),
        };
        let received = Received::read(&content_type(BOUNDARY), signed.write(&message, BOUNDARY).unwrap()).unwrap();
        prop_assert_eq!(received.signed(), Ok(signed));
        prop_assert_eq!(received.message().octets(), message.octets());
    }
}
