//! What a pending request would change: the things of the instance that would be added, changed or
//! removed, field by field.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::requests::Difference;

/// A thing that would be added, changed or removed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Change")]
pub struct ChangeView {
    /// Which, such as `server/DEV/COM/1234/SS1`.
    pub thing: String,
    /// What would happen to it.
    pub action: ChangeAction,
    /// Its fields that differ.
    pub fields: Vec<FieldChange>,
}

/// What would happen to a thing.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeAction {
    /// It would come into being.
    Add,
    /// It would be changed.
    Change,
    /// It would be gone.
    Remove,
}

/// A field before and after.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct FieldChange {
    /// Its name.
    pub field: String,
    /// What it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl From<Difference> for ChangeView {
    fn from(difference: Difference) -> Self {
        let action = match (difference.exists, difference.remains) {
            (false, _) => ChangeAction::Add,
            (true, true) => ChangeAction::Change,
            (true, false) => ChangeAction::Remove,
        };
        let fields = difference.fields.into_iter();
        let fields =
            fields.map(|field| FieldChange { field: field.field, before: field.before, after: field.after });
        Self { thing: difference.thing, action, fields: fields.collect() }
    }
}
