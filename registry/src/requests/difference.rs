//! What a pending request would change, told before it is decided.

use serde_json::Value;

use super::effects;

use crate::instance::draft::Draft;
use crate::instance::record::{Edit, Record, RecordKey};
use crate::instance::{Desk, Instance, Refusal};

/// A thing of the instance that would be added, changed or removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which, such as `server/CW/GOV/100/SS1`.
    pub thing: String,
    /// Whether it is there now.
    pub exists: bool,
    /// Whether it would be there then.
    pub remains: bool,
    /// Its fields that differ.
    pub fields: Vec<FieldDifference>,
}

/// A field of a thing, before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDifference {
    /// Its name.
    pub field: String,
    /// What it has now.
    pub before: Option<Value>,
    /// What it would have.
    pub after: Option<Value>,
}

impl Desk {
    /// What the approval of a pending request would change, the request itself not counted.
    ///
    /// # Errors
    /// There is no such request, or it is not pending; its effect is not possible.
    pub fn differences(&self, id: u32) -> Result<Vec<Difference>, Refusal> {
        let look = self.look();
        let instance: &Instance = &look;
        let request = instance.requests().get(&id).ok_or(Refusal::RequestNotFound(id))?;
        if !request.is_pending() {
            return Err(Refusal::NotApprovable(id));
        }
        let mut draft = Draft::new(instance, self.rules(), self.clock().now());
        effects::approve(&mut draft, request)?;
        Ok(draft.edits().iter().map(|edit| difference(instance, edit)).collect())
    }
}

fn difference(instance: &Instance, edit: &Edit) -> Difference {
    let (key, after) = match edit {
        Edit::Put(record) => (record.key(), Some(record.clone())),
        Edit::Remove(key) => (key.clone(), None),
    };
    let before = instance.record(&key);
    let (exists, remains) = (before.is_some(), after.is_some());
    let thing = name(instance, &key, after.as_ref());
    Difference { thing, exists, remains, fields: fields(before.as_ref(), after.as_ref()) }
}

/// The key in words: numbers of servers say nothing to people.
fn name(instance: &Instance, key: &RecordKey, after: Option<&Record>) -> String {
    let server = |number: u32| match (instance.server_numbered(number), after) {
        (Some(entry), _) => entry.server.id.to_string(),
        (None, Some(Record::Server(server))) => server.id.to_string(),
        (None, _) => "the new server".to_owned(),
    };
    match key {
        RecordKey::Server(number) => format!("server/{}", server(*number)),
        RecordKey::Client(number, id) => format!("client/{id} of {}", server(*number)),
        RecordKey::Member(id) => format!("member/{id}"),
        RecordKey::Subsystem(id) => format!("subsystem/{id}"),
        RecordKey::GroupMember(code, id) => format!("group/{code}/{id}"),
        other => other.name(),
    }
}

fn fields(before: Option<&Record>, after: Option<&Record>) -> Vec<FieldDifference> {
    let of = |record: Option<&Record>| match record.map(Record::fields) {
        Some(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (of(before), of(after));
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| FieldDifference {
            field: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}
