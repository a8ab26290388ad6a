//! Why an exchange ended early: what the other side is told, and what only the log keeps.

use std::fmt;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use protocol::fault::{Fault, Origin};
use protocol::soap::SoapFault;
use protocol::transport;
use uuid::Uuid;

use crate::http::Outgoing;

/// The end of an exchange that has no answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    fault: Fault,
    cause: Option<String>,
    foreign: bool,
    /// The fault as somebody else wrote it.
    octets: Option<Box<Bytes>>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, cause: None, foreign: false, octets: None }
    }
}

impl Refusal {
    /// A refusal whose `cause` is for our log alone: addresses, paths, errors of the system.
    pub(crate) fn because(code: &'static str, text: &str, cause: impl fmt::Display) -> Self {
        let fault = Fault::new(code, text);
        Self { fault, cause: Some(cause.to_string()), foreign: false, octets: None }
    }

    /// A fault that the other server or a provider made. It is handed on as it is (§2.9, §7.4 rule 3).
    pub(crate) fn foreign(SoapFault { fault, octets }: SoapFault) -> Self {
        Self { fault, cause: None, foreign: true, octets: Some(Box::new(octets)) }
    }

    /// The fault as somebody else wrote it.
    pub(crate) fn octets(&self) -> Option<Bytes> {
        self.octets.as_deref().cloned()
    }

    /// Puts a group before the code, unless the code is not ours.
    pub(crate) fn within(mut self, group: &str) -> Self {
        if !self.foreign {
            self.fault = self.fault.within(group);
        }
        self
    }

    /// The same refusal under another code.
    pub(crate) fn with_code(self, code: &'static str) -> Self {
        let Self { fault, cause, foreign, octets: _ } = self;
        let cause = cause.unwrap_or_else(|| fault.code.to_string());
        Self { fault: Fault::new(code, fault.text), cause: Some(cause), foreign, octets: None }
    }

    /// The same refusal in other words; those it had are for our log.
    pub(crate) fn with_text(mut self, text: &str) -> Self {
        let cause = self.cause.take().unwrap_or_default();
        let had = std::mem::replace(&mut self.fault.text, text.to_owned());
        self.cause = Some(format!("{had}: {cause}").trim_end_matches([':', ' ']).to_owned());
        self
    }

    /// Whether the other side made the fault.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// A provider's server hands nothing on: a fault that it was sent is a message without signature.
    pub(crate) fn into_ours(self) -> Self {
        if !self.foreign {
            return self;
        }
        let text = "a fault stands in the place of the signature";
        Self::because(protocol::fault::code::MISSING_SIGNATURE, text, self.fault)
    }

    /// Gives the fault its origin and an id, and writes id, code, text and cause to the log.
    pub(crate) fn tell(self, origin: Origin) -> Fault {
        if self.foreign {
            let detail = self.fault.detail.as_deref().unwrap_or_default();
            tracing::info!(id = detail, code = %self.fault.code, text = self.fault.text, "fault received");
            return self.fault;
        }
        let fault = match self.fault.code.split('.').next() {
            Some("client" | "server") => self.fault,
            _ => self.fault.from_origin(origin),
        };
        let fault = fault.with_detail(|| Uuid::new_v4().to_string());
        let cause = self.cause.as_deref().unwrap_or_default();
        let detail = fault.detail.as_deref().unwrap_or_default();
        tracing::warn!(id = detail, code = %fault.code, text = fault.text, cause, "exchange refused");
        fault
    }
}

/// The octets of a fault.
pub(crate) fn fault_octets(fault: &Fault) -> Bytes {
    Bytes::from(transport::write_fault(fault))
}

/// An HTTP response that is nothing but a fault (§2.9; §4.7, shape A).
pub(crate) fn fault_response(octets: Bytes) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::from(octets));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(transport::FAULT_CONTENT_TYPE));
    headers.insert(HeaderName::from_static("soapaction"), HeaderValue::from_static(""));
    response
}

/// An error with all its sources, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::fault::code;

    use super::*;

    #[test]
    fn our_faults_get_origin_and_id_and_foreign_ones_pass() {
        let ours = Refusal::because(code::IO_ERROR, "broken", "secret").within(code::SERVICE_FAILED);
        let told = ours.tell(Origin::ServerProxy);
        assert_eq!(told.code, "server.serverproxy.service_failed.io_error");
        assert_eq!(told.text, "broken");
        assert!(told.detail.is_some_and(|id| id.parse::<Uuid>().is_ok()));
        let client = Refusal::from(Fault::new("client.bad_request", "x")).tell(Origin::ClientProxy);
        assert_eq!(client.code, "client.bad_request");
        let fault = Fault::new("Server.ServerProxy.X", "y");
        let foreign = SoapFault { fault: fault.clone(), octets: Bytes::from_static(b"<as it came/>") };
        let foreign = Refusal::foreign(foreign).within("z");
        assert_eq!(foreign.octets().as_deref(), Some(&b"<as it came/>"[..]));
        assert_eq!(foreign.tell(Origin::ClientProxy), fault);
    }
}
