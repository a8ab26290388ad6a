//! Gives numbers and times to what is new, and keeps those of what stays.
//!
//! A declaration in a file has neither; what is kept of the declaration before has them. So whatever keeps
//! its name keeps its number, over restarts and over changes of the file.

use std::collections::{BTreeMap, BTreeSet};

use protocol::time::UtcTime;

use super::{ClientSettings, EndpointKey, LocalConfiguration, Number};

impl LocalConfiguration {
    /// Takes over from `before` what a declaration does not say: statuses, numbers, times.
    pub(super) fn adopt(&mut self, before: &Self) {
        for (id, client) in &mut self.clients {
            if let Some(before) = before.clients.get(id) {
                client.adopt(before);
            }
        }
    }
}

impl ClientSettings {
    fn adopt(&mut self, before: &Self) {
        self.status = before.status;
        self.renaming.clone_from(&before.renaming);
        for service in self.services.values() {
            let url = service.source();
            if let Some(kept) = before.descriptions.get(url) {
                self.descriptions.entry(url.to_owned()).or_insert_with(|| kept.clone());
            }
        }
        for (key, number) in &before.numbers {
            self.numbers.entry(key.clone()).or_insert(*number);
        }
        for (code, group) in &mut self.groups {
            let Some(kept) = before.groups.get(code) else { continue };
            group.number = group.number.or(kept.number);
            if group.description == kept.description {
                group.updated = group.updated.or(kept.updated);
            }
            for (member, since) in &mut group.members {
                *since = since.or_else(|| kept.members.get(member).copied().flatten());
            }
        }
        for (right, term) in &mut self.rights {
            let kept = before.rights.get(right).copied().unwrap_or_default();
            term.given = term.given.or(kept.given);
        }
    }

    /// Gives a number and a time to everything that has none, and forgets those of what is gone.
    pub(super) fn settle(&mut self, next: &mut Number, now: UtcTime) {
        let mut take = || {
            let number = *next;
            *next = next.saturating_add(1);
            number
        };
        let mut urls: BTreeMap<&str, Option<&String>> = BTreeMap::new();
        for service in self.services.values() {
            let notice = urls.entry(service.source()).or_default();
            *notice = notice.or(service.disabled.as_ref());
        }
        self.descriptions.retain(|url, _| urls.contains_key(url.as_str()));
        for (url, notice) in urls {
            let description = self.descriptions.entry(url.to_owned()).or_default();
            if let Some(notice) = notice {
                description.notice = Some(notice.clone());
            }
            description.number.get_or_insert_with(&mut take);
            description.refreshed.get_or_insert(now);
        }
        let endpoints = self.endpoint_keys();
        self.numbers.retain(|key, _| endpoints.contains(key));
        for key in endpoints {
            self.numbers.entry(key).or_insert_with(&mut take);
        }
        for group in self.groups.values_mut() {
            group.number.get_or_insert_with(&mut take);
            group.updated.get_or_insert(now);
            group.members.values_mut().for_each(|since| *since = since.or(Some(now)));
        }
        for term in self.rights.values_mut() {
            term.given.get_or_insert(now);
        }
    }

    /// The greatest number that it has.
    pub(super) fn greatest_number(&self) -> Option<Number> {
        let descriptions = self.descriptions.values().filter_map(|description| description.number);
        let groups = self.groups.values().filter_map(|group| group.number);
        descriptions.chain(groups).chain(self.numbers.values().copied()).max()
    }

    /// Base endpoints, endpoints of REST services, and those that exist since somebody has a right to them.
    fn endpoint_keys(&self) -> BTreeSet<EndpointKey> {
        let mut keys = BTreeSet::new();
        for (name, service) in &self.services {
            keys.insert(EndpointKey::base(&name.code));
            keys.extend(service.endpoints.iter().map(|endpoint| endpoint.key(&name.code)));
        }
        let is_of_service = |key: &EndpointKey| self.services.keys().any(|name| name.code == key.code);
        keys.extend(self.rights.keys().map(EndpointKey::of).filter(is_of_service));
        keys
    }
}
