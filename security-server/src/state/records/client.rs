//! Records of clients and of their local groups.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gateway::ports::ConnectionType;
use protocol::id::ClientId;
use protocol::time::UtcTime;
use serde::{Deserialize, Serialize};

use crate::state::{ClientSettings, ClientStatus, LocalGroup, Number, Renaming};

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct ClientRecord {
    client: String,
    // Records of the first version had no status; the global configuration decided alone.
    #[serde(default)]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renaming: Option<StoredRenaming>,
    connection_type: String,
    certificates: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct StoredRenaming {
    from: Option<String>,
    to: String,
    submitted: bool,
}

#[derive(Deserialize, Serialize)]
pub(in crate::state) struct GroupRecord {
    pub(in crate::state) client: String,
    pub(in crate::state) code: String,
    #[serde(default)]
    number: Option<Number>,
    description: String,
    /// Milliseconds since 1970.
    #[serde(default)]
    updated: Option<i64>,
    members: Vec<StoredMember>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum StoredMember {
    Since {
        client: String,
        /// Milliseconds since 1970.
        since: i64,
    },
    /// As records of the first version have it.
    Plain(String),
}

/// The names by which X-Road stores connection types (§5.2).
fn connection_name(kind: ConnectionType) -> &'static str {
    match kind {
        ConnectionType::Http => "NOSSL",
        ConnectionType::HttpsNoAuth => "SSLNOAUTH",
        ConnectionType::Https => "SSLAUTH",
    }
}

impl ClientRecord {
    pub(in crate::state) fn read(self) -> Result<(ClientId, ClientSettings), String> {
        let id = ClientId::parse_encoded(&self.client).map_err(|error| error.to_string())?;
        let kinds = [ConnectionType::Http, ConnectionType::HttpsNoAuth, ConnectionType::Https];
        let connection_type = kinds
            .into_iter()
            .find(|kind| connection_name(*kind) == self.connection_type)
            .ok_or_else(|| format!("unknown connection type {}", self.connection_type))?;
        let status = match self.status {
            None => ClientStatus::default(),
            Some(name) => ClientStatus::ALL
                .into_iter()
                .find(|status| status.name() == name)
                .ok_or_else(|| format!("unknown status {name}"))?,
        };
        let certificates: Result<Vec<Bytes>, _> =
            self.certificates.iter().map(|der| STANDARD.decode(der).map(Bytes::from)).collect();
        let certificates = certificates.map_err(|error| error.to_string())?;
        let renaming = self.renaming.map(|StoredRenaming { from, to, submitted }| Renaming {
            from,
            to,
            is_submitted: submitted,
        });
        let settings =
            ClientSettings { status, renaming, connection_type, certificates, ..ClientSettings::default() };
        Ok((id, settings))
    }

    pub(super) fn of(client: &str, settings: &ClientSettings) -> Self {
        Self {
            client: client.to_owned(),
            status: Some(settings.status.name().to_owned()),
            renaming: settings.renaming.clone().map(|Renaming { from, to, is_submitted }| StoredRenaming {
                from,
                to,
                submitted: is_submitted,
            }),
            connection_type: connection_name(settings.connection_type).to_owned(),
            certificates: settings.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
        }
    }
}

impl GroupRecord {
    pub(in crate::state) fn read(self) -> Result<LocalGroup, String> {
        let mut members = BTreeMap::new();
        for member in self.members {
            let (client, since) = match member {
                StoredMember::Since { client, since } => (client, Some(UtcTime::from_millis(since))),
                StoredMember::Plain(client) => (client, None),
            };
            let client = ClientId::parse_encoded(&client).map_err(|error| error.to_string())?;
            members.insert(client, since);
        }
        Ok(LocalGroup {
            number: self.number,
            description: self.description,
            updated: self.updated.map(UtcTime::from_millis),
            members,
        })
    }

    pub(super) fn of(client: &str, code: &str, group: &LocalGroup) -> Self {
        let member = |(member, since): (&ClientId, &Option<UtcTime>)| match since {
            Some(since) => StoredMember::Since { client: member.encoded(), since: since.millis() },
            None => StoredMember::Plain(member.encoded()),
        };
        Self {
            client: client.to_owned(),
            code: code.to_owned(),
            number: group.number,
            description: group.description.clone(),
            updated: group.updated.map(UtcTime::millis),
            members: group.members.iter().map(member).collect(),
        }
    }
}
