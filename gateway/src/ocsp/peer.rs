//! Responses for the certificates of peers (§16.6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::ocsp::{self, OcspResponse};
use certs::trust::TrustStore;
use http::header::CONTENT_TYPE;
use protocol::digest::Digest;
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;

use super::RESPONSE_TYPE;
use super::multipart::{self, MANY};
use crate::http::Fetcher;

/// Largest answer of a peer.
const LARGEST_ANSWER: usize = MANY * ocsp::MAX_RESPONSE;
/// Certificates in one generation of the cache.
const GENERATION: usize = 4096;

/// How [`PeerResponses`] works.
#[derive(Clone, Copy, Debug)]
pub struct PeerSettings {
    /// Time for a connection; 20 s.
    pub connect: Duration,
    /// Time for the answer; 30 s.
    pub read: Duration,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), read: Duration::from_secs(30) }
    }
}

/// Remembers responses for certificates of peers, and asks the peers for those that are missing.
pub struct PeerResponses {
    fetcher: Fetcher,
    cache: Mutex<Cache>,
    asking: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<Digest, OcspResponse>,
    old: HashMap<Digest, OcspResponse>,
}

impl PeerResponses {
    /// Starts with nothing remembered.
    pub fn new(settings: PeerSettings) -> Self {
        Self {
            fetcher: Fetcher::new(settings.connect, settings.read),
            cache: Mutex::default(),
            asking: Mutex::default(),
        }
    }

    /// A remembered response that still passes §16.4 up to the status and is not from before `oldest`.
    pub fn get(
        &self,
        subject: &Certificate,
        issuer: &Certificate,
        trust: &TrustStore,
        oldest: UtcTime,
        at: UtcTime,
    ) -> Option<OcspResponse> {
        let response = self.cache().get(&subject.hashes().sha256)?;
        let usable = response.this_update() >= oldest
            && ocsp::check_current(&response, subject, issuer, trust, at).is_ok();
        usable.then_some(response)
    }

    /// The response for each certificate of a peer's chain (leaf first, the anchor left out), from
    /// memory or from the OCSP port of `host`, which is the address that the connection goes to.
    ///
    /// The responses passed §16.4 up to the status; whether it is *good* is for the caller to check
    /// with the path.
    ///
    /// # Errors
    /// `ssl_authentication_failed` when the peer does not answer as it should, and the faults of
    /// [`ocsp::check_current`].
    pub async fn responses(
        &self,
        chain: &[Certificate],
        host: &str,
        port: u16,
        trust: &TrustStore,
        now: UtcTime,
    ) -> Result<Vec<Bytes>, Fault> {
        self.responses_since(chain, (host, port), trust, UtcTime::from_millis(i64::MIN), now).await
    }

    /// As [`PeerResponses::responses`], none of them from before `oldest`: for terms that are stricter
    /// than the instance's freshness. What is remembered and older is asked for anew.
    ///
    /// # Errors
    /// As [`PeerResponses::responses`]; `incorrect_validation_info` when even the peer has only older
    /// ones.
    pub async fn responses_since(
        &self,
        chain: &[Certificate],
        (host, port): (&str, u16),
        trust: &TrustStore,
        oldest: UtcTime,
        now: UtcTime,
    ) -> Result<Vec<Bytes>, Fault> {
        if let Some(all) = self.remembered(chain, trust, oldest, now) {
            return Ok(all);
        }
        // Many exchanges may miss the same response at once; one of them asks, the others wait for it.
        let turn = self.turn(host);
        let _guard = turn.lock().await;
        if let Some(all) = self.remembered(chain, trust, oldest, now) {
            return Ok(all);
        }
        let received = self.ask(host, port, chain).await?;
        for (index, (subject, response)) in chain.iter().zip(&received).enumerate() {
            let issuer = issuer_of(chain, index, trust).ok_or_else(|| {
                Fault::new(code::CANNOT_CREATE_CERT_PATH, "a certificate of the peer has no approved issuer")
            })?;
            ocsp::check_current(response, subject, &issuer, trust, now)?;
            if response.this_update() < oldest {
                return Err(Fault::new(
                    code::INCORRECT_VALIDATION_INFO,
                    "the OCSP response of the peer is older than the terms between the servers allow",
                ));
            }
            self.cache().put(subject.hashes().sha256, response.clone());
        }
        Ok(received.iter().map(|response| response.der().clone()).collect())
    }

    fn remembered(
        &self,
        chain: &[Certificate],
        trust: &TrustStore,
        oldest: UtcTime,
        at: UtcTime,
    ) -> Option<Vec<Bytes>> {
        (0..chain.len())
            .zip(chain)
            .map(|(index, subject)| {
                let issuer = issuer_of(chain, index, trust)?;
                self.get(subject, &issuer, trust, oldest, at).map(|response| response.der().clone())
            })
            .collect()
    }

    async fn ask(&self, host: &str, port: u16, chain: &[Certificate]) -> Result<Vec<OcspResponse>, Fault> {
        let failed = |text: String| {
            Fault::new(code::SSL_AUTHENTICATION_FAILED, format!("OCSP responses of the peer: {text}"))
        };
        if chain.is_empty() || chain.len() > MANY {
            return Err(failed(format!("a chain of {} certificates", chain.len())));
        }
        let url = question(host, port, chain);
        let answer = self
            .fetcher
            .get(&url, Some("multipart/related"), LARGEST_ANSWER)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !matches!(answer.status.as_u16(), 200..=208 | 226) {
            return Err(failed(format!("status {}", answer.status)));
        }
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let parts = multipart::read(kind, &answer.body)
            .ok_or_else(|| failed(format!("no multipart answer with parts of {RESPONSE_TYPE}")))?;
        if parts.len() != chain.len() {
            return Err(failed(format!("{} in place of {}", parts.len(), chain.len())));
        }
        // Copied, so that what is remembered does not hold the whole answer.
        parts.iter().map(|part| OcspResponse::parse(Bytes::copy_from_slice(part))).collect()
    }

    fn turn(&self, host: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = asking.get(host).and_then(Weak::upgrade) {
            return turn;
        }
        asking.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        asking.insert(host.to_owned(), Arc::downgrade(&turn));
        turn
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn get(&mut self, key: &Digest) -> Option<OcspResponse> {
        if let Some(response) = self.young.get(key) {
            return Some(response.clone());
        }
        let response = self.old.remove(key)?;
        self.put(*key, response.clone());
        Some(response)
    }

    fn put(&mut self, key: Digest, response: OcspResponse) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, response);
    }
}

/// The URL of the question: SHA-1 of each certificate in the order of the chain, then SHA-256 of each.
fn question(host: &str, port: u16, chain: &[Certificate]) -> String {
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let sha1 = chain.iter().map(|certificate| format!("cert={}", certificate.hashes().sha1.to_hex()));
    let sha256 =
        chain.iter().map(|certificate| format!("cert_hash={}", certificate.hashes().sha256.to_hex()));
    let hashes: Vec<String> = sha1.chain(sha256).collect();
    format!("http://{host}:{port}/?{}", hashes.join("&"))
}

/// The issuer of a certificate in a chain: the next one, or else an approved authority.
fn issuer_of(chain: &[Certificate], index: usize, trust: &TrustStore) -> Option<Certificate> {
    let subject = chain.get(index)?;
    match chain.get(index + 1) {
        Some(next) if subject.is_issued_by(next) => Some(next.clone()),
        _ => trust.issuer_of(subject, None).map(|authority| authority.certificate().clone()),
    }
}
