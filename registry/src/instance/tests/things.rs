//! Classes, members, subsystems, servers, groups, provider, initialisation.

use protocol::id::{ClientId, MemberId, SecurityServerId};
use zeroize::Zeroizing;

use super::town::{Failure, Town, clerk, client_registration, refused, registration};
use crate::instance::{Initialisation, OWNERS_GROUP, Rules};

fn member(code: &str) -> MemberId {
    MemberId::new("CW", "GOV", code).unwrap()
}

fn client(text: &str) -> ClientId {
    ClientId::parse_encoded(text).unwrap()
}

#[test]
fn initialisation() {
    let town = Town::empty(Rules::default());
    let give = |instance: Option<&str>, address: Option<&str>, pin: Option<&str>| {
        town.desk.initialise(Initialisation {
            instance: instance.map(str::to_owned),
            address: address.map(str::to_owned),
            pin: pin.map(|pin| Zeroizing::new(pin.to_owned())),
        })
    };
    let missing = "instance_id_not_provided, server_address_not_provided, pin_code_not_provided";
    refused(town.desk.add_member_class("GOV", "x"), "409 instance_identifier_not_set []");
    refused(town.desk.add_member("GOV", "1", "x"), "409 instance_identifier_not_set []");
    refused(give(None, None, None), &format!("400 init_invalid_params [{missing}]"));
    refused(give(Some("CW"), Some("r"), Some("")), "400 init_invalid_params [pin_code_not_provided]");
    refused(give(Some("C W"), Some("r"), Some("p")), "400 validation_failure []");
    refused(give(Some("CW"), Some("http://r"), Some("p")), "400 validation_failure []");
    assert!(!town.desk.initialisation_status().token, "nothing is made of a refused initialisation");
    give(Some("CW"), Some("r.example"), Some("p")).unwrap();
    refused(give(Some("CW"), Some("r"), Some("p")), "409 init_already_initialized []");
    let status = town.desk.initialisation_status();
    assert_eq!((status.instance.as_deref(), status.address.as_deref()), (Some("CW"), Some("r.example")));
    assert!(status.token && !town.desk.tokens().is_active());
    assert!(town.desk.look().groups().contains_key(OWNERS_GROUP));

    // Where a part is there, exactly the others are given.
    let town = Town::empty(Rules { pin_policy: true, ..Rules::default() });
    let give = |instance: Option<&str>, pin: &str| {
        town.desk.initialise(Initialisation {
            instance: instance.map(str::to_owned),
            address: Some("r".into()),
            pin: Some(pin.to_owned().into()).filter(|pin: &Zeroizing<String>| !pin.is_empty()),
        })
    };
    refused(give(Some("CW"), "short"), "400 init_signer_pin_policy_failed []");
    refused(give(Some("CW"), "Straße 12345"), "400 token_invalid_characters []");
    town.desk.tokens().create("Secret1234", &Rules::default()).unwrap();
    refused(give(Some("CW"), "Secret1234"), "400 init_invalid_params [pin_code_exists]");
    give(Some("CW"), "").unwrap();
}

#[test]
fn member_classes() {
    let town = Town::new();
    let desk = &town.desk;
    refused(desk.add_member_class("GOV", "x"), "409 member_class_exists [GOV]");
    refused(desk.add_member_class("G V", "x"), "400 validation_failure []");
    refused(desk.add_member_class("ORG", " "), "400 validation_failure []");
    refused(desk.describe_member_class("ORG", "x"), "404 member_class_not_found [tr.code, ORG]");
    refused(desk.describe_member_class("GOV", ""), "400 validation_failure []");
    refused(desk.delete_member_class("ORG"), "404 member_class_not_found [tr.code, ORG]");
    desk.describe_member_class("GOV", "Government").unwrap();
    town.member("1");
    refused(desk.delete_member_class("GOV"), "409 member_class_is_in_use [tr.code, GOV]");
    desk.delete_member(&member("1")).unwrap();
    desk.delete_member_class("GOV").unwrap();
    assert_eq!(town.reopened().look().classes().keys().collect::<Vec<_>>(), ["COM"]);
}

#[test]
fn members_and_subsystems() {
    let town = Town::new();
    let desk = &town.desk;
    desk.add_member("GOV", "1", "One").unwrap();
    refused(desk.add_member("GOV", "1", "Uno"), "409 member_exists [CW/GOV/1]");
    refused(desk.add_member("ORG", "1", "x"), "404 member_class_not_found [tr.code, ORG]");
    refused(desk.add_member("GOV", "a/b", "x"), "400 validation_failure []");
    refused(desk.add_member("GOV", "2", ""), "400 validation_failure []");
    refused(desk.rename_member(&member("2"), "x"), "404 member_not_found []");
    refused(desk.rename_member(&member("1"), &"x".repeat(256)), "400 validation_failure []");
    assert_eq!(desk.rename_member(&member("1"), "Uno").unwrap().name, "Uno");
    refused(desk.delete_member(&member("2")), "404 member_not_found []");

    let id = desk.add_subsystem(&member("1"), "a", Some("A")).unwrap().id;
    refused(desk.add_subsystem(&member("1"), "a", None), "409 subsystem_exists [CW/GOV/1/a]");
    refused(desk.add_subsystem(&member("2"), "a", None), "404 member_not_found []");
    refused(desk.add_subsystem(&member("1"), "a b", None), "400 validation_failure []");
    let missing = client("CW/GOV/1/b");
    refused(desk.rename_subsystem(&missing, None), "404 subsystem_not_found []");
    refused(desk.delete_subsystem(&missing), "404 subsystem_not_found []");
    assert_eq!(desk.rename_subsystem(&id, Some(" ")).unwrap().name, None);

    let server = town.server("9", "SS");
    town.client(&server, &id);
    refused(desk.delete_subsystem(&id), "400 subsystem_registered_and_cannot_be_deleted []");
    refused(desk.delete_member(&member("1")), "409 member_in_use []");
    refused(desk.delete_member(&member("9")), "409 member_in_use []");
    desk.add_group("g", "x").unwrap();
    desk.add_group_members("g", &[id.clone(), member("1").into()]).unwrap();
    desk.set_provider(&id).unwrap();
    desk.unregister_client(&clerk(), &server, &id).unwrap();
    desk.delete_member(&member("1")).unwrap();
    let reopened = town.reopened();
    for look in [desk.look(), reopened.look()] {
        assert!(look.member(&member("1")).is_none() && !look.exists(&id));
        assert!(look.groups()["g"].members.is_empty() && look.parameters().provider.is_none());
    }
}

#[test]
fn servers() {
    let town = Town::new();
    let desk = &town.desk;
    let id = town.server("1", "SS");
    let other = SecurityServerId::new(member("1"), "XX").unwrap();
    let missing = "404 security_server_not_found [SERVER:CW/GOV/1/XX]";
    refused(desk.set_server_address(&other, "a"), missing);
    refused(desk.set_server_address(&id, "http://a"), "400 validation_failure []");
    refused(desk.delete_server(&clerk(), &other), missing);
    refused(desk.delete_certificate(&clerk(), &other, 1), missing);
    refused(desk.delete_certificate(&clerk(), &id, 7), "404 ss_auth_certificate_not_found []");
    let (one, two) = (town.subsystem("1", "one"), town.subsystem("2", "two"));
    refused(desk.unregister_client(&clerk(), &other, &one), missing);
    let not_there = "404 subsystem_not_registered_to_security_server []";
    refused(desk.unregister_client(&clerk(), &id, &one), not_there);
    let not_there = "404 member_not_registered_to_security_server []";
    refused(desk.unregister_client(&clerk(), &id, &member("2").into()), not_there);

    assert_eq!(desk.set_server_address(&id, "10.1.1.1").unwrap().address.as_deref(), Some("10.1.1.1"));
    desk.set_server_address(&id, "máy.example").unwrap();
    let certificate = town.authority.authentication("second");
    let second = town.ask(&id, registration(&certificate, "10.2.2.2")).unwrap();
    desk.approve_request(&clerk(), second.id).unwrap();
    for client in [&one, &two] {
        town.client(&id, client);
    }
    assert_eq!(desk.look().server(&id).unwrap().server.address.as_deref(), Some("10.2.2.2"));
    desk.delete_certificate(&clerk(), &id, 1).unwrap();
    assert_eq!(desk.look().groups()[OWNERS_GROUP].members.len(), 1);
    desk.delete_server(&clerk(), &id).unwrap();
    let reopened = town.reopened();
    for look in [desk.look(), reopened.look()] {
        assert!(look.servers().is_empty() && look.groups()[OWNERS_GROUP].members.is_empty());
        assert!(look.server_of_certificate(&certificate).is_none());
        assert_eq!(look.servers_of_client(&two).count(), 0);
        let told: Vec<_> = look
            .requests_of_server(&id)
            .rev()
            .take(4)
            .map(|request| {
                (request.kind().name(), request.origin.name(), request.comments.clone().unwrap_or_default())
            })
            .collect();
        let comment = "SERVER:CW/GOV/1/SS deletion".to_owned();
        assert_eq!(
            told,
            [
                ("AUTH_CERT_DELETION_REQUEST", "CENTER", comment.clone()),
                ("CLIENT_DELETION_REQUEST", "CENTER", comment.clone()),
                ("CLIENT_DELETION_REQUEST", "CENTER", comment),
                ("AUTH_CERT_DELETION_REQUEST", "CENTER", String::new()),
            ]
        );
    }
    // What it had can be registered anew.
    let again = town.ask(&id, registration(&certificate, "10.2.2.2")).unwrap();
    desk.approve_request(&clerk(), again.id).unwrap();
}

#[test]
fn groups() {
    let town = Town::new();
    let desk = &town.desk;
    desk.add_group("g", "A group").unwrap();
    refused(desk.add_group("g", "x"), "409 global_group_exists [g]");
    refused(desk.add_group("g g", "x"), "400 validation_failure []");
    refused(desk.add_group("h", ""), "400 validation_failure []");
    refused(desk.describe_group("h", "x"), "404 global_group_not_found []");
    refused(desk.delete_group("h"), "404 global_group_not_found []");
    refused(desk.add_group_members("h", &[]), "404 global_group_not_found []");
    let (own, foreign) = (client("CW/GOV/1"), client("OTHER/COM/5/x"));
    refused(desk.delete_group_member("h", &own), "404 global_group_not_found []");
    refused(desk.delete_group_member("g", &own), "404 member_not_found []");

    // Nobody needs to exist, and who is there is not added again.
    let added = desk.add_group_members("g", &[own.clone(), foreign.clone(), own.clone()]).unwrap();
    assert_eq!(added, [own.clone(), foreign.clone()]);
    assert_eq!(desk.add_group_members("g", std::slice::from_ref(&own)).unwrap(), []);
    desk.delete_group_member("g", &own).unwrap();
    assert_eq!(desk.look().groups_of(&foreign).count(), 1);

    town.server("1", "SS");
    let owner = client("CW/GOV/1");
    refused(desk.delete_group(OWNERS_GROUP), "400 owners_global_group_cannot_be_deleted []");
    let refusal = "400 cannot_add_member_to_owners_group []";
    refused(desk.add_group_members(OWNERS_GROUP, std::slice::from_ref(&foreign)), refusal);
    let refusal = "400 owners_global_group_member_cannot_be_deleted []";
    refused(desk.delete_group_member(OWNERS_GROUP, &owner), refusal);
    desk.describe_group(OWNERS_GROUP, "Whoever runs a server").unwrap();
    desk.delete_group("g").unwrap();
    assert_eq!(desk.look().groups_of(&foreign).count(), 0);
    assert_eq!(town.reopened().look().groups().len(), 1);
}

#[test]
fn the_provider_of_management_services() {
    let town = Town::new();
    let desk = &town.desk;
    let server = town.server("1", "SS");
    refused(desk.register_provider(&clerk(), &server), "400 management_service_provider_not_set []");
    let id = client("CW/GOV/1/MANAGEMENT");
    refused(desk.set_provider(&client("CW/GOV/1")), "400 invalid_service_provider_id [CW/GOV/1]");
    refused(desk.set_provider(&client("CW/GOV/8/x")), "404 member_not_found []");
    refused(desk.set_provider(&id), "404 subsystem_not_found []");
    town.subsystem("1", "MANAGEMENT");
    let provider = desk.set_provider(&id).unwrap();
    assert_eq!((provider.name.as_deref(), provider.servers.len()), (Some("Member 1"), 0));
    let unknown = SecurityServerId::new(member("1"), "XX").unwrap();
    let refusal = "409 management_request_server_not_found [SERVER:CW/GOV/1/XX]";
    refused(desk.register_provider(&clerk(), &unknown), refusal);
    let request = desk.register_provider(&clerk(), &server).unwrap();
    assert_eq!((town.status(request.id), request.origin.name()), (Some("APPROVED"), "CENTER"));
    assert_eq!(desk.look().provider().servers, std::slice::from_ref(&server));
    let refusal = "400 subsystem_already_registered_to_security_server []";
    refused(desk.register_provider(&clerk(), &server), refusal);

    // Two persons decide on this as well.
    let town = Town::with(Rules { second_person: true, ..Rules::default() });
    let server = SecurityServerId::new(town.member("1"), "SS").unwrap();
    let certificate = town.authority.authentication("a");
    let first = town.ask(&server, registration(&certificate, "a")).unwrap();
    for name in ["one", "two"] {
        town.desk.approve_request(&crate::Actor::Person(name.into()), first.id).unwrap();
    }
    let id = town.subsystem("1", "MANAGEMENT");
    town.desk.set_provider(&id).unwrap();
    let request = town.desk.register_provider(&clerk(), &server).unwrap();
    assert_eq!(town.status(request.id), Some("WAITING"));
    refused(town.order(&server, client_registration(&id)), "409 management_request_exists [2]");
}

#[test]
fn a_failing_store_leaves_the_old_state_or_the_new_one() {
    for (failure, is_there) in [(Failure::Before, false), (Failure::After, true)] {
        let town = Town::new();
        town.member("1");
        *town.store.failure.lock().unwrap() = Some(failure);
        refused(town.desk.add_member("GOV", "2", "Two"), "500 internal_error []");
        assert_eq!(town.reopened().look().member(&member("2")).is_some(), is_there, "{failure:?}");
        // The next command looks at what is on the disk, and goes on from there.
        let again = town.desk.add_member("GOV", "2", "Two");
        if is_there {
            refused(again, "409 member_exists [CW/GOV/2]");
        } else {
            again.unwrap();
        }
        assert_eq!(town.desk.look().members().len(), 2);
        assert_eq!(town.desk.look().generation(), town.reopened().look().generation());
    }
}
