//! A declared state that is administered from now on.

use std::collections::BTreeMap;

use super::town::{Town, refused};
use crate::instance::{OWNERS_GROUP, Rules};
use crate::publish::Address;
use crate::state::{InstanceState, read};

const DECLARED: &str = r#"
instance = "CW"
[settings]
ocsp-freshness-seconds = 1800
verify-next-update = false
[[member-class]]
code = "GOV"
description = "Government"
[[member]]
class = "GOV"
code = "1"
name = "One"
[[member.subsystem]]
code = "a"
name = "A"
[[member]]
class = "GOV"
code = "2"
name = "Two"
[[security-server]]
owner = "CW/GOV/2"
code = "hub"
class = "data-center"
address = "hub.example"
clients = ["CW/GOV/1/a", "CW/GOV/1"]
maintenance = "until noon"
[[global-group]]
code = "all"
description = "Everybody"
members = ["CW/GOV/1/a", "OTHER/COM/9/x"]
[[class-pair]]
consumer = "data-center"
provider = "data-center"
[management]
provider = "CW/GOV/1/a"
registration-address = "https://r.example:4001/managementservice/"
"#;

fn declared() -> InstanceState {
    let now = super::town::NOW.parse().unwrap();
    read(DECLARED, &BTreeMap::<String, Vec<u8>>::new(), now).unwrap().state
}

#[test]
fn a_declared_state_is_taken_over() {
    let town = Town::empty(Rules::default());
    town.initialise().unwrap();
    let other = InstanceState { instance: "OTHER".into(), ..declared() };
    refused(town.desk.adopt(&other), "409 instance_not_empty []");
    town.desk.adopt(&declared()).unwrap();
    refused(town.desk.adopt(&declared()), "409 instance_not_empty []");

    let reopened = town.reopened();
    let look = reopened.look();
    let address = Address::new(Some("r.example"), "0.0.0.0:80".parse().unwrap(), None);
    let mut published = look.state(&address, None).unwrap();
    // What the registry adds, and what it keeps as a file from now on.
    let owners = published.groups.iter().position(|group| group.id.code() == OWNERS_GROUP).unwrap();
    let members: Vec<_> = published.groups.remove(owners).members.iter().map(ToString::to_string).collect();
    assert_eq!(members, ["CW/GOV/2"]);
    let part = published.optional_parts.pop().unwrap();
    assert_eq!(part.identifier, "NEXTUPDATE");
    published.settings.verify_next_update = Some(false);
    assert_eq!(published.servers[0].clients.len(), 2);
    for server in &mut published.servers {
        server.clients.reverse();
    }
    assert_eq!(published, declared());

    // Numbers go on where the taking over ended.
    drop(look);
    assert_eq!(reopened.add_group("more", "x").unwrap().id, 3);
}
