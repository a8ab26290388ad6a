//! What a document says otherwise than before.

use std::collections::BTreeSet;
use std::fmt;

use super::error::{Warning, WarningKind};
use super::names::full_code;
use crate::state::{Endpoint, ServiceKey, ServiceSettings};

/// Services and endpoints that come and go. Services are named by their full codes, endpoints by method and
/// path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Differences {
    /// Services that are new.
    pub added_services: Vec<String>,
    /// Services that are gone.
    pub removed_services: Vec<String>,
    /// Endpoints that are new, of services that stay.
    pub added_endpoints: Vec<String>,
    /// Generated endpoints that are gone, of services that stay.
    pub removed_endpoints: Vec<String>,
}

impl Differences {
    /// Compares the services of one description.
    pub fn between(old: &[(ServiceKey, ServiceSettings)], new: &[(ServiceKey, ServiceSettings)]) -> Self {
        let missing = |from: &[(ServiceKey, ServiceSettings)], others: &[(ServiceKey, ServiceSettings)]| {
            let keys = from.iter().map(|(key, _)| key);
            keys.filter(|key| !others.iter().any(|(other, _)| other == *key)).map(full_code).collect()
        };
        let mut differences = Self {
            added_services: missing(new, old),
            removed_services: missing(old, new),
            ..Self::default()
        };
        for (key, service) in old {
            let Some((_, now)) = new.iter().find(|(other, _)| other == key) else { continue };
            let known: BTreeSet<_> = service.endpoints.iter().map(endpoint_name).collect();
            let wanted: BTreeSet<_> = now.endpoints.iter().map(endpoint_name).collect();
            let generated = service.endpoints.iter().filter(|endpoint| endpoint.generated);
            differences.added_endpoints.extend(wanted.difference(&known).cloned());
            let gone = generated.map(endpoint_name).filter(|name| !wanted.contains(name));
            differences.removed_endpoints.extend(gone);
        }
        differences
    }

    /// Whether the document says what it said before.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The warnings that stop a change.
    pub fn warnings(&self) -> Vec<Warning> {
        let kinds = [
            (WarningKind::AddingServices, &self.added_services),
            (WarningKind::DeletingServices, &self.removed_services),
            (WarningKind::AddingEndpoints, &self.added_endpoints),
            (WarningKind::DeletingEndpoints, &self.removed_endpoints),
        ];
        let told = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        told.map(|(kind, names)| Warning { kind, details: names.clone() }).collect()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = [
            ("+ service ", &self.added_services),
            ("- service ", &self.removed_services),
            ("+ endpoint ", &self.added_endpoints),
            ("- endpoint ", &self.removed_endpoints),
        ];
        for (sign, names) in groups {
            names.iter().try_for_each(|name| writeln!(f, "{sign}{name}"))?;
        }
        Ok(())
    }
}

/// Method and path.
pub(super) fn endpoint_name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method, endpoint.path)
}
