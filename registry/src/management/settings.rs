//! What the operator decides about the management services: `[management-services]` of the configuration
//! file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use certs::certificate::Certificate;

use super::{Admission, ManagementTlsError, Network, Port};
use crate::config::{obeys, read_text};
use crate::fields::{At, Table};

/// Settings of both services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Where the registration service listens.
    pub registration: Place,
    /// Where the management service listens.
    pub management: Place,
    /// Files with the internal TLS certificates of the provider's servers. See [`Admission`].
    pub certificates: Vec<PathBuf>,
    /// Networks of the provider's servers. See [`Admission`].
    pub networks: Vec<Network>,
    /// Requests that each service takes from one address in a minute. One address asks for all others at
    /// the management service.
    pub requests_per_minute: usize,
}

/// Where a service listens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// At its usual port of the address that HTTP listens on; at any port if HTTP listens at any.
    #[default]
    Usual,
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration: Place::Usual,
            management: Place::Usual,
            certificates: Vec::new(),
            networks: Vec::new(),
            requests_per_minute: 10,
        }
    }
}

impl Place {
    /// The address, if there is one.
    pub(crate) fn address(self, port: Port, http: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Usual => {
                let number = if http.port() == 0 { 0 } else { port.number() };
                Some(SocketAddr::new(http.ip(), number))
            }
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

impl Settings {
    /// Reads the table.
    pub(crate) fn read(mut table: Table<'_, '_>, folder: &Path) -> Self {
        let mut settings = Self::default();
        for (key, place) in
            [("registration", &mut settings.registration), ("management", &mut settings.management)]
        {
            if let Some(at) = table.text(key) {
                *place = place_of(&table, &at).unwrap_or_default();
            }
        }
        settings.certificates =
            table.texts("certificates").into_iter().map(|at| folder.join(at.value)).collect();
        for at in table.texts("networks") {
            match at.value.parse() {
                Ok(network) => settings.networks.push(network),
                Err(error) => table.problem_at(&at.place, format!("{error}")),
            }
        }
        if let Some(most) = table.number("requests-per-minute", 1, 100_000) {
            settings.requests_per_minute = usize::try_from(most).unwrap_or(usize::MAX);
        }
        table.finish();
        settings
    }

    /// Who is admitted, with the certificates of the files.
    ///
    /// # Errors
    /// A file cannot be read, or holds no certificate.
    pub(crate) fn admission(&self) -> Result<Admission, ManagementTlsError> {
        let read = |path: &PathBuf| -> Result<Bytes, ManagementTlsError> {
            let told = |problem: String| ManagementTlsError::File { path: path.clone(), problem };
            let text = read_text(path).map_err(|error| told(error.to_string()))?;
            let certificate = Certificate::from_pem(&text).map_err(|error| told(error.to_string()))?;
            Ok(certificate.der().clone())
        };
        let certificates = self.certificates.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Admission { certificates, networks: self.networks.clone() })
    }
}

fn place_of(table: &Table<'_, '_>, at: &At<String>) -> Option<Place> {
    if at.value == "off" {
        return Some(Place::Off);
    }
    let rule = |text: &str| match text.parse::<SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("must be an IP address with a port, such as 0.0.0.0:4001, or off".to_owned()),
    };
    if obeys(table, at, rule) { at.value.parse().ok().map(Place::At) } else { None }
}
