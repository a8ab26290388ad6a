//! Every type, every state, every refusal (§2).

use protocol::id::{ClientId, MemberId, SecurityServerId};

use super::{Content, Decision, RequestType};
use crate::instance::tests::town::{Authority, Town, clerk, client_registration, refused, registration};
use crate::instance::{Actor, OWNERS_GROUP, Rules};

fn server(member: &str, code: &str) -> SecurityServerId {
    SecurityServerId::new(MemberId::new("CW", "GOV", member).unwrap(), code).unwrap()
}

fn client(text: &str) -> ClientId {
    ClientId::parse_encoded(text).unwrap()
}

fn named(client: &ClientId, name: &str) -> Content {
    Content::ClientRegistration { client: client.clone(), subsystem_name: Some(name.into()) }
}

fn deletion(certificate: &[u8]) -> Content {
    Content::CertificateDeletion { certificate: certificate.to_vec().into() }
}

fn client_deletion(client: &ClientId) -> Content {
    Content::ClientDeletion { client: client.clone() }
}

fn owner(client: &str) -> Content {
    Content::OwnerChange { client: self::client(client) }
}

fn person(name: &str) -> Actor {
    Actor::Person(name.into())
}

#[test]
fn a_certificate_that_a_server_registers() {
    let town = Town::new();
    let id = server("1", "SS");
    let certificate = town.authority.authentication("a");
    let request = town.ask(&id, registration(&certificate, "ss.example")).unwrap();
    assert_eq!(town.status(request.id), Some("WAITING"));
    refused(town.ask(&id, registration(&certificate, "x")), "409 management_request_exists [1]");
    let other = server("2", "SS");
    let refusal = "409 management_request_security_server_exists []";
    refused(town.ask(&other, registration(&certificate, "x")), refusal);

    // The member and the server come into being with it.
    town.desk.approve_request(&clerk(), request.id).unwrap();
    let look = town.desk.look();
    assert_eq!(look.member(id.owner()).unwrap().member.name, "1");
    let entry = look.server(&id).unwrap();
    assert_eq!((entry.server.address.as_deref(), entry.certificates.len()), (Some("ss.example"), 1));
    assert_eq!(look.groups()[OWNERS_GROUP].members.keys().next(), Some(&client("CW/GOV/1")));
    drop(look);
    refused(town.ask(&id, registration(&certificate, "x")), refusal);
    let refusal = "400 management_request_invalid_state_for_approval [1]";
    refused(town.desk.approve_request(&clerk(), 1), refusal);
    refused(town.desk.revoke_request(&clerk(), 1), "400 management_request_invalid_state []");
    refused(town.desk.approve_request(&clerk(), 99), "404 management_request_not_found []");
    refused(town.desk.revoke_request(&clerk(), 99), "404 management_request_not_found []");

    // A class that nobody added stays unknown.
    let id = SecurityServerId::new(MemberId::new("CW", "ORG", "1").unwrap(), "SS").unwrap();
    let request = town.ask(&id, registration(&town.authority.authentication("b"), "x")).unwrap();
    let refusal = "404 member_class_not_found [tr.code, ORG]";
    refused(town.desk.approve_request(&clerk(), request.id), refusal);
    assert_eq!(town.status(request.id), Some("WAITING"));
}

#[test]
fn certificates_that_cannot_be_registered() {
    let town = Town::new();
    let id = server("1", "SS");
    let refusal = "400 management_request_invalid_auth_certificate []";
    let signing = town.authority.issue("a", |params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::ContentCommitment];
    });
    let ended = town.authority.issue("a", |params| params.not_after = rcgen::date_time_ymd(2026, 6, 1));
    let foreign = Authority::new("Test CA").authentication("a");
    for certificate in [b"nonsense".as_slice(), &signing, &ended, &foreign] {
        refused(town.ask(&id, registration(certificate, "x")), refusal);
    }
    let good = town.authority.authentication("a");
    let refusal = "400 management_request_invalid_server_address []";
    refused(town.ask(&id, registration(&good, "http://x")), refusal);
    let refusal = "404 management_request_server_owner_not_found []";
    refused(town.order(&id, registration(&good, "x")), refusal);
    let elsewhere = SecurityServerId::new(MemberId::new("OTHER", "GOV", "1").unwrap(), "SS").unwrap();
    let refusal = "404 management_request_server_not_found [SERVER:OTHER/GOV/1/SS]";
    refused(town.ask(&elsewhere, registration(&good, "x")), refusal);
    let odd = SecurityServerId::new(MemberId::new("CW", "GOV", "1").unwrap(), "a:b").unwrap();
    refused(town.ask(&odd, registration(&good, "x")), "400 validation_failure []");
    assert!(town.desk.look().requests().is_empty());
}

#[test]
fn both_origins_together_are_one_registration() {
    // The server comes last: approved at once. The administrator comes last: it waits for approval.
    for administrator_first in [true, false] {
        let town = Town::new();
        let id = server("1", "SS");
        town.member("1");
        let certificate = town.authority.authentication("a");
        let content = || registration(&certificate, "x");
        let first = if administrator_first { town.order(&id, content()) } else { town.ask(&id, content()) };
        let second = if administrator_first { town.ask(&id, content()) } else { town.order(&id, content()) };
        let (first, second) = (first.unwrap().id, second.unwrap().id);
        let expected = if administrator_first { "APPROVED" } else { "SUBMITTED FOR APPROVAL" };
        assert_eq!([town.status(first), town.status(second)], [Some(expected); 2]);
        if !administrator_first {
            refused(town.ask(&id, content()), "409 management_request_exists [1]");
            town.desk.approve_request(&clerk(), first).unwrap();
            assert_eq!([town.status(first), town.status(second)], [Some("APPROVED"); 2]);
        }
        assert_eq!(town.desk.look().server(&id).unwrap().certificates.len(), 1);

        let someone = town.subsystem("2", "x");
        let content = || client_registration(&someone);
        let first = if administrator_first { town.order(&id, content()) } else { town.ask(&id, content()) };
        let second = if administrator_first { town.ask(&id, content()) } else { town.order(&id, content()) };
        let (first, second) = (first.unwrap().id, second.unwrap().id);
        assert_eq!([town.status(first), town.status(second)], [Some(expected); 2]);
        if !administrator_first {
            let declined = town.desk.revoke_request(&clerk(), second).unwrap();
            assert_eq!(declined.status.map(super::Status::name), Some("DECLINED"));
            assert_eq!([town.status(first), town.status(second)], [Some("DECLINED"); 2]);
        }
        let registered = town.desk.look().server(&id).unwrap().clients.contains_key(&someone);
        assert_eq!(registered, administrator_first);
    }
}

#[test]
fn taking_back_and_declining() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let someone = town.subsystem("2", "x");
    let own = town.order(&id, client_registration(&someone)).unwrap();
    town.desk.revoke_request(&clerk(), own.id).unwrap();
    assert_eq!(town.status(own.id), Some("REVOKED"));
    let theirs = town.ask(&id, client_registration(&someone)).unwrap();
    town.desk.revoke_request(&clerk(), theirs.id).unwrap();
    assert_eq!(town.status(theirs.id), Some("DECLINED"));
    let done = town.ask(&id, client_deletion(&someone)).unwrap();
    refused(town.desk.revoke_request(&clerk(), done.id), "409 management_request_not_supported []");
    let refusal = format!("400 management_request_invalid_state_for_approval [{}]", done.id);
    refused(town.desk.approve_request(&clerk(), done.id), &refusal);
    assert_eq!(town.reopened().look().pending_requests().count(), 0);
}

#[test]
fn certificates_are_deleted() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let other = town.server("2", "SS");
    let registered = town.desk.look().server(&id).unwrap().certificates[&1].der.to_vec();
    let unknown = town.authority.authentication("b");
    let refusal = "409 management_request_invalid_auth_certificate []";
    refused(town.ask(&id, deletion(&unknown)), refusal);
    let refusal = "404 security_server_not_found [SERVER:CW/GOV/2/SS]";
    refused(town.ask(&other, deletion(&registered)), refusal);
    let waiting = town.ask(&id, registration(&unknown, "x")).unwrap();
    let refusal = "409 management_request_invalid_auth_certificate []";
    refused(town.ask(&other, deletion(&unknown)), refusal);
    let request = town.ask(&id, deletion(&unknown)).unwrap();
    assert_eq!((town.status(waiting.id), request.status), (Some("REVOKED"), None));
    town.ask(&id, deletion(&registered)).unwrap();
    assert!(town.desk.look().server_of_certificate(&registered).is_none());
    assert!(town.desk.look().server(&id).unwrap().certificates.is_empty());
}

#[test]
fn clients_are_registered() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let refusal = "400 management_request_cannot_register_owner []";
    refused(town.ask(&id, client_registration(&client("CW/GOV/1"))), refusal);
    let someone = client("CW/COM/7/x");
    let refusal = "409 management_request_member_not_found [SUBSYSTEM:CW/COM/7/x]";
    refused(town.order(&id, client_registration(&someone)), refusal);
    let nowhere = server("1", "XX");
    let refusal = "409 management_request_server_not_found [SERVER:CW/GOV/1/XX]";
    refused(town.order(&nowhere, client_registration(&someone)), refusal);
    // A server that is not there yet may ask all the same; approval is another matter.
    let early = town.ask(&nowhere, client_registration(&someone)).unwrap();
    let refusal = "400 management_request_server_not_found []";
    refused(town.desk.approve_request(&clerk(), early.id), refusal);

    let request = town.ask(&id, named(&someone, "Some name")).unwrap();
    refused(town.ask(&id, named(&someone, "y")), &format!("409 management_request_exists [{}]", request.id));
    let differences = town.desk.differences(request.id).unwrap();
    let told: Vec<_> = differences.iter().map(|difference| difference.thing.as_str()).collect();
    let registered = "client/CW/COM/7/x of CW/GOV/1/SS";
    assert_eq!(told, ["member/CW/COM/7", "subsystem/CW/COM/7/x", registered]);
    assert!(differences.iter().all(|difference| !difference.exists && difference.remains));
    town.desk.approve_request(&clerk(), request.id).unwrap();
    let refusal = format!("400 management_request_invalid_state_for_approval [{}]", request.id);
    refused(town.desk.differences(request.id), &refusal);
    let look = town.desk.look();
    assert_eq!(look.member(someone.member()).unwrap().member.name, "7");
    assert_eq!(look.subsystem(&someone).unwrap().name.as_deref(), Some("Some name"));
    assert!(look.server(&id).unwrap().clients[&someone].enabled);
    drop(look);
    let refusal = "409 management_request_client_already_registered []";
    refused(town.ask(&id, client_registration(&someone)), refusal);

    // On another server, with another name.
    let second = town.server("2", "SS");
    let request = town.ask(&second, named(&someone, "Other")).unwrap();
    let comment = "Changing subsystem name from 'Some name' to 'Other'.";
    assert_eq!(request.comments.as_deref(), Some(comment));
    let differences = town.desk.differences(request.id).unwrap();
    assert_eq!(differences[0].fields[0].before, Some("Some name".into()));
    assert_eq!(differences[0].fields[0].after, Some("Other".into()));
    town.desk.approve_request(&clerk(), request.id).unwrap();
    assert_eq!(town.desk.look().subsystem(&someone).unwrap().name.as_deref(), Some("Other"));
    let member = client("CW/GOV/2");
    town.client(&id, &member);
    assert_eq!(town.desk.look().servers_of_client(&member).count(), 1);
}

#[test]
fn clients_are_deleted() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let someone = town.subsystem("2", "x");
    let refusal = "404 management_request_client_registration_not_found []";
    refused(town.ask(&id, client_deletion(&someone)), refusal);
    refused(town.ask(&server("1", "XX"), client_deletion(&someone)), refusal);
    let waiting = town.ask(&id, client_registration(&someone)).unwrap();
    assert_eq!(town.ask(&id, client_deletion(&someone)).unwrap().status, None);
    assert_eq!(town.status(waiting.id), Some("REVOKED"));
    // A revoked one is nothing to delete, a declined one is.
    refused(town.ask(&id, client_deletion(&someone)), refusal);
    let waiting = town.ask(&id, client_registration(&someone)).unwrap();
    town.desk.revoke_request(&clerk(), waiting.id).unwrap();
    town.ask(&id, client_deletion(&someone)).unwrap();
    town.client(&id, &someone);
    town.ask(&id, client_deletion(&someone)).unwrap();
    let look = town.desk.look();
    assert!(look.server(&id).unwrap().clients.is_empty());
    assert!(look.subsystem(&someone).is_some(), "the subsystem stays");
}

#[test]
fn clients_are_disabled_enabled_and_renamed() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let someone = town.subsystem("2", "x");
    let disable = || Content::ClientDisable { client: someone.clone() };
    let enable = || Content::ClientEnable { client: someone.clone() };
    let rename = |client: &ClientId, name: &str| Content::ClientRename {
        client: client.clone(),
        subsystem_name: name.into(),
    };
    let not_there =
        "409 management_request_server_client_not_found [SERVER:CW/GOV/1/SS, SUBSYSTEM:CW/GOV/2/x]";
    for content in [disable(), enable(), rename(&someone, "X")] {
        refused(town.ask(&id, content), not_there);
    }
    town.client(&id, &someone);
    let enabled = || town.desk.look().server(&id).unwrap().clients[&someone].enabled;
    let request = town.ask(&id, disable()).unwrap();
    assert_eq!((town.status(request.id), enabled()), (Some("APPROVED"), false));
    town.ask(&id, enable()).unwrap();
    assert!(enabled());
    town.desk.set_provider(&someone).unwrap();
    let refusal = "409 mr_forbidden_disable_management_service_client [SUBSYSTEM:CW/GOV/2/x]";
    refused(town.ask(&id, disable()), refusal);
    assert!(enabled());

    let refusal = "400 management_request_only_subsystem_rename_allowed []";
    refused(town.ask(&id, rename(&client("CW/GOV/2"), "X")), refusal);
    refused(town.ask(&id, rename(&someone, " ")), "400 management_request_invalid_subsystem_name []");
    assert_eq!(town.ask(&id, rename(&someone, "X")).unwrap().comments, None);
    let request = town.ask(&id, rename(&someone, "Y")).unwrap();
    assert_eq!(request.comments.as_deref(), Some("Changing subsystem name from 'X' to 'Y'."));
    assert_eq!(town.reopened().look().subsystem(&someone).unwrap().name.as_deref(), Some("Y"));
}

#[test]
fn servers_change_their_owner() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let refusal = "400 management_request_owner_must_be_member []";
    refused(town.ask(&id, owner("CW/GOV/2/x")), refusal);
    let refusal = "409 management_request_server_not_found [SERVER:CW/GOV/1/XX]";
    refused(town.ask(&server("1", "XX"), owner("CW/GOV/2")), refusal);
    refused(town.ask(&id, owner("CW/GOV/1")), "400 management_request_client_already_owner []");
    refused(town.ask(&id, owner("CW/GOV/2")), "400 management_request_owner_must_be_client []");
    town.member("2");
    town.client(&id, &client("CW/GOV/2"));
    let taken = town.server("2", "SS");
    refused(town.ask(&id, owner("CW/GOV/2")), "409 management_request_server_code_exists []");
    town.desk.delete_server(&clerk(), &taken).unwrap();
    let request = town.ask(&id, owner("CW/GOV/2")).unwrap();
    assert_eq!(town.status(request.id), Some("WAITING"));
    let refusal = format!("409 management_request_exists [{}]", request.id);
    refused(town.ask(&id, owner("CW/GOV/2")), &refusal);
    refused(town.order(&id, owner("CW/GOV/2")), &refusal);
    town.desk.approve_request(&clerk(), request.id).unwrap();
    let (new, reopened) = (server("2", "SS"), town.reopened());
    for look in [town.desk.look(), reopened.look()] {
        assert!(look.server(&id).is_none());
        let entry = look.server(&new).unwrap();
        assert_eq!(entry.clients.keys().collect::<Vec<_>>(), [&client("CW/GOV/1")]);
        assert_eq!(entry.certificates.len(), 1);
        let owners: Vec<_> = look.groups()[OWNERS_GROUP].members.keys().cloned().collect();
        assert_eq!(owners, [client("CW/GOV/2")]);
        assert_eq!(look.servers_of_owner(new.owner()).count(), 1);
        assert_eq!(look.servers_of_client(&client("CW/GOV/1")).count(), 1);
    }
    // Back again, while the server that would be is there: refused when it should take effect.
    let back = town.ask(&new, owner("CW/GOV/1")).unwrap();
    town.server("1", "SS");
    refused(town.desk.approve_request(&clerk(), back.id), "409 management_request_server_code_exists []");
}

#[test]
fn addresses_and_maintenance() {
    let town = Town::new();
    let id = town.server("1", "SS");
    let address = |text: &str| Content::AddressChange { address: text.into() };
    let enter = || Content::MaintenanceModeEnable { message: Some("until noon".into()) };
    let missing = "404 management_request_server_not_found [SERVER:CW/GOV/1/XX]";
    for content in [address("a"), enter(), Content::MaintenanceModeDisable] {
        refused(town.ask(&server("1", "XX"), content), missing);
    }
    for bad in ["", "http://a", "a b", "a:80"] {
        refused(town.ask(&id, address(bad)), "400 management_request_invalid_server_address []");
    }
    let request = town.ask(&id, address("new.example")).unwrap();
    assert_eq!(request.comments.as_deref(), Some("Changing from 'ss.example'."));
    assert_eq!(town.status(request.id), Some("APPROVED"));

    let refusal = "409 management_request_server_not_in_maintenance_mode [SERVER:CW/GOV/1/SS]";
    refused(town.ask(&id, Content::MaintenanceModeDisable), refusal);
    let request = town.ask(&id, enter()).unwrap();
    assert_eq!(request.comments.as_deref(), Some("until noon"));
    let refusal = "409 management_request_server_already_in_maintenance_mode [SERVER:CW/GOV/1/SS]";
    refused(town.ask(&id, enter()), refusal);
    let maintenance = || town.reopened().look().server(&id).unwrap().server.maintenance.clone();
    assert_eq!(maintenance().as_deref(), Some("until noon"));
    town.ask(&id, Content::MaintenanceModeDisable).unwrap();
    assert_eq!(maintenance(), None);

    let provider = town.subsystem("1", "m");
    town.client(&id, &provider);
    town.desk.set_provider(&provider).unwrap();
    let refusal = "409 mr_forbidden_enable_maintenance_mode_for_management_service \
                   [SUBSYSTEM:CW/GOV/1/m, SERVER:CW/GOV/1/SS]";
    refused(town.ask(&id, enter()), refusal);
}

#[test]
fn rules_approve() {
    let rules = Rules {
        approve_certificates: true,
        approve_clients: true,
        approve_owner_changes: true,
        ..Rules::default()
    };
    let town = Town::with(rules);
    let id = server("1", "SS");
    let certificate = town.authority.authentication("a");
    // Nobody knows the owner, so it is for a person to decide.
    let request = town.ask(&id, registration(&certificate, "x")).unwrap();
    assert_eq!(town.status(request.id), Some("WAITING"));
    town.ask(&id, deletion(&certificate)).unwrap();
    town.member("1");
    let ordered = town.order(&id, registration(&certificate, "x")).unwrap();
    assert_eq!(town.status(ordered.id), Some("WAITING"), "rules are for what servers ask");
    town.desk.revoke_request(&clerk(), ordered.id).unwrap();
    let request = town.ask(&id, registration(&certificate, "x")).unwrap();
    assert_eq!(town.status(request.id), Some("APPROVED"));

    let unknown = town.ask(&id, client_registration(&client("CW/GOV/3"))).unwrap();
    assert_eq!(town.status(unknown.id), Some("WAITING"));
    let member = ClientId::from(town.member("2"));
    let early = town.ask(&server("1", "XX"), client_registration(&member)).unwrap();
    assert_eq!(town.status(early.id), Some("WAITING"));
    let known = town.ask(&id, client_registration(&member)).unwrap();
    assert_eq!(town.status(known.id), Some("APPROVED"));
    let change = town.ask(&id, owner("CW/GOV/2")).unwrap();
    assert_eq!(town.status(change.id), Some("APPROVED"));
    assert!(town.desk.look().server(&server("2", "SS")).is_some());
}

#[test]
fn two_persons_decide() {
    let town = Town::with(Rules { second_person: true, approve_clients: true, ..Rules::default() });
    let id = server("1", "SS");
    town.member("1");
    let certificate = town.authority.authentication("a");
    let request = town.ask(&id, registration(&certificate, "x")).unwrap().id;
    let first = town.desk.approve_request(&person("an"), request).unwrap();
    assert!(matches!(&first, Decision::FirstApproval(request) if request.is_pending()));
    assert!(town.desk.look().server(&id).is_none());
    let refusal = "409 management_request_second_person_required [an]";
    refused(town.desk.approve_request(&person("an"), request), refusal);
    let second = town.desk.approve_request(&person("binh"), request).unwrap();
    assert!(matches!(second, Decision::Approved(_)));
    let look = town.desk.look();
    let kept = &look.requests()[&request];
    let by = (kept.first_approval.as_deref(), kept.decided_by.as_deref());
    assert_eq!((by, look.server(&id).is_some()), ((Some("an"), Some("binh")), true));
    drop(look);

    // Whoever added it is the first person; neither a rule nor the other origin is a second one.
    let someone = town.subsystem("2", "x");
    let content = || client_registration(&someone);
    let ordered = town.desk.add_request(&person("an"), &id, content(), None).unwrap().id;
    let asked = town.ask(&id, content()).unwrap().id;
    assert_eq!([town.status(ordered), town.status(asked)], [Some("SUBMITTED FOR APPROVAL"); 2]);
    for request in [ordered, asked] {
        refused(town.desk.approve_request(&person("an"), request), refusal);
    }
    town.desk.approve_request(&person("binh"), asked).unwrap();
    assert_eq!([town.status(ordered), town.status(asked)], [Some("APPROVED"); 2]);

    // A first approval of what cannot take effect is refused; one person declines.
    let early = town.ask(&server("9", "SS"), content()).unwrap().id;
    refused(town.desk.approve_request(&person("an"), early), "400 management_request_server_not_found []");
    town.desk.revoke_request(&person("an"), early).unwrap();
    assert_eq!(town.status(early), Some("DECLINED"));
}

#[test]
fn types_have_their_names() {
    for kind in RequestType::ALL {
        assert_eq!(RequestType::from_name(kind.name()), Some(kind));
    }
    assert_eq!(RequestType::ALL.iter().filter(|kind| kind.needs_approval()).count(), 3);
}
