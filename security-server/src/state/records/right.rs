//! Records of access rights: all rights to one service code.

use protocol::id::{ClientId, GlobalGroupId};
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::state::{AccessRight, Subject, Term};

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct RightsRecord {
    pub(in crate::state) client: String,
    pub(in crate::state) code: String,
    pub(in crate::state) rights: Vec<RightRecord>,
}

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct RightRecord {
    method: Option<String>,
    path: Option<String>,
    subject: StoredSubject,
    /// Milliseconds since 1970. Records of the first version had no times.
    #[serde(default)]
    given: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum StoredSubject {
    Client(String),
    GlobalGroup(String, String),
    LocalGroup(String),
}

impl RightRecord {
    pub(in crate::state) fn read(self, code: &str) -> Result<(AccessRight, Term), String> {
        let subject = match self.subject {
            StoredSubject::Client(id) => ClientId::parse_encoded(&id).map(Subject::Client),
            StoredSubject::GlobalGroup(instance, code) => {
                GlobalGroupId::new(&instance, &code).map(Subject::GlobalGroup)
            }
            StoredSubject::LocalGroup(code) => Ok(Subject::LocalGroup(code)),
        };
        let subject = subject.map_err(|error| error.to_string())?;
        let term =
            Term { given: self.given.map(UtcTime::from_millis), until: self.until.map(UtcTime::from_millis) };
        let right =
            AccessRight { service_code: code.to_owned(), method: self.method, path: self.path, subject };
        Ok((right, term))
    }

    pub(super) fn of(right: &AccessRight, term: &Term) -> Self {
        let subject = match &right.subject {
            Subject::Client(id) => StoredSubject::Client(id.encoded()),
            Subject::GlobalGroup(id) => {
                StoredSubject::GlobalGroup(id.instance().to_owned(), id.code().to_owned())
            }
            Subject::LocalGroup(code) => StoredSubject::LocalGroup(code.clone()),
        };
        Self {
            method: right.method.clone(),
            path: right.path.clone(),
            subject,
            given: term.given.map(UtcTime::millis),
            until: term.until.map(UtcTime::millis),
        }
    }
}
