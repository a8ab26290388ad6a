//! Settings of the instance (registry and administration §1.1), and its registry's address.

use super::identifiers::{Field, Rule};
use super::model::{ADDRESS_PLACE, ConfigurationKey, Parameters};
use super::record::Record;
use super::servers::check_address;
use super::{Desk, Refusal};
use crate::publish::SourceKind;
use crate::state::rules;

/// A week, the longest time that makes sense anywhere here.
const WEEK: u64 = 7 * 24 * 3600;
/// The least and the most seconds between two time-stamps of a message log.
const TIMESTAMPING: std::ops::RangeInclusive<u64> = 60..=86_400;
/// The least seconds that a configuration is valid: two rounds of a second each, and the way to a client.
const LEAST_EXPIRY: u64 = 5;

/// Settings that are to change; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Oldest acceptable `thisUpdate` of an OCSP response, seconds.
    pub ocsp_freshness_seconds: Option<u64>,
    /// How often a server time-stamps its message log, seconds: 60 to 86400, and less than the freshness.
    pub timestamping_interval_seconds: Option<u64>,
    /// How long what is published is valid, seconds; 0: what the configuration file says.
    pub expiry_seconds: Option<u64>,
    /// URL of the registration service, perhaps with a place for the registry's address.
    pub registration_url: Option<String>,
}

impl Desk {
    /// Changes settings.
    ///
    /// # Errors
    /// A number is out of its bounds; the URL is none.
    pub fn change_settings(&self, change: SettingsChange) -> Result<Parameters, Refusal> {
        self.change(|draft| {
            let mut parameters = draft.instance.parameters.clone();
            let SettingsChange {
                ocsp_freshness_seconds,
                timestamping_interval_seconds,
                expiry_seconds,
                registration_url,
            } = change;
            if let Some(seconds) = ocsp_freshness_seconds {
                parameters.ocsp_freshness_seconds = seconds;
            }
            if let Some(seconds) = timestamping_interval_seconds {
                parameters.timestamping_interval_seconds = seconds;
            }
            if let Some(seconds) = expiry_seconds {
                parameters.expiry_seconds = (seconds > 0).then_some(seconds);
            }
            let freshness = parameters.ocsp_freshness_seconds;
            let expires = parameters.expiry_seconds.unwrap_or(LEAST_EXPIRY);
            if freshness > WEEK
                || !TIMESTAMPING.contains(&parameters.timestamping_interval_seconds)
                || parameters.timestamping_interval_seconds >= freshness
                || !(LEAST_EXPIRY..=WEEK).contains(&expires)
            {
                return Err(Refusal::fault(Field::Seconds, Rule::Range));
            }
            if let Some(url) = registration_url {
                let filled = url.replace(ADDRESS_PLACE, "registry.example");
                rules::url(&filled).map_err(|_| Refusal::fault(Field::RegistrationUrl, Rule::Form))?;
                parameters.registration_url = url;
            }
            draft.put(Record::Parameters(parameters.clone()));
            Ok(parameters)
        })
    }

    /// Gives the registry another address, and its anchors with it. Servers that were told the old one go
    /// on asking there, unless they have fetched a configuration since.
    ///
    /// # Errors
    /// It is neither a host name nor an IP address.
    pub fn set_address(&self, address: &str) -> Result<(), Refusal> {
        self.change(|draft| {
            check_registry_address(address)?;
            let before = draft.instance.parameters.clone();
            let parameters = Parameters { address: Some(address.to_owned()), ..before };
            for source in SourceKind::ALL {
                let keys = draft.instance.keys_of(source);
                let keys: Vec<ConfigurationKey> = keys.into_iter().cloned().collect();
                self.put_anchor(draft, source, &keys, &parameters);
            }
            draft.put(Record::Parameters(parameters));
            Ok(())
        })
    }

    /// The host under which clients reach the registry, an IPv6 address in brackets; none before
    /// initialisation.
    pub fn host(&self) -> Option<String> {
        let look = self.look();
        look.parameters.address.as_ref()?;
        Some(self.address(&look.parameters).host().to_owned())
    }

    /// Host and, unless it is 80, port at which configuration is served.
    pub fn authority(&self) -> Option<String> {
        let look = self.look();
        look.parameters.address.as_ref()?;
        Some(self.address(&look.parameters).authority().to_owned())
    }
}

/// A host name or an IP address; with a port where the registry does not serve on 80.
pub(super) fn check_registry_address(address: &str) -> Result<(), Refusal> {
    if check_address(address).is_ok() || crate::config::address(address).is_ok() {
        return Ok(());
    }
    Err(Refusal::fault(Field::Address, Rule::Form))
}
