//! Registering an authentication certificate (§3.1, §3.4): the one request that does not travel over the
//! exchange protocol, since a server without such a certificate cannot take part in it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::PrivateKey;
use gateway::http::Fetcher;
use gateway::http::fetch::Fetched;
use protocol::fault::{Fault, code};
use protocol::management::{
    Change, ManagementRequest, RegistrationParts, check_answer, content_type, soap_only,
};
use protocol::soap::{Envelope, SoapMessage};
use uuid::Uuid;

use super::sign::{boundary, sign};
use super::{ManagementClient, ManagementError, RequestId, private};

/// Times for the registration service.
const CONNECT: Duration = Duration::from_secs(20);
const READ: Duration = Duration::from_secs(60);
/// Longest answer, octets.
const LONGEST_ANSWER: usize = 256 * 1024;

/// A certificate that is to be registered.
pub struct Registration {
    /// Its key, which proves that it is there.
    pub key: Arc<PrivateKey>,
    /// The certificate.
    pub certificate: Certificate,
    /// Where the server is: an IP address or a host name.
    pub address: String,
    /// Whether the registry only checks the request.
    pub dry_run: bool,
}

impl ManagementClient {
    /// Asks that an authentication certificate be registered. The owner's signing key signs with it.
    ///
    /// # Errors
    /// Why the registry did not take the request.
    pub async fn register_auth_certificate(
        &self,
        registration: &Registration,
    ) -> Result<RequestId, ManagementError> {
        let Registration { key, certificate, address, dry_run } = registration;
        let message = self.registration_message(Change::AuthCertReg {
            address: Some(address.clone()),
            certificate: certificate.der().to_vec(),
            dry_run: *dry_run,
        })?;
        let owner = self.signer.credentials(self.server.owner())?;
        let parts = RegistrationParts {
            possession: sign(key, message.octets()).await?,
            consent: sign(&owner.key, message.octets()).await?,
            authentication_certificate: certificate.der().clone(),
            owner_certificate: owner.certificate,
            owner_ocsp: owner.ocsp,
        };
        let boundary = boundary();
        let body = parts.write(&message, &boundary)?;
        let answered = self.send(&content_type(&boundary), body).await?;
        let answer = message_of(answered)?;
        Ok(check_answer(&message, &answer)?)
    }

    /// Whether the registration service answers: it is sent a request that it has to refuse (§3.4).
    ///
    /// # Errors
    /// It does not answer, or in another way than a registry does.
    pub async fn probe_registration_service(&self) -> Result<(), ManagementError> {
        let change = Change::AuthCertReg { address: None, certificate: Vec::new(), dry_run: true };
        let message = self.registration_message(change)?;
        let boundary = boundary();
        let body = soap_only(&message, &boundary)?;
        let answered = self.send(&content_type(&boundary), body).await?;
        match message_of(answered) {
            Err(ManagementError::Refused(fault)) if fault.code == code::INVALID_REQUEST => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Fault::new(code::INVALID_MESSAGE, "an empty registration was taken").into()),
        }
    }

    fn registration_message(&self, change: Change) -> Result<SoapMessage, ManagementError> {
        let snapshot = self.snapshot()?;
        let provider = &private(&snapshot)?.management_service_provider;
        let request = ManagementRequest { server: self.server.clone(), change };
        Ok(request.to_soap(provider, &Uuid::new_v4().to_string())?)
    }

    async fn send(&self, content_type: &str, body: Bytes) -> Result<Fetched, ManagementError> {
        let snapshot = self.snapshot()?;
        let private = private(&snapshot)?;
        let pinned = private.registration_certificate.clone().ok_or(ManagementError::NotPinned)?;
        let fetcher = Fetcher::pinned(vec![pinned.into()], None, CONNECT, READ);
        let sent = fetcher.post(&private.registration_address, content_type, body, LONGEST_ANSWER);
        sent.await.map_err(ManagementError::Unreachable)
    }
}

/// The message of an answer.
fn message_of(answered: Fetched) -> Result<SoapMessage, ManagementError> {
    match Envelope::parse(answered.body) {
        Ok(Envelope::Fault(fault)) => Err(fault.fault.into()),
        Ok(Envelope::Message(message)) if answered.status.is_success() => Ok(*message),
        Ok(Envelope::Message(_)) | Err(_) => Err(ManagementError::NoAnswer(answered.status.as_u16())),
    }
}
