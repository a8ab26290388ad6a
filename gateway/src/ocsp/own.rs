//! Responses for the certificates that this node shows to others (§16.1, §16.2, §16.5).

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use certs::certificate::Certificate;
use certs::ocsp::{self, CertificateStatus, OcspResponse};
use certs::trust::TrustStore;
use protocol::configuration::GlobalConfiguration;
use protocol::digest::Digest;
use protocol::fault::{Fault, code};
use protocol::time::UtcTime;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::{Prioritization, fetch};
use crate::clock::Clock;
use crate::http::Fetcher;
use crate::snapshot::SnapshotCell;

/// How many responses are asked for at a time.
const AT_A_TIME: usize = 8;

/// How [`OwnResponses`] works.
#[derive(Clone, Debug)]
pub struct OwnSettings {
    /// Folder in which responses are kept as `<sha1 of the certificate>.ocsp`.
    pub folder: PathBuf,
    /// Which responders are asked first.
    pub prioritization: Prioritization,
    /// When responses are asked for again after one was not to be had; 60 s.
    pub retry: Duration,
}

impl OwnSettings {
    /// The usual settings with this folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), prioritization: Prioritization::None, retry: Duration::from_secs(60) }
    }
}

/// How a certificate stands, as lists of certificates show it (§16.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// No usable response is at hand.
    Unknown,
    /// *good*
    Good,
    /// *revoked*, but only suspended (CRLReason certificateHold).
    Suspended,
    /// *revoked*
    Revoked,
}

impl Standing {
    /// The name in the administration interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "OCSP_RESPONSE_UNKNOWN",
            Self::Good => "OCSP_RESPONSE_GOOD",
            Self::Suspended => "OCSP_RESPONSE_SUSPENDED",
            Self::Revoked => "OCSP_RESPONSE_REVOKED",
        }
    }
}

/// A certificate that is shown to others, with its issuer.
#[derive(Clone)]
struct Wanted {
    subject: Certificate,
    issuer: Certificate,
}

/// The newest response for a certificate.
#[derive(Clone)]
struct Held {
    subject: Certificate,
    response: OcspResponse,
}

/// Keeps fresh responses for the node's own certificates and the CA certificates above them.
pub struct OwnResponses {
    settings: OwnSettings,
    fetcher: Fetcher,
    snapshot: Arc<SnapshotCell>,
    clock: Clock,
    certificates: Mutex<Vec<Certificate>>,
    held: ArcSwap<HashMap<Digest, Held>>, // by the SHA-256 of the certificate
    wake: Notify,
    freshened: watch::Sender<u64>,
}

impl OwnResponses {
    /// Starts with no certificates. Nothing is fetched before [`OwnResponses::run`].
    pub fn new(settings: OwnSettings, fetcher: Fetcher, snapshot: Arc<SnapshotCell>, clock: Clock) -> Self {
        Self {
            settings,
            fetcher,
            snapshot,
            clock,
            certificates: Mutex::default(),
            held: ArcSwap::default(),
            wake: Notify::new(),
            freshened: watch::Sender::new(0),
        }
    }

    /// Says which certificates the node uses: those that are active and registered. Responses of an
    /// earlier run are read from the folder, and missing ones are asked for at once.
    pub fn set_certificates(&self, certificates: Vec<Certificate>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
        self.load_files();
        self.wake.notify_one();
    }

    /// The response for a certificate that may still be sent (§16.5): its `thisUpdate` is not older
    /// than the instance's freshness. It may say *revoked*.
    pub fn response(&self, certificate: &Certificate, at: UtcTime) -> Option<OcspResponse> {
        let held = self.held.load();
        let response = &held.get(&certificate.hashes().sha256)?.response;
        self.is_sendable(response, at).then(|| response.clone())
    }

    /// [`OwnResponses::response`] as octets.
    pub fn get(&self, certificate: &Certificate, at: UtcTime) -> Option<Bytes> {
        self.response(certificate, at).map(|response| response.der().clone())
    }

    /// The response for a certificate, if by it the certificate may be used now: all of §16.4.
    ///
    /// # Errors
    /// `cert_validation` when there is no response or it does not say *good*; `incorrect_validation_info`
    /// when it is too old; `cannot_create_cert_path` when no approved authority issued the certificate.
    pub fn good(
        &self,
        certificate: &Certificate,
        trust: &TrustStore,
        at: UtcTime,
    ) -> Result<OcspResponse, Fault> {
        let response = self.response(certificate, at).ok_or_else(|| {
            Fault::new(
                code::CERT_VALIDATION,
                format!("no OCSP response for certificate {}", certificate.subject_name()),
            )
        })?;
        let issuer = issuer_in(trust, certificate).ok_or_else(|| {
            Fault::new(code::CANNOT_CREATE_CERT_PATH, "the certificate has no approved issuer")
        })?;
        ocsp::check(&response, certificate, &issuer, trust, at)?;
        Ok(response)
    }

    /// How a certificate stands now.
    pub fn standing(&self, certificate: &Certificate, at: UtcTime) -> Standing {
        const CERTIFICATE_HOLD: u8 = 6;
        match self.response(certificate, at).map(|response| response.status()) {
            None | Some(CertificateStatus::Unknown) => Standing::Unknown,
            Some(CertificateStatus::Good) => Standing::Good,
            Some(CertificateStatus::Revoked(_, Some(CERTIFICATE_HOLD))) => Standing::Suspended,
            Some(CertificateStatus::Revoked(..)) => Standing::Revoked,
        }
    }

    /// Counts the new responses; changes tell those who wait for one.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.freshened.subscribe()
    }

    /// The response for one of the node's own certificates by the SHA-1 or SHA-256 of it in lower-case
    /// hexadecimal, as port 5577 asks for it.
    pub(super) fn by_hash(&self, hash: &str, at: UtcTime) -> Option<Bytes> {
        let held = self.held.load();
        let found = held.values().find(|held| {
            let hashes = held.subject.hashes();
            hashes.sha1.to_hex() == hash || hashes.sha256.to_hex() == hash
        })?;
        self.is_sendable(&found.response, at).then(|| found.response.der().clone())
    }

    /// Asks for a response for each certificate, for several at a time, so that a responder that is slow
    /// for one does not hold up the others. Returns how many got none.
    pub async fn refresh_once(&self) -> usize {
        let Some(snapshot) = self.snapshot.load() else { return 1 };
        let wanted = self.wanted();
        self.held.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.retain(|_, held| wanted.iter().any(|wanted| wanted.subject == held.subject));
            held
        });
        let permits = Arc::new(Semaphore::new(AT_A_TIME));
        let mut asked = JoinSet::new();
        for Wanted { subject, issuer } in wanted {
            let (snapshot, permits) = (Arc::clone(&snapshot), Arc::clone(&permits));
            let (fetcher, strategy, clock) = (self.fetcher.clone(), self.settings.prioritization, self.clock);
            asked.spawn(async move {
                let _permit = permits.acquire().await;
                let fetched =
                    fetch(&subject, &issuer, snapshot.trust(), &fetcher, strategy, clock.now()).await;
                (subject, fetched)
            });
        }
        let mut missing = 0;
        while let Some(joined) = asked.join_next().await {
            match joined {
                Ok((subject, Ok(response))) => self.keep(subject, response).await,
                Ok((_, Err(failure))) => {
                    tracing::warn!(%failure, "no new OCSP response");
                    missing += 1;
                }
                Err(error) => {
                    tracing::error!(%error, "asking for an OCSP response broke off");
                    missing += 1;
                }
            }
        }
        missing
    }

    /// Takes a new response: on disk first, then for everybody.
    async fn keep(&self, subject: Certificate, response: OcspResponse) {
        if let Err(error) = self.write_file(&subject, &response).await {
            tracing::warn!(%error, "an OCSP response could not be stored");
        }
        let key = subject.hashes().sha256;
        let new = Held { subject, response };
        self.held.rcu(|held| {
            let mut held = HashMap::clone(held);
            held.insert(key, new.clone());
            held
        });
        self.freshened.send_modify(|count| *count += 1);
    }

    /// Fetches until `stop`: at once, on every change of certificates or of the global configuration,
    /// at its interval, and sooner when a response is missing. While the global configuration is
    /// expired nothing is fetched.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut changes = self.snapshot.subscribe();
        changes.mark_changed();
        loop {
            let pause = self.round().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = self.responders_changed(&mut changes, pause) => self.load_files(),
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One round; gives the time until the next.
    async fn round(&self) -> Duration {
        let retry = self.settings.retry;
        let interval = match self.snapshot.load() {
            Some(snapshot) if snapshot.configuration().is_current(self.clock.now()) => {
                interval(snapshot.configuration())
            }
            _ => return retry,
        };
        if self.refresh_once().await == 0 { interval } else { retry.min(interval) }
    }

    /// Returns when the global configuration changed in a way that concerns us: a wanted certificate
    /// is without a response that passes, or responses must from now on be younger than the `pause` until
    /// the next round allows. An unchanged configuration is stored anew every minute, which is no reason
    /// to ask the responders.
    async fn responders_changed(&self, changes: &mut watch::Receiver<u64>, pause: Duration) {
        loop {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
            let Some(snapshot) = self.snapshot.load() else { continue };
            let (held, now) = (self.held.load(), self.clock.now());
            let passes = |wanted: &Wanted| {
                held.get(&wanted.subject.hashes().sha256).is_some_and(|held| {
                    let trust = snapshot.trust();
                    ocsp::check_current(&held.response, &wanted.subject, &wanted.issuer, trust, now).is_ok()
                })
            };
            if interval(snapshot.configuration()) < pause || !self.wanted().iter().all(passes) {
                return;
            }
        }
    }

    /// Certificates a response is needed for (§16.1), with their issuers, each once.
    fn wanted(&self) -> Vec<Wanted> {
        let Some(snapshot) = self.snapshot.load() else { return Vec::new() };
        let (trust, now) = (snapshot.trust(), self.clock.now());
        let mut wanted: Vec<Wanted> = Vec::new();
        for own in self.certificates.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if own.is_self_issued() || !own.is_valid_at(now) {
                continue;
            }
            let chain = trust.own_chain(own);
            // A leaf right below the anchor may be the whole chain or missing from it.
            let chain = if chain.is_empty() { vec![own.clone()] } else { chain };
            for subject in chain {
                let known = wanted.iter().any(|known| known.subject.der() == subject.der());
                if let (false, Some(issuer)) = (known, issuer_in(trust, &subject)) {
                    wanted.push(Wanted { subject, issuer });
                }
            }
        }
        wanted
    }

    fn is_sendable(&self, response: &OcspResponse, at: UtcTime) -> bool {
        let freshness =
            self.snapshot.load().map_or(3600, |snapshot| snapshot.configuration().ocsp_freshness_seconds());
        response.this_update().plus(Duration::from_secs(freshness)) > at
    }

    fn path_of(&self, certificate: &Certificate) -> PathBuf {
        self.settings.folder.join(format!("{}.ocsp", certificate.hashes().sha1.to_hex()))
    }

    /// Reads responses of an earlier run that are not held yet. A file is believed only if the
    /// response in it passes §16.4.
    fn load_files(&self) {
        let Some(snapshot) = self.snapshot.load() else { return };
        let now = self.clock.now();
        let held = self.held.load();
        let mut found = Vec::new();
        for Wanted { subject, issuer } in self.wanted() {
            if held.contains_key(&subject.hashes().sha256) {
                continue;
            }
            let Ok(octets) = std::fs::read(self.path_of(&subject)) else { continue };
            let Ok(response) = OcspResponse::parse(octets) else { continue };
            if ocsp::check_current(&response, &subject, &issuer, snapshot.trust(), now).is_ok() {
                found.push(Held { subject, response });
            }
        }
        self.held.rcu(|held| {
            let mut held = HashMap::clone(held);
            for found in &found {
                held.entry(found.subject.hashes().sha256).or_insert_with(|| found.clone());
            }
            held
        });
    }

    /// Written beside and renamed: after a crash there is the old response or the new one.
    async fn write_file(&self, certificate: &Certificate, response: &OcspResponse) -> io::Result<()> {
        let path = self.path_of(certificate);
        tokio::fs::create_dir_all(&self.settings.folder).await?;
        let beside = path.with_extension("ocsp.tmp");
        tokio::fs::write(&beside, response.der()).await?;
        tokio::fs::rename(&beside, &path).await
    }
}

/// How often responses are fetched: at the interval of the own instance, and at least twice in the
/// time that some class policy gives a response, since a peer refuses older ones.
fn interval(configuration: &GlobalConfiguration) -> Duration {
    let usual = configuration.own().map_or(1200, |own| own.ocsp_fetch_interval).max(60);
    let policies = configuration.instances.values().filter_map(|instance| instance.node_classes.as_ref());
    let shortest = policies
        .flat_map(|classes| classes.policy.pairs.values())
        .filter_map(|terms| terms.ocsp_live_seconds)
        .map(|live| (live / 2).max(5))
        .min();
    Duration::from_secs(shortest.map_or(usual, |shortest| shortest.min(usual)))
}

/// The approved certificate that issued this one, in any instance.
fn issuer_in(trust: &TrustStore, certificate: &Certificate) -> Option<Certificate> {
    trust.issuer_of(certificate, None).map(|authority| authority.certificate().clone())
}
