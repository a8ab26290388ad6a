//! What is told of an exchange when it is over, whatever its end.
//!
//! One event a message exchange and side, target `exchange`, level debug (info when it failed), with
//! field names that operators may rely on.

use std::time::Instant;

use protocol::fault::Fault;
use protocol::id::{ClientId, SecurityServerId, ServiceId};

use crate::ports::{LogPosition, Side};

/// Filled in while the exchange goes on.
#[derive(Debug)]
pub(crate) struct Summary {
    side: Side,
    started: Instant,
    pub(super) client: Option<ClientId>,
    pub(super) service: Option<ServiceId>,
    pub(super) message_id: String,
    pub(super) request_id: String,
    /// The other security server, once its certificate was found good.
    pub(super) peer: Option<SecurityServerId>,
    /// Whether the other side's signature verified.
    pub(super) signature: Verdict,
    pub(super) request_position: Option<LogPosition>,
    pub(super) response_position: Option<LogPosition>,
    pub(super) status: Option<u16>,
}

/// What became of a check.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It was not come to.
    #[default]
    Unchecked,
    /// It holds.
    Good,
}

impl Summary {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            started: Instant::now(),
            client: None,
            service: None,
            message_id: String::new(),
            request_id: String::new(),
            peer: None,
            signature: Verdict::Unchecked,
            request_position: None,
            response_position: None,
            status: None,
        }
    }

    /// Tells it. `fault` is what the exchange ended with, if it did.
    pub(super) fn tell(&self, fault: Option<&Fault>) {
        macro_rules! event {
            ($level:ident, $($more:tt)*) => {
                tracing::$level!(
                    target: "exchange",
                    side = match self.side { Side::Consumer => "consumer", Side::Provider => "provider" },
                    client = self.client.as_ref().map(tracing::field::display),
                    service = self.service.as_ref().map(tracing::field::display),
                    message_id = self.message_id,
                    request_id = self.request_id,
                    peer = self.peer.as_ref().map(tracing::field::display),
                    certificate = if self.peer.is_some() { "good" } else { "unchecked" },
                    signature = match self.signature { Verdict::Good => "good", Verdict::Unchecked => "unchecked" },
                    request_position = self.request_position.map(|position| position.0),
                    response_position = self.response_position.map(|position| position.0),
                    status = self.status,
                    micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
                    $($more)*
                )
            };
        }
        match fault {
            None => event!(debug, "exchange done"),
            Some(fault) => event!(
                info,
                code = %fault.code,
                id = fault.detail.as_deref(),
                "exchange failed"
            ),
        }
    }
}
