//! What the management services need of the registry around them.

use std::net::IpAddr;
use std::sync::Arc;

use certs::trust::TrustStore;
use gateway::ports::BoxFuture;
use protocol::fault::{Fault, code};
use protocol::id::{ClientId, SecurityServerId};
use protocol::management::RequestType;

use super::{Checked, Port};

/// The registry as the management services see it.
pub trait Registrar: Send + Sync + 'static {
    /// The instance at this moment. None while there is no configuration in force: requests are refused
    /// with `global_conf_outdated`.
    fn view(&self) -> Option<Arc<View>>;

    /// Takes a request that passed all checks of the wire into its life cycle (§2). When this returns a
    /// number, the request is durable.
    ///
    /// # Errors
    /// What the rules of the registry say against it.
    fn submit(&self, request: Checked) -> BoxFuture<'_, Result<u64, Declined>>;

    /// Keeps in the audit log that a request was refused. The answer waits for it.
    fn refused(&self, refused: RefusedRequest) -> BoxFuture<'_, ()>;
}

/// What requests are checked against. It is replaced as a whole when the instance changes.
#[derive(Debug)]
pub struct View {
    /// The approved certification services of the instance.
    pub trust: Arc<TrustStore>,
    /// Who offers the management services to other servers.
    pub provider: ClientId,
    /// Addresses at which the servers of the provider are registered.
    pub provider_addresses: Vec<String>,
}

/// The registry's own rules forbid the request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code} with statusCode {status}")]
pub struct Declined {
    /// The error code of the registry, as its administration would answer it.
    pub code: String,
    /// The HTTP status that goes with it.
    pub status: u16,
}

impl From<Declined> for Fault {
    /// The form in which administrators of security servers see it (§3.9).
    fn from(declined: Declined) -> Self {
        Self::new(code::INTERNAL_ERROR, declined.to_string())
    }
}

/// A request that was refused, as far as it was understood. Nothing in it was necessarily proven.
#[derive(Clone, Debug)]
pub struct RefusedRequest {
    /// Which service.
    pub port: Port,
    /// Who connected.
    pub address: IpAddr,
    /// What was asked for.
    pub request_type: Option<RequestType>,
    /// Which server it was about.
    pub server: Option<SecurityServerId>,
    /// Which client it was about.
    pub client: Option<ClientId>,
    /// The message's id.
    pub message_id: Option<String>,
    /// Why it was refused, with the trace id that the sender got.
    pub fault: Fault,
}

impl RefusedRequest {
    /// Tells it in the program's log.
    pub fn tell(&self) {
        let text = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
        let (server, client) = (self.server.as_ref(), self.client.as_ref());
        tracing::warn!(
            port = self.port.name(),
            address = %self.address,
            request = self.request_type.map_or("-", RequestType::service_code),
            server = %text(server.map(ToString::to_string)),
            client = %text(client.map(ToString::to_string)),
            message_id = self.message_id.as_deref().unwrap_or("-"),
            code = %self.fault.code,
            reason = %self.fault.text,
            trace = self.fault.detail.as_deref().unwrap_or("-"),
            "management request refused"
        );
    }
}
