//! What is refused, with its code, and what is not.

use bytes::Bytes;
use causeway_tests::testkit::TestInstance;
use certs::key::KeyKind;
use protocol::digest::DigestAlgorithm;
use protocol::id::SecurityServerId;
use protocol::management::{Change, ManagementRequest, soap_only};
use protocol::soap::SoapMessage;
use registry::management::Port;

use crate::draft::{BOUNDARY, Kit, Registration, multipart};

type Fault = (&'static str, fn(&Kit, &mut Registration), &'static str);

/// A registration with one fault each, in the order of the checks.
const REGISTRATIONS: [Fault; 16] = [
    (
        "an authentication certificate of nobody",
        |kit, draft| {
            let stranger = TestInstance::new("CW", kit.instance.now());
            draft.authentication = stranger.credentials().authentication(&kit.server.id);
            draft.shown = draft.authentication.certificate.der().clone();
            certificate(draft);
        },
        "cert_validation",
    ),
    (
        "an expired authentication certificate",
        |kit, draft| {
            draft.authentication = kit.instance.expired_credentials().authentication(&kit.server.id);
            draft.shown = draft.authentication.certificate.der().clone();
            certificate(draft);
        },
        "cert_validation",
    ),
    (
        "a signing certificate in the place of the authentication certificate",
        |kit, draft| {
            draft.authentication = kit.owner.clone();
            draft.shown = draft.authentication.certificate.der().clone();
            certificate(draft);
        },
        "cert_validation",
    ),
    (
        "rubbish in the place of the authentication certificate",
        |_, draft| {
            draft.shown = Bytes::from_static(b"rubbish");
        },
        "cert_validation",
    ),
    (
        "another key than that of the authentication certificate",
        |kit, draft| {
            draft.authentication = kit.instance.credentials().authentication(&kit.server.id);
        },
        "invalid_signature_value",
    ),
    (
        "an authentication certificate in the place of the owner's",
        |kit, draft| {
            draft.owner = kit.server.authentication.clone();
            draft.ocsp = kit.ocsp(&draft.owner);
        },
        "cert_validation",
    ),
    (
        "a revoked owner",
        |kit, draft| {
            // Another one than the other rows have.
            draft.owner = kit.instance.signing("GOV/1001");
            kit.instance.revoke(&draft.owner.certificate);
            draft.ocsp = kit.ocsp(&draft.owner);
        },
        "cert_validation",
    ),
    (
        "an old OCSP response",
        |kit, draft| {
            let before = kit.instance.now().minus(std::time::Duration::from_secs(3601));
            draft.ocsp = kit.instance.ocsp_at(&draft.owner.certificate, before).der().clone();
        },
        "incorrect_validation_info",
    ),
    (
        "the OCSP response of somebody else",
        |kit, draft| {
            draft.ocsp = kit.ocsp(&kit.other);
        },
        "incorrect_validation_info",
    ),
    (
        "rubbish in the place of the OCSP response",
        |_, draft| {
            draft.ocsp = Bytes::from_static(b"rubbish");
        },
        "incorrect_validation_info",
    ),
    (
        "another provider",
        |kit, draft| {
            draft.provider = kit.instance.client("GOV/1001/permits");
        },
        "invalid_request",
    ),
    (
        "another certificate in the body",
        |kit, draft| {
            let other = kit.instance.credentials().authentication(&kit.server.id);
            draft.authentication = other;
            draft.shown = draft.authentication.certificate.der().clone();
        },
        "cert_validation",
    ),
    (
        "the signature of another member",
        |kit, draft| {
            draft.owner = kit.other.clone();
            draft.ocsp = kit.ocsp(&draft.owner);
        },
        "invalid_request",
    ),
    ("an address that is none", |_, draft| address(draft, Some("https://ss1.example/")), "invalid_request"),
    ("no address", |_, draft| address(draft, None), "invalid_request"),
    (
        "a server code with a slash",
        |kit, draft| {
            draft.request.server = SecurityServerId::new(kit.server.id.owner().clone(), "ss/1").unwrap();
        },
        "invalid_client_identifier",
    ),
];

/// Puts the draft's certificate into its body.
fn certificate(draft: &mut Registration) {
    if let Change::AuthCertReg { certificate, .. } = &mut draft.request.change {
        *certificate = draft.authentication.certificate.der().to_vec();
    }
}

fn address(draft: &mut Registration, new: Option<&str>) {
    if let Change::AuthCertReg { address, .. } = &mut draft.request.change {
        *address = new.map(str::to_owned);
    }
}

#[test]
fn registrations_are_refused_with_their_codes() {
    let kit = Kit::new();
    for (name, spoil, expected) in REGISTRATIONS {
        let mut draft = kit.registration();
        assert_eq!(kit.verdict(Port::Registration, &multipart(), draft.body()), Ok(()), "before {name}");
        spoil(&kit, &mut draft);
        let verdict = kit.verdict(Port::Registration, &multipart(), draft.body());
        assert_eq!(verdict, Err(expected.to_owned()), "{name}");
    }
}

#[test]
fn signatures_hold_the_message_and_have_their_places() {
    let kit = Kit::new();
    let (message, parts) = kit.registration().parts().unwrap();
    let check = |message: &SoapMessage, parts: &protocol::management::RegistrationParts, expected: &str| {
        let verdict = kit.verdict(Port::Registration, &multipart(), parts.write(message, BOUNDARY).unwrap());
        assert_eq!(verdict, Err(expected.to_owned()));
    };
    let text = String::from_utf8(message.octets().to_vec()).unwrap();
    let changed = SoapMessage::parse(text.replace("ss1.example", "ss2.example").into()).unwrap();
    check(&changed, &parts, "invalid_signature_value");
    let spaced = SoapMessage::parse(text.replace("</SOAP-ENV:Envelope>", "</SOAP-ENV:Envelope>\n").into());
    check(&spaced.unwrap(), &parts, "invalid_signature_value");
    let mut swapped = parts.clone();
    std::mem::swap(&mut swapped.possession, &mut swapped.consent);
    check(&message, &swapped, "invalid_signature_value");
    for name in ["SHA1withECDSA", "SHA512withRSA", "rubbish"] {
        let mut named = parts.clone();
        named.consent.algorithm = name.to_owned();
        check(&message, &named, "invalid_signature_value");
    }
    let alone = soap_only(&message, BOUNDARY).unwrap();
    let verdict = |body| kit.verdict(Port::Registration, &multipart(), body);
    assert_eq!(verdict(alone), Err("invalid_request".to_owned()));
    // The other service does not register certificates, and this one does nothing else.
    let body = kit.registration().body();
    let elsewhere = kit.verdict(Port::Management, &multipart(), body);
    assert_eq!(elsewhere, Err("invalid_request".to_owned()));
    let disable = Change::ClientDisable { client: kit.instance.client("COM/2002/shop") };
    let body = kit.signed(disable, &kit.other).body();
    assert_eq!(verdict(body), Err("invalid_request".to_owned()));
}

#[test]
fn every_kind_of_key_registers() {
    let kit = Kit::new();
    let mut count = 0;
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            for pss in [false, true] {
                let credentials = kit.instance.credentials().with_keys(kind);
                let mut draft = kit.registration();
                draft.authentication = credentials.authentication(&kit.server.id);
                draft.shown = draft.authentication.certificate.der().clone();
                certificate(&mut draft);
                draft.owner = credentials.signing(kit.server.id.owner());
                draft.ocsp = kit.ocsp(&draft.owner);
                (draft.digest, draft.pss) = (digest, pss);
                let verdict = kit.verdict(Port::Registration, &multipart(), draft.body());
                assert_eq!(verdict, Ok(()), "{kind:?} {digest:?} {pss}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 18);
}

/// Each kind of request, with who has to sign it.
#[test]
fn signed_requests_need_their_signer() {
    let kit = Kit::new();
    let shop = kit.instance.client("COM/2002/shop");
    let member = kit.instance.client("COM/2002");
    let of_client = [
        Change::ClientReg { client: shop.clone(), subsystem_name: Some("Shop".into()) },
        Change::ClientReg { client: member.clone(), subsystem_name: None },
        Change::ClientDisable { client: shop.clone() },
        Change::ClientEnable { client: shop.clone() },
        Change::ClientRename { client: shop.clone(), subsystem_name: "Shop".into() },
        Change::OwnerChange { client: member.clone() },
    ];
    let of_owner = [
        Change::AddressChange { address: "192.0.2.1".into() },
        Change::MaintenanceModeEnable { message: None },
        Change::MaintenanceModeDisable,
    ];
    let all = of_client.into_iter().map(|change| (change, &kit.other, &kit.owner)).chain(
        // X-Road takes these from every member.
        of_owner.into_iter().map(|change| (change, &kit.owner, &kit.other)),
    );
    for (change, signer, stranger) in all {
        let kind = change.request_type();
        let verdict =
            |draft: &crate::draft::Signed| kit.verdict(Port::Management, &multipart(), draft.body());
        let draft = kit.signed(change.clone(), signer);
        assert_eq!(verdict(&draft), Ok(()), "{kind:?}");
        assert_eq!(
            verdict(&kit.signed(change.clone(), stranger)),
            Err("invalid_request".to_owned()),
            "{kind:?} signed by a stranger"
        );
        let mut draft = kit.signed(change.clone(), signer);
        draft.ocsp = kit.ocsp(stranger);
        assert_eq!(verdict(&draft), Err("incorrect_validation_info".to_owned()), "{kind:?}");
        let (message, mut parts) = kit.signed(change.clone(), signer).parts();
        parts.certificate = stranger.certificate.der().clone();
        let body = parts.write(&message, BOUNDARY).unwrap();
        let verdict = kit.verdict(Port::Management, &multipart(), body);
        assert_eq!(verdict, Err("invalid_signature_value".to_owned()), "{kind:?}");
        // Without its parts, as the unsigned requests travel.
        let verdict = kit.verdict(Port::Management, "text/xml", message.octets().clone());
        assert_eq!(verdict, Err("invalid_request".to_owned()), "{kind:?}");
    }
    for (change, expected) in [
        (Change::ClientReg { client: member.clone(), subsystem_name: Some("x".into()) }, "invalid_request"),
        (Change::ClientRename { client: member, subsystem_name: "x".into() }, "invalid_request"),
        (Change::ClientRename { client: shop, subsystem_name: " ".into() }, "invalid_request"),
    ] {
        let verdict = kit.verdict(Port::Management, &multipart(), kit.signed(change, &kit.other).body());
        assert_eq!(verdict, Err(expected.to_owned()));
    }
    let nowhere = Change::AddressChange { address: "ss1:5500".into() };
    let verdict = kit.verdict(Port::Management, &multipart(), kit.signed(nowhere, &kit.owner).body());
    assert_eq!(verdict, Err("invalid_request".to_owned()));
}

#[test]
fn unsigned_requests_are_of_the_owner_and_the_instance() {
    let kit = Kit::new();
    let shop = kit.instance.client("COM/2002/shop");
    let certificate = kit.server.authentication.certificate.der().to_vec();
    for change in [Change::ClientDeletion { client: shop }, Change::AuthCertDeletion { certificate }] {
        let request = ManagementRequest { server: kit.server.id.clone(), change };
        let message = request.to_soap(&kit.provider(), "request-1").unwrap();
        let verdict = |message: &str| {
            let body = Bytes::copy_from_slice(message.as_bytes());
            kit.verdict(Port::Management, "text/xml;charset=UTF-8", body)
        };
        let text = String::from_utf8(message.octets().to_vec()).unwrap();
        assert_eq!(verdict(&text), Ok(()));
        // The first occurrence is that of the header, which says who sends.
        let other = text.replacen(">1001<", ">2002<", 1);
        assert_eq!(verdict(&other), Err("invalid_request".to_owned()));
        let foreign = text.replace(">CW<", ">XX<");
        assert_eq!(verdict(&foreign), Err("invalid_request".to_owned()));
        let unknown = text.replace(request.change.request_type().service_code(), "reboot");
        assert_eq!(verdict(&unknown), Err("invalid_request".to_owned()));
        let broken = text.replace("</SOAP-ENV:Header>", "");
        assert_eq!(verdict(&broken), Err("invalid_soap".to_owned()));
    }
}
