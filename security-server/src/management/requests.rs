//! The ten requests that are calls over the exchange protocol (§3.6, §3.7). Each says who signs beside the
//! owner of the server, whose call it is.

use certs::certificate::Certificate;
use protocol::id::{ClientId, MemberId};
use protocol::management::{Change, ManagementRequest, SignedParts, check_answer, content_type};
use protocol::soap::{PLAIN_CONTENT_TYPE, SoapMessage};
use uuid::Uuid;

use super::sign::{boundary, sign};
use super::{ManagementClient, ManagementError, RequestId, private};

impl ManagementClient {
    /// Asks that an authentication certificate no longer belong to the server.
    ///
    /// # Errors
    /// Why the registry did not take the request; so for all of these.
    pub async fn delete_auth_certificate(
        &self,
        certificate: &Certificate,
    ) -> Result<RequestId, ManagementError> {
        self.unsigned(Change::AuthCertDeletion { certificate: certificate.der().to_vec() }).await
    }

    /// Asks that a member or subsystem become a client of the server; signed by its member.
    ///
    /// # Errors
    /// As above.
    pub async fn register_client(
        &self,
        client: &ClientId,
        subsystem_name: Option<&str>,
    ) -> Result<RequestId, ManagementError> {
        let subsystem_name = subsystem_name.map(str::to_owned);
        self.signed(Change::ClientReg { client: client.clone(), subsystem_name }, client.member()).await
    }

    /// Asks that a client be one no longer.
    ///
    /// # Errors
    /// As above.
    pub async fn delete_client(&self, client: &ClientId) -> Result<RequestId, ManagementError> {
        self.unsigned(Change::ClientDeletion { client: client.clone() }).await
    }

    /// Asks that a client stop for a while; signed by its member.
    ///
    /// # Errors
    /// As above.
    pub async fn disable_client(&self, client: &ClientId) -> Result<RequestId, ManagementError> {
        self.signed(Change::ClientDisable { client: client.clone() }, client.member()).await
    }

    /// Asks that a client go on; signed by its member.
    ///
    /// # Errors
    /// As above.
    pub async fn enable_client(&self, client: &ClientId) -> Result<RequestId, ManagementError> {
        self.signed(Change::ClientEnable { client: client.clone() }, client.member()).await
    }

    /// Asks for another name of a subsystem; signed by its member.
    ///
    /// # Errors
    /// As above.
    pub async fn rename_client(
        &self,
        client: &ClientId,
        subsystem_name: &str,
    ) -> Result<RequestId, ManagementError> {
        let subsystem_name = subsystem_name.to_owned();
        self.signed(Change::ClientRename { client: client.clone(), subsystem_name }, client.member()).await
    }

    /// Asks for another owner of the server; signed by the new one.
    ///
    /// # Errors
    /// As above.
    pub async fn change_owner(&self, owner: &MemberId) -> Result<RequestId, ManagementError> {
        self.signed(Change::OwnerChange { client: owner.clone().into() }, owner).await
    }

    /// Tells another address of the server; signed by its owner.
    ///
    /// # Errors
    /// As above.
    pub async fn change_address(&self, address: &str) -> Result<RequestId, ManagementError> {
        self.signed(Change::AddressChange { address: address.to_owned() }, self.server.owner()).await
    }

    /// Tells that the server takes no messages; signed by its owner.
    ///
    /// # Errors
    /// As above.
    pub async fn enable_maintenance(&self, message: Option<&str>) -> Result<RequestId, ManagementError> {
        let message = message.map(str::to_owned);
        self.signed(Change::MaintenanceModeEnable { message }, self.server.owner()).await
    }

    /// Tells that the server takes messages again; signed by its owner.
    ///
    /// # Errors
    /// As above.
    pub async fn disable_maintenance(&self) -> Result<RequestId, ManagementError> {
        self.signed(Change::MaintenanceModeDisable, self.server.owner()).await
    }

    async fn signed(&self, change: Change, signer: &MemberId) -> Result<RequestId, ManagementError> {
        let message = self.message(change)?;
        let credentials = self.signer.credentials(signer)?;
        let parts = SignedParts {
            signature: sign(&credentials.key, message.octets()).await?,
            certificate: credentials.certificate,
            ocsp: credentials.ocsp,
        };
        let boundary = boundary();
        let body = parts.write(&message, &boundary)?;
        let answer = self.calls()?.call(&content_type(&boundary), body).await?;
        Ok(check_answer(&message, &answer)?)
    }

    async fn unsigned(&self, change: Change) -> Result<RequestId, ManagementError> {
        let message = self.message(change)?;
        let answer = self.calls()?.call(PLAIN_CONTENT_TYPE, message.octets().clone()).await?;
        Ok(check_answer(&message, &answer)?)
    }

    fn message(&self, change: Change) -> Result<SoapMessage, ManagementError> {
        let snapshot = self.snapshot()?;
        let provider = &private(&snapshot)?.management_service_provider;
        let request = ManagementRequest { server: self.server.clone(), change };
        Ok(request.to_soap(provider, &Uuid::new_v4().to_string())?)
    }
}
