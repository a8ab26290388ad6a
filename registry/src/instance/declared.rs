//! A declared instance as records: to be looked at through the desk, or to be administered from now on.

use std::collections::BTreeSet;

use gateway::Clock;
use protocol::configuration::optional_parts;
use protocol::time::UtcTime;

use super::Refusal;
use super::contents::Instance;
use super::desk::{Desk, DeskSettings};
use super::model::{
    AuthenticationCertificate, Authority, CertificationService, CertificationSettings, Client,
    ConfigurationKey, ConfigurationPart, Counters, GlobalGroup, GroupMember, IntermediateCa, Member,
    MemberClass, OcspResponder, OwnAnchor, Parameters, Server, Subsystem, TimestampingService, TrustedAnchor,
};
use super::parts::KNOWN_PARTS;
use super::policy::Policy;
use super::record::{Edit, Record};
use super::tokens::SOFTWARE_TOKEN;
use crate::publish::{Address, SourceKind};
use crate::state::InstanceState;

/// A declared state with what the registry adds to it.
pub(crate) struct Declared<'a> {
    pub(crate) generation: u64,
    pub(crate) state: &'a InstanceState,
    pub(crate) address: &'a Address,
    pub(crate) keys: &'a crate::keys::SigningKeys,
    pub(crate) now: UtcTime,
}

impl Desk {
    /// The desk of a declared instance.
    pub(crate) fn declared(declared: &Declared<'_>, settings: DeskSettings, clock: Clock) -> Self {
        Self::with(declared.instance(), None, settings, clock)
    }

    /// Takes over a declared state: from now on it is administered. The registry was initialised for the same
    /// instance, and has nothing yet.
    ///
    /// # Errors
    /// There is something already, or the state is another instance's.
    pub fn adopt(&self, state: &InstanceState) -> Result<(), Refusal> {
        self.change(|draft| {
            let instance = draft.instance;
            let is_empty = instance.classes.is_empty()
                && instance.services.is_empty()
                && instance.timestamping.is_empty()
                && instance.anchors.is_empty()
                && instance.parts.is_empty()
                && instance.groups.len() <= 1
                && instance.requests.is_empty();
            if !is_empty || instance.parameters.instance.as_ref() != Some(&state.instance) {
                return Err(Refusal::NotEmpty);
            }
            let mut to = Numbered { records: Vec::new(), counters: draft.counters.clone() };
            let things = Things { state, now: draft.now };
            things.put(&mut to);
            things.groups(&mut to);
            let owners = &instance.parameters.owners_group;
            // The registry itself keeps the group of owners.
            to.records.retain(|record| match record {
                Record::Group(group) => group.code != *owners,
                Record::GroupMember(member) => member.group != *owners,
                _ => true,
            });
            let members: BTreeSet<_> = state.servers.iter().map(|server| server.id.owner().clone()).collect();
            for member in members {
                let number = next(&mut to.counters.group_member);
                let (group, id) = (owners.clone(), member.into());
                to.put(Record::GroupMember(GroupMember { group, number, id, added: draft.now }));
            }
            let management = &state.management;
            let before = instance.parameters.clone();
            to.put(Record::Parameters(Parameters {
                provider: Some(management.provider.clone()),
                registration_url: management.registration_address.clone().unwrap_or(before.registration_url),
                ocsp_freshness_seconds: state.settings.ocsp_freshness_seconds,
                timestamping_interval_seconds: state.settings.timestamping_interval_seconds,
                ..before
            }));
            draft.counters = to.counters;
            to.records.into_iter().for_each(|record| draft.put(record));
            Ok(())
        })
    }

    /// Another declaration is in force.
    pub(crate) fn declare(&self, declared: &Declared<'_>) {
        self.replace(declared.instance());
    }
}

/// Records, numbered in the order in which they were declared.
struct Numbered {
    records: Vec<Record>,
    counters: Counters,
}

impl Numbered {
    fn put(&mut self, record: Record) {
        self.records.push(record);
    }
}

fn next(counter: &mut u32) -> u32 {
    *counter = counter.saturating_add(1);
    *counter
}

impl Declared<'_> {
    fn instance(&self) -> Instance {
        let counters = Counters { generation: self.generation, ..Counters::default() };
        let mut to = Numbered { records: Vec::new(), counters };
        to.put(Record::Parameters(self.parameters()));
        let things = Things { state: self.state, now: self.now };
        things.put(&mut to);
        things.groups(&mut to);
        self.keys(&mut to);
        let mut instance = Instance::default();
        to.records.push(Record::Counters(to.counters));
        for record in to.records {
            if let Err(error) = instance.apply(Edit::Put(record)) {
                // The state was checked as a whole before it came here.
                tracing::error!(%error, "the declared instance does not fit together");
            }
        }
        instance
    }

    fn parameters(&self) -> Parameters {
        let defaults = Parameters::default();
        let management = &self.state.management;
        Parameters {
            instance: Some(self.state.instance.clone()),
            address: Some(self.address.authority().to_owned()),
            provider: Some(management.provider.clone()),
            registration_url: management.registration_address.clone().unwrap_or(defaults.registration_url),
            ocsp_freshness_seconds: self.state.settings.ocsp_freshness_seconds,
            timestamping_interval_seconds: self.state.settings.timestamping_interval_seconds,
            ..Parameters::default()
        }
    }

    /// Keys, and the anchors that name them.
    fn keys(&self, to: &mut Numbered) {
        for source in SourceKind::ALL {
            for key in self.keys.keys(source) {
                to.put(Record::Key(ConfigurationKey {
                    id: key.id,
                    token: SOFTWARE_TOKEN.to_owned(),
                    source,
                    label: String::new(),
                    active: key.active,
                    certificate: key.certificate.der().clone(),
                    generated: key.since,
                }));
            }
            let certificates = self.keys.certificates(source);
            let anchor = self.address.anchor(source, &self.state.instance, &certificates, self.now);
            to.put(Record::OwnAnchor(OwnAnchor {
                source,
                file: anchor.to_xml().into(),
                generated: self.now,
            }));
        }
    }
}

/// What a state declares beside its settings.
struct Things<'a> {
    state: &'a InstanceState,
    now: UtcTime,
}

impl Things<'_> {
    /// All but the groups.
    fn put(&self, to: &mut Numbered) {
        to.put(Record::Policy(Policy::new(self.state.policy.as_ref())));
        for (code, description) in &self.state.member_classes {
            let (code, description) = (code.clone(), description.clone());
            to.put(Record::Class(MemberClass { code, description }));
        }
        self.members(to);
        self.servers(to);
        self.services(to);
        self.rest(to);
    }

    fn members(&self, to: &mut Numbered) {
        for member in &self.state.members {
            let (id, name) = (member.id.clone(), member.name.clone());
            to.put(Record::Member(Member { id, name, added: self.now }));
            for subsystem in &member.subsystems {
                let id = protocol::id::ClientId::new(member.id.clone(), Some(&subsystem.code));
                let Ok(id) = id else { continue };
                to.put(Record::Subsystem(Subsystem { id, name: subsystem.name.clone(), added: self.now }));
            }
        }
    }

    fn servers(&self, to: &mut Numbered) {
        for server in &self.state.servers {
            let number = next(&mut to.counters.server);
            to.put(Record::Server(Server {
                number,
                id: server.id.clone(),
                address: server.address.clone(),
                class: server.class,
                maintenance: server.maintenance.clone(),
                registered: self.now,
                changed: self.now,
            }));
            for der in &server.certificates {
                let (id, der) = (next(&mut to.counters.certificate), der.clone().into());
                let (server, registered) = (number, self.now);
                to.put(Record::Certificate(AuthenticationCertificate { id, server, der, registered }));
            }
            for id in &server.clients {
                let (id, server, registered) = (id.clone(), number, self.now);
                to.put(Record::Client(Client { server, id, enabled: true, registered }));
            }
        }
    }

    fn groups(&self, to: &mut Numbered) {
        for group in &self.state.groups {
            let code = group.id.code().to_owned();
            let (id, description) = (next(&mut to.counters.group), group.description.clone());
            let (added, changed) = (self.now, self.now);
            to.put(Record::Group(GlobalGroup { id, code: code.clone(), description, added, changed }));
            for id in &group.members {
                let number = next(&mut to.counters.group_member);
                let (group, id) = (code.clone(), id.clone());
                to.put(Record::GroupMember(GroupMember { group, number, id, added }));
            }
        }
    }

    fn services(&self, to: &mut Numbered) {
        for service in &self.state.certification_services {
            let id = next(&mut to.counters.service);
            let acme = service.acme.clone().unwrap_or_default();
            let settings = CertificationSettings {
                profile: service.certificate_profile.clone(),
                authentication_only: service.authentication_only,
                csr_format: service.default_csr_format,
                acme_directory: service.acme.as_ref().map(|acme| acme.directory.clone()),
                acme_ip_addresses: acme.ip_address,
                acme_authentication_profile: acme.authentication_profile,
                acme_signing_profile: acme.signing_profile,
            };
            let (name, certificate) = (service.name.clone(), service.top.certificate.clone().into());
            to.put(Record::Service(CertificationService { id, name, certificate, settings }));
            responders(to, Authority::Service(id), &service.top.ocsp);
            for below in &service.intermediates {
                let number = next(&mut to.counters.intermediate);
                let certificate = below.certificate.clone().into();
                to.put(Record::Intermediate(IntermediateCa { id: number, service: id, certificate }));
                responders(to, Authority::Intermediate(number), &below.ocsp);
            }
        }
        for service in &self.state.timestamping_services {
            let id = next(&mut to.counters.timestamping);
            let (name, url) = (service.name.clone(), service.url.clone());
            let (certificate, cost) = (service.certificate.clone().into(), service.cost);
            to.put(Record::Timestamping(TimestampingService { id, name, url, certificate, cost }));
        }
    }

    /// Anchors and parts.
    fn rest(&self, to: &mut Numbered) {
        for anchor in &self.state.partners {
            let (instance, file) = (anchor.instance.clone(), anchor.to_xml().into());
            to.put(Record::Anchor(TrustedAnchor { instance, file, suspended: false, added: self.now }));
        }
        let settings = &self.state.settings;
        let made = [
            settings.ocsp_fetch_interval_seconds.map(optional_parts::write_fetch_interval),
            settings.monitoring_client.as_ref().map(|client| optional_parts::write_monitoring(Some(client))),
            settings.verify_next_update.map(optional_parts::write_next_update),
        ];
        for ((identifier, file_name), content) in KNOWN_PARTS.into_iter().zip(made) {
            let Some(content) = content else { continue };
            let (identifier, file_name) = (identifier.to_owned(), file_name.to_owned());
            let (content, uploaded) = (content.into(), self.now);
            to.put(Record::Part(ConfigurationPart { identifier, file_name, content, uploaded }));
        }
        for part in &self.state.optional_parts {
            let (identifier, file_name) = (part.identifier.clone(), part.file_name.clone());
            let (content, uploaded) = (part.content.clone().into(), self.now);
            to.put(Record::Part(ConfigurationPart { identifier, file_name, content, uploaded }));
        }
    }
}

fn responders(to: &mut Numbered, authority: Authority, known: &[protocol::configuration::OcspResponder]) {
    for responder in known {
        let id = next(&mut to.counters.responder);
        to.put(Record::Responder(OcspResponder {
            id,
            authority,
            url: responder.url.clone(),
            certificate: responder.certificate.clone().map(Into::into),
            cost: responder.cost,
        }));
    }
}
