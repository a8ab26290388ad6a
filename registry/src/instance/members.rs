//! Members and their subsystems (registry and administration §1.3).

use protocol::id::{ClientId, MemberId};

use super::draft::Draft;
use super::identifiers::{self, Field};
use super::model::{Member, Parameters, Subsystem};
use super::record::{Record, RecordKey};
use super::{Desk, Refusal};

impl Desk {
    /// Adds a member of this instance.
    ///
    /// # Errors
    /// It exists; its class does not; a part of its identifier or its name is not acceptable.
    pub fn add_member(&self, class: &str, code: &str, name: &str) -> Result<Member, Refusal> {
        let id = self.member_id(class, code)?;
        self.change(|draft| {
            identifiers::text(Field::MemberName, name)?;
            if draft.instance.members.contains_key(&id) {
                return Err(Refusal::MemberExists(id));
            }
            create_member(draft, &id, name)
        })
    }

    /// Renames a member.
    ///
    /// # Errors
    /// It does not exist; the name is not acceptable.
    pub fn rename_member(&self, id: &MemberId, name: &str) -> Result<Member, Refusal> {
        self.change(|draft| {
            identifiers::text(Field::MemberName, name)?;
            let known = draft.instance.member(id).map(|entry| &entry.member);
            let mut member = known.cloned().ok_or_else(|| Refusal::MemberNotFound(id.clone()))?;
            name.clone_into(&mut member.name);
            draft.put(Record::Member(member.clone()));
            Ok(member)
        })
    }

    /// Deletes a member with its subsystems, and takes them from all groups.
    ///
    /// # Errors
    /// It does not exist; it owns a server; it or a subsystem of it is registered on one.
    pub fn delete_member(&self, id: &MemberId) -> Result<(), Refusal> {
        self.change(|draft| {
            let instance = draft.instance;
            let entry = instance.member(id).ok_or_else(|| Refusal::MemberNotFound(id.clone()))?;
            let itself = ClientId::from(id.clone());
            let all = || std::iter::once(&itself).chain(entry.subsystems.values().map(|known| &known.id));
            let registered = all().any(|client| instance.servers_of_client(client).next().is_some());
            if registered || instance.servers_of_owner(id).next().is_some() {
                return Err(Refusal::MemberInUse(id.clone()));
            }
            for client in all() {
                leave_groups(draft, client);
            }
            for subsystem in entry.subsystems.values() {
                draft.remove(RecordKey::Subsystem(subsystem.id.clone()));
            }
            draft.remove(RecordKey::Member(id.clone()));
            forget_provider(draft, all());
            Ok(())
        })
    }

    /// Adds a subsystem of a member.
    ///
    /// # Errors
    /// It exists; its member does not; its code or its name is not acceptable.
    pub fn add_subsystem(
        &self,
        member: &MemberId,
        code: &str,
        name: Option<&str>,
    ) -> Result<Subsystem, Refusal> {
        let id = self.subsystem_id(member.clone(), code)?;
        self.change(|draft| {
            let name = optional_name(name)?;
            if draft.instance.subsystem(&id).is_some() {
                return Err(Refusal::SubsystemExists(id));
            }
            if !draft.instance.members.contains_key(member) {
                return Err(Refusal::MemberNotFound(member.clone()));
            }
            let subsystem = Subsystem { id, name, added: draft.now };
            draft.put(Record::Subsystem(subsystem.clone()));
            Ok(subsystem)
        })
    }

    /// Renames a subsystem; no name takes the name away.
    ///
    /// # Errors
    /// It does not exist; the name is not acceptable.
    pub fn rename_subsystem(&self, id: &ClientId, name: Option<&str>) -> Result<Subsystem, Refusal> {
        self.change(|draft| {
            let name = optional_name(name)?;
            let known = draft.instance.subsystem(id);
            let known = known.cloned().ok_or_else(|| Refusal::SubsystemNotFound(id.clone()))?;
            let subsystem = Subsystem { name, ..known };
            draft.put(Record::Subsystem(subsystem.clone()));
            Ok(subsystem)
        })
    }

    /// Deletes a subsystem that is registered on no server, and takes it from all groups.
    ///
    /// # Errors
    /// It does not exist; it is registered.
    pub fn delete_subsystem(&self, id: &ClientId) -> Result<(), Refusal> {
        self.change(|draft| {
            if draft.instance.subsystem(id).is_none() {
                return Err(Refusal::SubsystemNotFound(id.clone()));
            }
            if draft.instance.servers_of_client(id).next().is_some() {
                return Err(Refusal::SubsystemRegistered(id.clone()));
            }
            leave_groups(draft, id);
            draft.remove(RecordKey::Subsystem(id.clone()));
            forget_provider(draft, std::iter::once(id));
            Ok(())
        })
    }
}

fn optional_name(name: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(name) = name.filter(|name| !name.trim().is_empty()) else { return Ok(None) };
    identifiers::text(Field::SubsystemName, name)?;
    Ok(Some(name.to_owned()))
}

/// A new member; its class must exist.
pub(crate) fn create_member(draft: &mut Draft<'_>, id: &MemberId, name: &str) -> Result<Member, Refusal> {
    if !draft.instance.classes.contains_key(id.class()) {
        return Err(Refusal::MemberClassNotFound(id.class().to_owned()));
    }
    let member = Member { id: id.clone(), name: name.to_owned(), added: draft.now };
    draft.put(Record::Member(member.clone()));
    Ok(member)
}

fn leave_groups(draft: &mut Draft<'_>, id: &ClientId) {
    for group in draft.instance.groups_of(id) {
        draft.remove(RecordKey::GroupMember(group.group.code.clone(), id.clone()));
    }
}

/// Whoever is gone provides nothing any more.
fn forget_provider<'c>(draft: &mut Draft<'_>, mut gone: impl Iterator<Item = &'c ClientId>) {
    let provider = draft.instance.parameters.provider.as_ref();
    if gone.any(|client| Some(client) == provider) {
        let parameters = draft.instance.parameters.clone();
        draft.put(Record::Parameters(Parameters { provider: None, ..parameters }));
    }
}
