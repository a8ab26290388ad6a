//! The SOAP message around a request (§3.2).

use quick_xml::escape::partial_escape;

use super::identifier::{write_client, write_service};
use super::{ManagementRequest, body};
use crate::fault::Fault;
use crate::id::ClientId;
use crate::soap::{ENVELOPE_NAMESPACE, IDENTIFIERS_NAMESPACE, SoapMessage, XROAD_NAMESPACE};

impl ManagementRequest {
    /// The message that asks for this. `provider` offers the management services, `id` is new for every
    /// message. Who asks is the owner of the server, whoever signs beside it.
    ///
    /// # Errors
    /// When something in the request has characters that XML does not have.
    pub fn to_soap(&self, provider: &ClientId, id: &str) -> Result<SoapMessage, Fault> {
        let owner = ClientId::from(self.server.owner().clone());
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{ENVELOPE_NAMESPACE}\" \
             xmlns:id=\"{IDENTIFIERS_NAMESPACE}\" xmlns:xroad=\"{XROAD_NAMESPACE}\"><SOAP-ENV:Header>\
             {}{}<xroad:id>{}</xroad:id><xroad:protocolVersion>4.0</xroad:protocolVersion>\
             </SOAP-ENV:Header><SOAP-ENV:Body>{}</SOAP-ENV:Body></SOAP-ENV:Envelope>",
            write_client("client", &owner),
            write_service(provider, self.change.request_type().service_code()),
            partial_escape(id),
            body::write(self),
        );
        SoapMessage::parse(text.into())
    }
}
