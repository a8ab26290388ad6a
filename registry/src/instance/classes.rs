//! Member classes (registry and administration §1.3).

use super::identifiers::{self, Field};
use super::model::MemberClass;
use super::record::{Record, RecordKey};
use super::{Desk, Refusal};

impl Desk {
    /// Adds a member class.
    ///
    /// # Errors
    /// There is one of this code; the code or the description is not acceptable.
    pub fn add_member_class(&self, code: &str, description: &str) -> Result<MemberClass, Refusal> {
        self.change(|draft| {
            identifiers::part(Field::MemberClass, code, draft.rules.strict_identifiers)?;
            identifiers::text(Field::Description, description)?;
            if draft.instance.classes.contains_key(code) {
                return Err(Refusal::MemberClassExists(code.to_owned()));
            }
            let class = MemberClass { code: code.to_owned(), description: description.to_owned() };
            draft.put(Record::Class(class.clone()));
            Ok(class)
        })
    }

    /// Describes a member class anew.
    ///
    /// # Errors
    /// There is none of this code; the description is not acceptable.
    pub fn describe_member_class(&self, code: &str, description: &str) -> Result<MemberClass, Refusal> {
        self.change(|draft| {
            identifiers::text(Field::Description, description)?;
            let known = draft.instance.classes.get(code);
            let mut class = known.cloned().ok_or_else(|| Refusal::MemberClassNotFound(code.to_owned()))?;
            description.clone_into(&mut class.description);
            draft.put(Record::Class(class.clone()));
            Ok(class)
        })
    }

    /// Deletes a member class that no member is of.
    ///
    /// # Errors
    /// There is none of this code; it is in use.
    pub fn delete_member_class(&self, code: &str) -> Result<(), Refusal> {
        self.change(|draft| {
            if !draft.instance.classes.contains_key(code) {
                return Err(Refusal::MemberClassNotFound(code.to_owned()));
            }
            if draft.instance.members_in_class(code) > 0 {
                return Err(Refusal::MemberClassInUse(code.to_owned()));
            }
            draft.remove(RecordKey::Class(code.to_owned()));
            Ok(())
        })
    }
}
