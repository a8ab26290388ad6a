//! Reads the declarative file, and the certificate and anchor files that it names.

mod named;
mod trust;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use protocol::configuration::{Anchor, ClassPolicy, GlobalGroup, Member, PairTerms, Subsystem, TlsFloor};
use protocol::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId};
use protocol::time::UtcTime;

pub use named::{Files, Folder};
use trust::Part;

use super::{InstanceState, Management, OptionalPart, Server, Settings, rules};
use crate::fields::{At, Place, Problems, Reader, Table};

/// A day, the longest interval that makes sense anywhere here.
const DAY: u64 = 24 * 3600;

/// A state that may be published, and what should be looked at nevertheless.
#[derive(Debug)]
pub struct Checked {
    /// The state.
    pub state: InstanceState,
    /// Such as a certificate that has ended.
    pub warnings: Vec<String>,
}

/// Reads and checks a state. Certificates that have ended by `now` are warned about.
///
/// # Errors
/// All problems at once.
pub fn read(text: &str, files: &dyn Files, now: UtcTime) -> Result<Checked, Problems> {
    let reader = Reader::new(text);
    let document = reader.document();
    let mut root = reader.root(&document);
    let mut read = Reading {
        reader: &reader,
        files,
        now,
        instance: String::new(),
        clients: HashSet::new(),
        warnings: Vec::new(),
    };
    let state = read.state(&mut root);
    root.finish();
    let warnings = std::mem::take(&mut read.warnings);
    reader.finish(state.map(|state| Checked { state, warnings }))
}

struct Reading<'r, 't> {
    reader: &'r Reader<'t>,
    files: &'r dyn Files,
    now: UtcTime,
    instance: String,
    /// Members and subsystems that exist.
    clients: HashSet<ClientId>,
    warnings: Vec<String>,
}

impl<'r, 't> Reading<'r, 't> {
    fn state(&mut self, root: &mut Table<'r, 't>) -> Option<InstanceState> {
        let instance =
            root.needed_text("instance").and_then(|at| self.obeys(&at, rules::code).map(|()| at.value));
        // Without the instance no identifier can be judged; the rest is still read for its shape.
        self.instance = instance.clone().unwrap_or_default();
        let settings = self.settings(root);
        let member_classes = self.member_classes(root);
        let members = self.members(root, &member_classes);
        let policy = self.policy(root);
        let servers = self.servers(root, policy.is_some());
        let certification_services = self.certification_services(root);
        let timestamping_services = self.timestamping_services(root);
        let groups = self.groups(root);
        root.need("management");
        let management = root.table("management").and_then(|table| self.management(table));
        let partners = self.partners(root);
        let optional_parts = self.optional_parts(root);
        Some(InstanceState {
            instance: instance?,
            settings,
            member_classes,
            members,
            servers,
            certification_services,
            timestamping_services,
            groups,
            policy,
            management: management?,
            partners,
            optional_parts,
        })
    }

    fn settings(&self, root: &mut Table<'r, 't>) -> Settings {
        let mut settings = Settings {
            ocsp_freshness_seconds: 3600,
            timestamping_interval_seconds: 60,
            ocsp_fetch_interval_seconds: None,
            verify_next_update: None,
            monitoring_client: None,
        };
        if let Some(mut table) = root.table("settings") {
            if let Some(seconds) = table.number("ocsp-freshness-seconds", 1, 7 * DAY) {
                settings.ocsp_freshness_seconds = seconds;
            }
            if let Some(seconds) = table.number("timestamping-interval-seconds", 1, DAY) {
                settings.timestamping_interval_seconds = seconds;
            }
            settings.ocsp_fetch_interval_seconds = table.number("ocsp-fetch-interval-seconds", 60, DAY);
            settings.verify_next_update = table.boolean("verify-next-update");
            settings.monitoring_client =
                table.text("monitoring-client").and_then(|at| self.obeys(&at, rules::client));
            table.finish();
        }
        settings
    }

    fn member_classes(&self, root: &mut Table<'r, 't>) -> Vec<(String, String)> {
        let mut seen = HashSet::new();
        let mut classes = Vec::new();
        for mut table in root.tables("member-class") {
            let code = table.needed_text("code");
            let description = table.text("description").map(|at| at.value).unwrap_or_default();
            table.finish();
            if let Some(code) = code
                && self.obeys(&code, rules::code).is_some()
                && self.is_first(&mut seen, code.value.clone(), &code.place, "member class")
            {
                classes.push((code.value, description));
            }
        }
        classes
    }

    fn members(&mut self, root: &mut Table<'r, 't>, classes: &[(String, String)]) -> Vec<Member> {
        let mut seen = HashSet::new();
        let mut members = Vec::new();
        for mut table in root.tables("member") {
            let class = table.needed_text("class");
            let code = table.needed_text("code");
            let name = table.needed_text("name");
            let subsystems = table.tables("subsystem");
            let place = table.place().clone();
            table.finish();
            if let Some(class) = &class
                && !classes.iter().any(|(known, _)| *known == class.value)
            {
                self.reader.problem(&class.place, format!("{} is no [[member-class]]", class.value));
            }
            let id = class.zip(code).and_then(|(class, code)| {
                self.obeys(&code, rules::code)?;
                MemberId::new(&self.instance, &class.value, &code.value).ok()
            });
            let subsystems = self.subsystems(subsystems, id.as_ref());
            let Some(id) = id else { continue };
            if !self.is_first(&mut seen, id.clone(), &place, "member") {
                continue;
            }
            self.clients.insert(id.clone().into());
            if let Some(name) = name {
                members.push(Member { id, name: name.value, subsystems });
            }
        }
        members
    }

    fn subsystems(&mut self, tables: Vec<Table<'r, 't>>, member: Option<&MemberId>) -> Vec<Subsystem> {
        let mut seen = HashSet::new();
        let mut subsystems = Vec::new();
        for mut table in tables {
            let code = table.needed_text("code");
            let name = table.text("name").map(|at| at.value).filter(|name| !name.is_empty());
            table.finish();
            let Some(code) = code else { continue };
            if self.obeys(&code, rules::code).is_none()
                || !self.is_first(&mut seen, code.value.clone(), &code.place, "subsystem")
            {
                continue;
            }
            if let Some(Ok(id)) = member.map(|member| ClientId::new(member.clone(), Some(&code.value))) {
                self.clients.insert(id);
            }
            subsystems.push(Subsystem { code: code.value, name });
        }
        subsystems
    }

    fn servers(&mut self, root: &mut Table<'r, 't>, classes_used: bool) -> Vec<Server> {
        let mut seen: HashSet<SecurityServerId> = HashSet::new();
        let mut owners_of_certificates: HashMap<Vec<u8>, String> = HashMap::new();
        let mut servers = Vec::new();
        for mut table in root.tables("security-server") {
            let owner = table.needed_text("owner").and_then(|at| {
                let owner = self.obeys(&at, rules::member)?;
                self.exists(&owner.clone().into(), &at.place).then_some(owner)
            });
            let code = table.needed_text("code").filter(|code| self.obeys(code, rules::code).is_some());
            if classes_used {
                table.need("class");
            }
            let class = table.text("class").and_then(|at| {
                if !classes_used {
                    let text = "is of no use without a [[class-pair]] that says which classes may talk";
                    self.reader.problem(&at.place, text);
                }
                self.obeys(&at, rules::node_class)
            });
            let address = table.text("address").filter(|at| self.obeys(at, rules::host).is_some());
            let files = table.texts("authentication-certificates");
            let clients = table.texts("clients");
            let maintenance = table.text("maintenance").map(|at| at.value);
            let place = table.place().clone();
            table.finish();

            let name =
                owner.as_ref().zip(code.as_ref()).map(|(owner, code)| format!("{owner}/{}", code.value));
            let mut certificates = Vec::new();
            for file in &files {
                let Some(der) = self.certificate(file, Part::Authentication) else { continue };
                let here = name.clone().unwrap_or_else(|| "another server".into());
                match owners_of_certificates.insert(der.clone(), here) {
                    None => certificates.push(der),
                    Some(other) => {
                        let text = format!("this certificate is registered to {other} already");
                        self.reader.problem(&file.place, text);
                    }
                }
            }
            let clients = self.known_clients(&clients, owner.as_ref());
            let id = owner.zip(code).and_then(|(owner, code)| rules::server(owner, &code.value).ok());
            if let Some(id) = id
                && self.is_first(&mut seen, id.clone(), &place, "security server")
            {
                let address = address.map(|at| at.value);
                servers.push(Server { id, class, address, certificates, clients, maintenance });
            }
        }
        servers
    }

    /// Clients of a server: each exists and stands there once; the owner needs no mention.
    fn known_clients(&self, texts: &[At<String>], owner: Option<&MemberId>) -> Vec<ClientId> {
        let mut seen = HashSet::new();
        let mut clients = Vec::new();
        for at in texts {
            let Some(client) = self.obeys(at, rules::client) else { continue };
            let is_owner = owner.is_some_and(|owner| client == ClientId::from(owner.clone()));
            if self.exists(&client, &at.place)
                && self.is_first(&mut seen, client.clone(), &at.place, "client")
                && !is_owner
            {
                clients.push(client);
            }
        }
        clients
    }

    fn groups(&self, root: &mut Table<'r, 't>) -> Vec<GlobalGroup> {
        let mut seen = HashSet::new();
        let mut groups = Vec::new();
        for mut table in root.tables("global-group") {
            let code = table.needed_text("code").filter(|code| self.obeys(code, rules::code).is_some());
            let description = table.text("description").map(|at| at.value).unwrap_or_default();
            let texts = table.texts("members");
            table.finish();
            let mut once = HashSet::new();
            let mut members = Vec::new();
            for at in &texts {
                let Some(client) = self.obeys(at, rules::client) else { continue };
                // Members of other instances are not known here and may be in a group all the same.
                let known = client.instance() != self.instance || self.exists(&client, &at.place);
                if known && self.is_first(&mut once, client.clone(), &at.place, "group member") {
                    members.push(client);
                }
            }
            if let Some(code) = code
                && let Ok(id) = GlobalGroupId::new(&self.instance, &code.value)
                && self.is_first(&mut seen, code.value.clone(), &code.place, "global group")
            {
                groups.push(GlobalGroup { id, description, members });
            }
        }
        groups
    }

    fn policy(&self, root: &mut Table<'r, 't>) -> Option<ClassPolicy> {
        let tables = root.tables("class-pair");
        if tables.is_empty() {
            return None;
        }
        let mut seen = HashSet::new();
        let mut policy = ClassPolicy::default();
        for mut table in tables {
            let consumer = table.needed_text("consumer").and_then(|at| self.obeys(&at, rules::node_class));
            let provider = table.needed_text("provider").and_then(|at| self.obeys(&at, rules::node_class));
            let tls = table.text("tls").and_then(|at| self.obeys(&at, rules::tls_floor));
            let ocsp_live_seconds = table.number("ocsp-live-seconds", 1, 7 * DAY);
            let synchronous_timestamp = table.boolean("synchronous-timestamp").unwrap_or(false);
            let place = table.place().clone();
            table.finish();
            if let Some(pair) = consumer.zip(provider)
                && self.is_first(&mut seen, pair, &place, "pair of classes")
            {
                let tls = tls.unwrap_or(TlsFloor::Tls12);
                policy.pairs.insert(pair, PairTerms { tls, ocsp_live_seconds, synchronous_timestamp });
            }
        }
        Some(policy)
    }

    fn management(&mut self, mut table: Table<'r, 't>) -> Option<Management> {
        let provider = table.needed_text("provider").and_then(|at| {
            let provider = self.obeys(&at, rules::client)?;
            self.exists(&provider, &at.place).then_some(provider)
        });
        let address = table.text("registration-address").filter(|at| self.obeys(at, rules::url).is_some());
        let certificate =
            table.text("registration-certificate").and_then(|at| self.certificate(&at, Part::Service));
        table.finish();
        Some(Management {
            provider: provider?,
            registration_address: address.map(|at| at.value),
            registration_certificate: certificate,
        })
    }

    fn partners(&mut self, root: &mut Table<'r, 't>) -> Vec<Anchor> {
        let mut seen = HashSet::new();
        let mut partners = Vec::new();
        for mut table in root.tables("partner") {
            let file = table.needed_text("anchor");
            table.finish();
            let Some(file) = file else { continue };
            let anchor = self
                .files
                .content(&file.value)
                .and_then(|content| Anchor::parse(&content).map_err(|error| error.to_string()));
            match anchor {
                Err(text) => self.reader.problem(&file.place, text),
                Ok(anchor) if anchor.instance == self.instance => {
                    self.reader.problem(&file.place, "is an anchor of this instance, not of a partner");
                }
                Ok(anchor) => {
                    let urls = || anchor.sources.iter().map(|source| source.download_url.as_str());
                    if urls().any(|url| url.ends_with("/internalconf")) {
                        self.warn(&file, "leads to an internal configuration; ask for the external anchor");
                    }
                    if !urls().any(|url| url.starts_with("http://")) {
                        self.warn(&file, "has no plain http address, so X-Road servers cannot follow it");
                    }
                    if self.is_first(&mut seen, anchor.instance.clone(), &file.place, "partner") {
                        partners.push(anchor);
                    }
                }
            }
        }
        partners
    }

    fn optional_parts(&self, root: &mut Table<'r, 't>) -> Vec<OptionalPart> {
        let (mut identifiers, mut names) = (HashSet::new(), HashSet::new());
        let mut parts = Vec::new();
        for mut table in root.tables("optional-part") {
            let identifier = table.needed_text("identifier");
            let file = table.needed_text("file");
            let file_name = table.needed_text("file-name");
            table.finish();
            let identifier = identifier.filter(|at| self.obeys(at, rules::part_identifier).is_some());
            let file_name = file_name.filter(|at| self.obeys(at, rules::part_file_name).is_some());
            let Some(file) = file else { continue };
            let content = match self.files.content(&file.value) {
                Ok(content) => content,
                Err(text) => {
                    self.reader.problem(&file.place, text);
                    continue;
                }
            };
            let (Some(identifier), Some(file_name)) = (identifier, file_name) else { continue };
            if self.is_first(&mut identifiers, identifier.value.clone(), &identifier.place, "optional part")
                && self.is_first(&mut names, file_name.value.clone(), &file_name.place, "file name")
            {
                let (identifier, file_name) = (identifier.value, file_name.value);
                parts.push(OptionalPart { identifier, file_name, content });
            }
        }
        parts
    }

    /// The value that a rule makes of a text; a problem otherwise.
    fn obeys<T>(&self, at: &At<String>, rule: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match rule(&at.value) {
            Ok(value) => Some(value),
            Err(text) => {
                self.reader.problem(&at.place, format!("{:?} {text}", at.value));
                None
            }
        }
    }

    fn is_first<K: Eq + Hash>(&self, seen: &mut HashSet<K>, key: K, place: &Place, what: &str) -> bool {
        let first = seen.insert(key);
        if !first {
            self.reader.problem(place, format!("this {what} stands here a second time"));
        }
        first
    }

    fn exists(&self, client: &ClientId, place: &Place) -> bool {
        if self.clients.contains(client) {
            return true;
        }
        if self.instance.is_empty() {
            // Told already, and every identifier would follow.
            return false;
        }
        let text = if client.instance() == self.instance {
            format!("{client} is not among the members and their subsystems")
        } else {
            format!("{client} is not of the instance {}", self.instance)
        };
        self.reader.problem(place, text);
        false
    }
}
