//! What changed between two states, in words for the log.

use std::collections::BTreeMap;

use super::InstanceState;

impl InstanceState {
    /// What is different from an `earlier` state, one clause for each thing that was added, removed or
    /// changed.
    pub fn differences(&self, earlier: &Self) -> Vec<String> {
        let mut told = Vec::new();
        if self.settings != earlier.settings {
            told.push(format!("settings changed: {:?}", self.settings));
        }
        compare(&mut told, "member class", &earlier.member_classes, &self.member_classes, |class| {
            class.0.clone()
        });
        compare(&mut told, "member", &earlier.members, &self.members, |member| member.id.to_string());
        compare(&mut told, "security server", &earlier.servers, &self.servers, |server| {
            server.id.to_string()
        });
        compare(
            &mut told,
            "certification service",
            &earlier.certification_services,
            &self.certification_services,
            |service| service.name.clone(),
        );
        compare(
            &mut told,
            "time-stamping service",
            &earlier.timestamping_services,
            &self.timestamping_services,
            |service| service.url.clone(),
        );
        compare(&mut told, "global group", &earlier.groups, &self.groups, |group| group.id.to_string());
        compare(&mut told, "partner instance", &earlier.partners, &self.partners, |anchor| {
            anchor.instance.clone()
        });
        compare(&mut told, "optional part", &earlier.optional_parts, &self.optional_parts, |part| {
            part.identifier.clone()
        });
        if self.policy != earlier.policy {
            told.push("node class policy changed".into());
        }
        if self.management != earlier.management {
            told.push(format!("management services changed, provider {}", self.management.provider));
        }
        told
    }
}

fn compare<T: PartialEq>(
    told: &mut Vec<String>,
    kind: &str,
    earlier: &[T],
    later: &[T],
    name: impl Fn(&T) -> String,
) {
    let earlier: BTreeMap<String, &T> = earlier.iter().map(|item| (name(item), item)).collect();
    let later: BTreeMap<String, &T> = later.iter().map(|item| (name(item), item)).collect();
    for (name, item) in &later {
        match earlier.get(name) {
            None => told.push(format!("{kind} {name} added")),
            Some(before) if before != item => told.push(format!("{kind} {name} changed")),
            Some(_) => {}
        }
    }
    for name in earlier.keys().filter(|name| !later.contains_key(*name)) {
        told.push(format!("{kind} {name} removed"));
    }
}
