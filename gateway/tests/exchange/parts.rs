//! The ports of a gateway, kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::{PrivateKey, SignatureForm};
use gateway::ports::{
    BoxFuture, ContainerError, ContainerQuery, LocalClient, LocalService, LogEntry, LogError, LogPosition,
    MessageLog, NamedContainer, NodeDirectory, Signed, Signer,
};
use protocol::digest::{Digest, DigestAlgorithm};
use protocol::fault::{Fault, code};
use protocol::hash_chain::signature_batch;
use protocol::id::{ClientId, GlobalGroupId, MemberId, SecurityServerId, ServiceId};
use protocol::signature::{CertificateRef, SignatureAlgorithm, SignedReference, SigningEvidence, prepare};
use protocol::time::UtcTime;

/// Signs with one key a member, one message at a time.
pub(crate) struct Keys {
    pub keys: Mutex<HashMap<MemberId, SigningKey>>,
    /// Signs something else than it was asked to.
    pub spoils: AtomicBool,
    /// Certificates of authorities that it puts into signatures.
    pub intermediates: Mutex<Vec<CertificateRef>>,
}

#[derive(Clone)]
pub(crate) struct SigningKey {
    pub key: Arc<PrivateKey>,
    pub certificate: Certificate,
    pub response: Bytes,
    pub algorithm: SignatureAlgorithm,
}

impl Keys {
    fn key(&self, member: &MemberId) -> Result<SigningKey, Fault> {
        let keys = self.keys.lock().unwrap();
        keys.get(member).cloned().ok_or_else(|| Fault::new(code::UNKNOWN_MEMBER, "no key of the member"))
    }

    /// One signature over several messages.
    pub(crate) fn sign_batch(&self, member: &MemberId, messages: &[&[Digest]]) -> Result<Vec<Signed>, Fault> {
        let SigningKey { key, certificate, response, algorithm } = self.key(member)?;
        let evidence = SigningEvidence {
            certificate: certificate.der().clone(),
            issuer_name: certificate.issuer_name(),
            serial: certificate.serial_decimal(),
            intermediates: self.intermediates.lock().unwrap().clone(),
            ocsp_responses: vec![response],
        };
        let needs_chain = messages.len() > 1 || messages[0].len() > 1;
        let chain = needs_chain.then(|| signature_batch(messages));
        let reference = match &chain {
            None => SignedReference::Message(messages[0][0]),
            Some(chain) => SignedReference::HashChainResult(DigestAlgorithm::Sha512.digest(&chain.result)),
        };
        let unsigned = prepare(&evidence, reference, algorithm, UtcTime::from(std::time::SystemTime::now()));
        let value = key.sign(algorithm, unsigned.octets(), SignatureForm::Raw).unwrap();
        let document = unsigned.finish(&value);
        let signed = |hash_chain| Signed {
            document: document.clone(),
            hash_chain_result: chain.as_ref().map(|chain| chain.result.clone()),
            hash_chain,
        };
        Ok(match &chain {
            None => vec![signed(None)],
            Some(chain) => chain.chains.iter().cloned().map(|chain| signed(Some(chain))).collect(),
        })
    }
}

impl Signer for Keys {
    fn sign<'a>(&'a self, member: &'a MemberId, parts: Vec<Digest>) -> BoxFuture<'a, Result<Signed, Fault>> {
        Box::pin(async move {
            let mut parts = parts;
            if self.spoils.load(Ordering::Relaxed) {
                parts[0] = DigestAlgorithm::Sha512.digest(b"something else");
            }
            Ok(self.sign_batch(member, &[&parts])?.remove(0))
        })
    }

    fn can_sign(&self, member: &MemberId) -> Result<(), Fault> {
        self.key(member).map(drop)
    }
}

/// Keeps what was logged.
#[derive(Default)]
pub(crate) struct Log {
    pub entries: Mutex<Vec<(LogEntry, bool)>>,
    pub full: AtomicBool,
    /// What it says instead of keeping anything.
    pub failure: Mutex<Option<LogError>>,
    pub delay: Mutex<Duration>,
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}

impl MessageLog for Log {
    fn append(&self, entry: LogEntry, timestamp_now: bool) -> BoxFuture<'_, Result<LogPosition, LogError>> {
        Box::pin(async move {
            let delay = *self.delay.lock().unwrap();
            tokio::time::sleep(delay).await;
            if let Some(error) = self.failure.lock().unwrap().clone() {
                return Err(error);
            }
            if self.full.load(Ordering::Relaxed) {
                return Err(LogError::Full("the secret reason".to_owned()));
            }
            let mut entries = self.entries.lock().unwrap();
            entries.push((entry, timestamp_now));
            Ok(LogPosition(entries.len() as u64))
        })
    }

    fn containers<'a>(
        &'a self,
        query: ContainerQuery<'a>,
    ) -> BoxFuture<'a, Result<Vec<NamedContainer>, ContainerError>> {
        Box::pin(async move {
            let entries = self.entries.lock().unwrap();
            let found: Vec<_> = entries
                .iter()
                .enumerate()
                .filter(|(_, (entry, _))| {
                    entry.owner() == query.owner
                        && entry.message_id == query.message_id
                        && query.direction.is_none_or(|direction| direction == entry.direction)
                })
                .map(|(number, (entry, _))| NamedContainer {
                    name: format!("{}-{number}.asice", entry.message_id),
                    bytes: entry.signed.document.clone(),
                })
                .collect();
            if found.is_empty() { Err(ContainerError::NotFound) } else { Ok(found) }
        })
    }
}

/// Clients, services and rights.
pub(crate) struct Directory {
    pub server: SecurityServerId,
    pub clients: Mutex<HashMap<ClientId, Arc<LocalClient>>>,
    pub services: Mutex<HashMap<ServiceId, Arc<LocalService>>>,
    /// Who may call what; every method and path but those that contain `forbidden`.
    pub rights: Mutex<HashSet<(ClientId, ServiceId)>>,
}

impl NodeDirectory for Directory {
    fn server_id(&self) -> &SecurityServerId {
        &self.server
    }

    fn client(&self, id: &ClientId) -> Option<Arc<LocalClient>> {
        self.clients.lock().unwrap().get(id).cloned()
    }

    fn service(&self, id: &ServiceId) -> Option<Arc<LocalService>> {
        self.services.lock().unwrap().get(id).cloned()
    }

    fn services(&self, provider: &ClientId) -> Vec<Arc<LocalService>> {
        let services = self.services.lock().unwrap();
        let mut found: Vec<_> =
            services.values().filter(|service| service.id.provider() == provider).cloned().collect();
        found.sort_by_key(|service| (service.id.encoded(), service.id.version().map(str::to_owned)));
        found
    }

    fn has_some_right(
        &self,
        client: &ClientId,
        service: &ServiceId,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        self.is_allowed(client, service, "GET", "/", is_in_group)
    }

    fn is_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        _method: &str,
        path: &str,
        is_in_group: &dyn Fn(&GlobalGroupId) -> bool,
    ) -> bool {
        let group = GlobalGroupId::new("CW", "everybody").unwrap();
        let right = self.rights.lock().unwrap().contains(&(client.clone(), service.clone()));
        (right || is_in_group(&group)) && !path.contains("forbidden")
    }
}
