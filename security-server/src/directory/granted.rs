//! The rights to one method and path pattern of a service, ready to be asked on every call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gateway::Clock;
use protocol::id::{ClientId, GlobalGroupId};
use protocol::message::path::PathGlob;
use protocol::time::UtcTime;

use crate::state::{AccessRight, ClientSettings, Subject, Term};

/// All rights on one method and path pattern of a service.
pub(super) struct Granted {
    method: Option<String>,
    pattern: Option<String>,
    glob: Option<PathGlob>,
    /// Clients that are named, or in a local group that is.
    clients: HashMap<ClientId, Way>,
    global_groups: Vec<(GlobalGroupId, Option<UtcTime>)>,
}

/// How a client comes to a right.
struct Way {
    /// Through a local group; none: it is named.
    group: Option<String>,
    until: Option<UtcTime>,
}

/// How a client comes to a right, and until when.
pub(super) struct Admission<'g> {
    group: Group<'g>,
    until: Option<UtcTime>,
}

enum Group<'g> {
    None,
    Local(&'g str),
    Global(&'g GlobalGroupId),
}

/// The right by which a call is allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Which right.
    pub right: AccessRight,
    /// Until when it counts.
    pub until: Option<UtcTime>,
}

/// All rights that a client gives, by service code.
pub(super) fn of(settings: &ClientSettings) -> HashMap<String, Vec<Granted>> {
    let mut by_code: HashMap<String, Vec<Granted>> = HashMap::new();
    for (right, term) in &settings.rights {
        let endpoints = by_code.entry(right.service_code.clone()).or_default();
        let index = endpoints.iter().position(|endpoint| endpoint.is_of(right)).unwrap_or_else(|| {
            endpoints.push(Granted::of(right));
            endpoints.len() - 1
        });
        endpoints[index].add(right, *term, settings);
    }
    by_code
}

impl Granted {
    fn of(right: &AccessRight) -> Self {
        // `**` and no pattern are the same, and so are `*` and no method (§5.6).
        let pattern = right.path.clone().filter(|path| path != "**");
        Self {
            method: right.method.clone().filter(|method| method != "*"),
            glob: pattern.as_deref().map(PathGlob::new),
            pattern,
            clients: HashMap::new(),
            global_groups: Vec::new(),
        }
    }

    fn add(&mut self, right: &AccessRight, term: Term, settings: &ClientSettings) {
        match &right.subject {
            Subject::Client(client) => self.admit(client, None, term.until),
            Subject::GlobalGroup(group) => self.global_groups.push((group.clone(), term.until)),
            Subject::LocalGroup(code) => {
                for member in settings.groups.get(code).into_iter().flat_map(|group| group.members.keys()) {
                    self.admit(member, Some(code.clone()), term.until);
                }
            }
        }
    }

    /// Whoever comes to a right in several ways has it as long as the longest.
    fn admit(&mut self, client: &ClientId, group: Option<String>, until: Option<UtcTime>) {
        match self.clients.entry(client.clone()) {
            Entry::Vacant(place) => drop(place.insert(Way { group, until })),
            Entry::Occupied(mut place) => {
                let is_longer = match (place.get().until, until) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(known), Some(until)) => until > known,
                };
                if is_longer {
                    place.insert(Way { group, until });
                }
            }
        }
    }

    fn is_of(&self, right: &AccessRight) -> bool {
        self.method.as_deref() == right.method.as_deref().filter(|method| *method != "*")
            && self.pattern.as_deref() == right.path.as_deref().filter(|path| *path != "**")
    }

    /// Whether the endpoint is called so.
    pub(super) fn covers(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.glob.as_ref().is_none_or(|glob| glob.matches(path))
    }

    /// How the client comes to a right to the endpoint, if it does now.
    pub(super) fn admits<'g>(
        &'g self,
        client: &ClientId,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
        clock: Clock,
    ) -> Option<Admission<'g>> {
        // The clock is asked only where a right has an end.
        let counts = |until: Option<UtcTime>| until.is_none_or(|until| clock.now() < until);
        if let Some(way) = self.clients.get(client).filter(|way| counts(way.until)) {
            let group = way.group.as_deref().map_or(Group::None, Group::Local);
            return Some(Admission { group, until: way.until });
        }
        let (group, until) =
            self.global_groups.iter().find(|(group, until)| counts(*until) && is_in_group(group))?;
        Some(Admission { group: Group::Global(group), until: *until })
    }

    /// The right that an admission rests on.
    pub(super) fn rule(&self, code: &str, client: &ClientId, admission: &Admission<'_>) -> Rule {
        let subject = match admission.group {
            Group::None => Subject::Client(client.clone()),
            Group::Local(code) => Subject::LocalGroup(code.to_owned()),
            Group::Global(group) => Subject::GlobalGroup(group.clone()),
        };
        Rule {
            right: AccessRight {
                service_code: code.to_owned(),
                method: self.method.clone(),
                path: self.pattern.clone(),
                subject,
            },
            until: admission.until,
        }
    }
}
