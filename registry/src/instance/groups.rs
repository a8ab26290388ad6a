//! Global groups (registry and administration §1.5).

use std::collections::BTreeSet;

use protocol::id::ClientId;

use super::identifiers::{self, Field};
use super::model::{GlobalGroup, GroupMember};
use super::record::{Record, RecordKey};
use super::servers::is_owners_group;
use super::{Desk, Refusal};

impl Desk {
    /// Adds an empty group.
    ///
    /// # Errors
    /// There is one of this code; the code or the description is not acceptable.
    pub fn add_group(&self, code: &str, description: &str) -> Result<GlobalGroup, Refusal> {
        self.change(|draft| {
            identifiers::part(Field::GroupCode, code, draft.rules.strict_identifiers)?;
            identifiers::text(Field::Description, description)?;
            if draft.instance.groups.contains_key(code) {
                return Err(Refusal::GroupExists(code.to_owned()));
            }
            let id = draft.number(|counters| &mut counters.group);
            let (code, description) = (code.to_owned(), description.to_owned());
            let group = GlobalGroup { id, code, description, added: draft.now, changed: draft.now };
            draft.put(Record::Group(group.clone()));
            Ok(group)
        })
    }

    /// Describes a group anew.
    ///
    /// # Errors
    /// There is none of this code; the description is not acceptable.
    pub fn describe_group(&self, code: &str, description: &str) -> Result<GlobalGroup, Refusal> {
        self.change(|draft| {
            identifiers::text(Field::Description, description)?;
            let known = draft.instance.groups.get(code).map(|entry| entry.group.clone());
            let group = known.ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?;
            let group = GlobalGroup { description: description.to_owned(), changed: draft.now, ..group };
            draft.put(Record::Group(group.clone()));
            Ok(group)
        })
    }

    /// Deletes a group with its members.
    ///
    /// # Errors
    /// There is none of this code; it is the group of owners.
    pub fn delete_group(&self, code: &str) -> Result<(), Refusal> {
        self.change(|draft| {
            let known = draft.instance.groups.get(code);
            let entry = known.ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?;
            if is_owners_group(draft, code) {
                return Err(Refusal::OwnersGroupStays);
            }
            for id in entry.members.keys() {
                draft.remove(RecordKey::GroupMember(code.to_owned(), id.clone()));
            }
            draft.remove(RecordKey::Group(code.to_owned()));
            Ok(())
        })
    }

    /// Adds members and subsystems to a group, and tells which of them were not in it. They need not be
    /// known: a group may name those of other instances, and those who come later.
    ///
    /// # Errors
    /// There is no such group; it is the group of owners.
    pub fn add_group_members(&self, code: &str, ids: &[ClientId]) -> Result<Vec<ClientId>, Refusal> {
        self.change(|draft| {
            let known = draft.instance.groups.get(code);
            let entry = known.ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?;
            if is_owners_group(draft, code) {
                return Err(Refusal::OwnersGroupAdds);
            }
            let mut seen = BTreeSet::new();
            let mut added = Vec::new();
            for id in ids {
                if entry.members.contains_key(id) || !seen.insert(id) {
                    continue;
                }
                let number = draft.number(|counters| &mut counters.group_member);
                let member = GroupMember { group: code.to_owned(), number, id: id.clone(), added: draft.now };
                draft.put(Record::GroupMember(member));
                added.push(id.clone());
            }
            Ok(added)
        })
    }

    /// Takes a member or subsystem from a group.
    ///
    /// # Errors
    /// There is no such group, or it is not in it; it is the group of owners.
    pub fn delete_group_member(&self, code: &str, id: &ClientId) -> Result<(), Refusal> {
        self.change(|draft| {
            let known = draft.instance.groups.get(code);
            let entry = known.ok_or_else(|| Refusal::GroupNotFound(code.to_owned()))?;
            if !entry.members.contains_key(id) {
                return Err(Refusal::GroupMemberNotFound(id.clone()));
            }
            if is_owners_group(draft, code) {
                return Err(Refusal::OwnersGroupRemoves);
            }
            draft.remove(RecordKey::GroupMember(code.to_owned(), id.clone()));
            Ok(())
        })
    }
}
