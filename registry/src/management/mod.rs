//! The management services: how security servers ask their registry for changes (registry and
//! administration §3).
//!
//! The registration service (port 4001) takes authentication certificates from servers that nobody knows
//! yet. The management service (port 4002) takes everything else from the one server that offers it to the
//! others over the exchange protocol, and from nobody else ([`admission`]). A request is read and checked
//! in the order of §3.8 ([`check`]), handed to the registry's own rules ([`Registrar`]), and answered. What
//! is refused is told to whoever keeps the audit log.
//!
//! Formats are in `protocol::management`, certificates and signatures in `certs::management`. The life of a
//! request after it was taken is not here.

mod admission;
mod answer;
mod check;
mod intake;
mod listeners;
mod pace;
mod registrar;
mod service;
mod settings;
mod tls;
mod wsdl;

pub use admission::{Admission, Network, NetworkError};
pub use check::{Checked, Port, check};
pub(crate) use listeners::{Listeners, Surroundings};
pub use registrar::{Declined, RefusedRequest, Registrar, View};
pub use service::ManagementServices;
pub use settings::{Place, Settings};
pub use tls::{ManagementTls, ManagementTlsError};
pub(crate) use wsdl::{WSDL, WSDL_PATH};
