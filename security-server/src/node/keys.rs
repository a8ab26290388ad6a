//! Decides which of the node's certificates are in use, whenever something they depend on changes.
//!
//! The authentication certificate follows global configuration and trust §17.5, signing certificates
//! signatures and evidence §7.2, OCSP responses §16.1.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certs::certificate::{Certificate, CertificateUsage};
use certs::key::{AlgorithmChoice, PrivateKey};
use certs::profile::member_of;
use certs::token::{CertificateStatus, Token, TokenKey};
use certs::trust::TrustStore;
use gateway::Clock;
use gateway::ocsp::OwnResponses;
use gateway::ports::Signer as _;
use gateway::snapshot::{Snapshot, SnapshotCell};
use gateway::tls::{Identity, IdentityCell};
use protocol::id::{MemberId, SecurityServerId};
use protocol::time::UtcTime;
use tokio::sync::watch;

use super::Readiness;
use crate::signer::{BatchSigner, SigningKey};

/// Validity and OCSP responses end without an event, so they are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Devices come and go without an event, too.
const LOOK_AT_DEVICES: Duration = Duration::from_secs(2);

/// An active and registered certificate on the token, with its key.
#[derive(Clone)]
struct OwnCertificate {
    certificate: Certificate,
    key: Arc<PrivateKey>,
}

/// Keeps the users of keys supplied.
pub(crate) struct KeyKeeper {
    pub(crate) server: SecurityServerId,
    pub(crate) tokens: Vec<Arc<dyn Token>>,
    pub(crate) snapshot: Arc<SnapshotCell>,
    pub(crate) ocsp: Arc<OwnResponses>,
    pub(crate) identity: Arc<IdentityCell>,
    pub(crate) signer: Arc<BatchSigner>,
    pub(crate) algorithms: AlgorithmChoice,
    pub(crate) clock: Clock,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) in_use: Mutex<InUse>,
}

/// What the users have now.
#[derive(Default)]
pub(crate) struct InUse {
    wanted: Vec<Certificate>,
    signing: Vec<Certificate>,
    members: Vec<MemberId>,
    authentication: Vec<Certificate>,
    lost: Vec<String>,
}

/// A key on a token, and whether that is active.
struct Held {
    token: Arc<dyn Token>,
    is_active: bool,
    key: TokenKey,
}

impl KeyKeeper {
    /// Looks at everything and hands out what is different.
    pub(crate) fn refresh(&self) {
        let Some(snapshot) = self.snapshot.load() else { return };
        let now = self.clock.now();
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys(&mut in_use.lost);
        let authentication = self.authentication(&keys, &snapshot);
        let (signing, silent) = self.signing(&keys, snapshot.trust());
        let wanted: Vec<Certificate> = authentication
            .iter()
            .map(|own| &own.certificate)
            .chain(signing.iter().map(|key| &key.certificate))
            .cloned()
            .collect();
        if !same(&wanted, &in_use.wanted) {
            self.ocsp.set_certificates(wanted.clone());
            in_use.wanted = wanted;
        }
        let certificates: Vec<Certificate> = signing.iter().map(|key| key.certificate.clone()).collect();
        if !same(&certificates, &in_use.signing) {
            for key in &signing {
                let certificate = key.certificate.subject_name();
                tracing::info!(member = %key.member, %certificate, "signing certificate in use");
            }
            let mut members: Vec<MemberId> = signing.iter().map(|key| key.member.clone()).collect();
            members.sort();
            members.dedup();
            match self.signer.set_keys(signing) {
                Ok(()) => (in_use.signing, in_use.members) = (certificates, members),
                Err(error) => tracing::error!(%error, "a signing thread cannot be started"),
            }
        }
        self.identify(&authentication, &snapshot, now, &mut in_use.authentication);
        self.tell(&snapshot, &in_use, &silent, now);
    }

    /// All keys; first those that can sign now, since their order is that of preference.
    fn keys(&self, lost: &mut Vec<String>) -> Vec<Held> {
        let mut keys = Vec::new();
        for token in &self.tokens {
            let (name, is_active) = (token.name(), token.is_active());
            match (is_active, lost.iter().position(|lost| *lost == name)) {
                (false, None) => {
                    tracing::warn!(token = name, "the token is not active, its keys cannot sign");
                    lost.push(name);
                }
                (true, Some(place)) => {
                    tracing::info!(token = name, "the token is active again");
                    lost.remove(place);
                }
                (true, None) | (false, Some(_)) => {}
            }
            let held = |key| Held { token: Arc::clone(token), is_active, key };
            keys.extend(token.keys().into_iter().map(held));
        }
        keys.sort_by_key(|held| !held.is_active);
        keys
    }

    /// Tells whether the node takes part in exchanges now.
    fn tell(&self, snapshot: &Snapshot, in_use: &InUse, silent: &[MemberId], now: UtcTime) {
        let reason = if !snapshot.configuration().is_current(now) {
            Some("the global configuration has expired".to_owned())
        } else if in_use.authentication.is_empty() {
            let why =
                if in_use.wanted.is_empty() { "registered" } else { "usable, with a good OCSP response," };
            Some(format!("no authentication certificate on the token is {why} for this server"))
        } else if in_use.members.is_empty() {
            Some("there is no signing certificate on the token".to_owned())
        } else {
            let reason = |member: &MemberId| match self.signer.can_sign(member) {
                Ok(()) if silent.contains(member) => {
                    Some(format!("no token with a key of {member} is active"))
                }
                Ok(()) => None,
                Err(fault) => Some(fault.text),
            };
            let reasons: Vec<_> = in_use.members.iter().filter_map(reason).collect();
            let none = reasons.len() == in_use.members.len();
            reasons.into_iter().next().filter(|_| none)
        };
        let readiness = reason.map_or(Readiness::Ready, Readiness::NotReady);
        self.readiness.send_if_modified(|current| {
            let differs = *current != readiness;
            if differs {
                match &readiness {
                    Readiness::Ready => tracing::info!("ready for exchanges"),
                    Readiness::NotReady(reason) => tracing::warn!(%reason, "not ready for exchanges"),
                }
                *current = readiness.clone();
            }
            differs
        });
    }

    /// Active authentication certificates that are registered for this server. What the global
    /// configuration says about the others is noted on the token.
    fn authentication(&self, keys: &[Held], snapshot: &Snapshot) -> Vec<OwnCertificate> {
        let mut usable = Vec::new();
        for Held { token, key, .. } in
            keys.iter().filter(|held| held.key.usage == CertificateUsage::Authentication)
        {
            for held in key.certificates.iter().cloned() {
                let server = snapshot.server_of(held.certificate.hashes());
                let is_registered = server.is_some_and(|server| server.id == self.server);
                let status = match held.status {
                    CertificateStatus::Saved
                    | CertificateStatus::RegistrationInProgress
                    | CertificateStatus::GlobalError
                        if is_registered =>
                    {
                        CertificateStatus::Registered
                    }
                    CertificateStatus::Registered if !is_registered => CertificateStatus::GlobalError,
                    status => status,
                };
                if status != held.status {
                    let certificate = held.certificate.subject_name();
                    tracing::info!(%certificate, status = status.name(), "authentication certificate");
                    if let Err(error) = token.set_status(&held.certificate, status) {
                        tracing::warn!(%error, "the status of a certificate could not be stored");
                    }
                }
                if held.active && status == CertificateStatus::Registered {
                    usable.push(OwnCertificate { certificate: held.certificate, key: Arc::clone(&key.key) });
                }
            }
        }
        usable
    }

    /// Active, registered signing certificates with the members they name.
    /// Then the members of whom no token is active.
    fn signing(&self, keys: &[Held], trust: &TrustStore) -> (Vec<SigningKey>, Vec<MemberId>) {
        let (mut usable, mut silent) = (Vec::<SigningKey>::new(), Vec::new());
        for Held { is_active, key, .. } in
            keys.iter().filter(|held| held.key.usage == CertificateUsage::Signing)
        {
            for held in key.certificates.iter().cloned() {
                if !held.active || held.status != CertificateStatus::Registered {
                    continue;
                }
                match member(&held.certificate, trust, &self.server) {
                    Ok(member) => {
                        // Those of active tokens come first.
                        if !is_active && !usable.iter().any(|other| other.member == member) {
                            silent.push(member.clone());
                        }
                        usable.push(SigningKey {
                            algorithm: self.algorithms.algorithm(key.key.kind()),
                            key: Arc::clone(&key.key),
                            certificate: held.certificate,
                            member,
                        });
                    }
                    Err(reason) => {
                        let certificate = held.certificate.subject_name();
                        tracing::warn!(%certificate, %reason, "a signing certificate cannot be used");
                    }
                }
            }
        }
        (usable, silent)
    }

    /// Uses the first authentication certificate that peers would accept now, or none.
    fn identify(
        &self,
        authentication: &[OwnCertificate],
        snapshot: &Snapshot,
        now: UtcTime,
        in_use: &mut Vec<Certificate>,
    ) {
        let trust = snapshot.trust();
        let usable = authentication.iter().find_map(|own| {
            let chain = trust.own_chain(&own.certificate);
            let is_usable = !chain.is_empty()
                && own.certificate.is_valid_at(now)
                && chain.iter().all(|certificate| self.ocsp.good(certificate, trust, now).is_ok());
            is_usable.then_some((own, chain))
        });
        match usable {
            Some((_, chain)) if same(&chain, in_use) => {}
            Some((own, chain)) => {
                let der = chain.iter().map(|certificate| certificate.der().clone()).collect();
                let identity = Identity::of_key(der, Arc::clone(&own.key));
                match identity.and_then(|identity| self.identity.store(&identity)) {
                    Ok(()) => {
                        let certificate = own.certificate.subject_name();
                        tracing::info!(%certificate, "authentication certificate in use");
                        *in_use = chain;
                    }
                    Err(error) => tracing::error!(%error, "the authentication certificate cannot be used"),
                }
            }
            None => {
                if !in_use.is_empty() {
                    tracing::warn!("no authentication certificate can be used any more");
                    self.identity.clear();
                    in_use.clear();
                }
            }
        }
    }

    /// Refreshes on every change until `stop`.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut configuration = self.snapshot.subscribe();
        let mut responses = self.ocsp.subscribe();
        let has_devices = self.tokens.len() > 1;
        let pause = if has_devices { LOOK_AT_DEVICES } else { LOOK_AGAIN };
        loop {
            // A device may let one wait.
            let keeper = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || keeper.refresh()).await {
                tracing::error!(%error, "the keys could not be looked at");
            }
            tokio::select! {
                changed = configuration.changed() => if changed.is_err() { return },
                changed = responses.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}

/// The member that a signing certificate names by the profile of the CA that issued it.
pub(crate) fn member(
    certificate: &Certificate,
    trust: &TrustStore,
    server: &SecurityServerId,
) -> Result<MemberId, String> {
    let instance = server.owner().instance();
    let authority = trust
        .issuer_of(certificate, Some(instance))
        .ok_or_else(|| format!("no approved certification service of {instance} issued it"))?;
    member_of(authority.profile(), certificate, instance).map_err(|fault| fault.text)
}

fn same(some: &[Certificate], others: &[Certificate]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one.der() == other.der())
}

#[cfg(test)]
mod tests {
    use gateway::http::Fetcher;
    use gateway::ocsp::OwnSettings;

    use super::*;
    use crate::testkit::{Testkit, now, server};

    struct Set {
        kit: Testkit,
        keeper: KeyKeeper,
        readiness: watch::Receiver<Readiness>,
    }

    /// A keeper whose node ran before and left responses behind.
    fn set(clock: UtcTime) -> Set {
        let kit = Testkit::new();
        let folder = kit.folder.path().join("ocsp");
        std::fs::create_dir_all(&folder).unwrap();
        for certificate in [&kit.authentication, &kit.signing] {
            let file = folder.join(format!("{}.ocsp", certificate.hashes().sha1.to_hex()));
            std::fs::write(file, kit.ocsp(certificate, now()).der()).unwrap();
        }
        let clock = Clock::set_to(clock);
        let snapshot = Arc::new(SnapshotCell::new());
        snapshot.store(kit.snapshot());
        let fetcher = Fetcher::new(Duration::from_secs(1), Duration::from_secs(1));
        let ocsp = Arc::new(OwnResponses::new(
            OwnSettings::in_folder(folder),
            fetcher,
            Arc::clone(&snapshot),
            clock,
        ));
        let (tell, readiness) = watch::channel(Readiness::NotReady("starting".into()));
        let keeper = KeyKeeper {
            server: server(),
            tokens: vec![Arc::clone(&kit.token) as Arc<dyn Token>],
            identity: Arc::new(IdentityCell::new(Arc::clone(&snapshot))),
            signer: Arc::new(BatchSigner::new(Arc::clone(&snapshot), ocsp.clone(), clock)),
            snapshot,
            ocsp,
            algorithms: AlgorithmChoice::default(),
            clock,
            readiness: tell,
            in_use: Mutex::default(),
        };
        Set { kit, keeper, readiness }
    }

    impl Set {
        #[track_caller]
        fn check(&self, expected: Option<&str>) {
            self.keeper.refresh();
            match (&*self.readiness.borrow(), expected) {
                (Readiness::Ready, None) => {}
                (Readiness::NotReady(reason), Some(expected)) if reason.contains(expected) => {}
                (other, expected) => panic!("{other:?}, expected {expected:?}"),
            }
        }

        fn status(&self) -> CertificateStatus {
            self.kit.token.key_of(&self.kit.authentication).unwrap().certificates[0].status
        }
    }

    #[test]
    fn a_registered_certificate_with_a_response_is_used_at_once() {
        let set = set(now());
        assert_eq!(set.status(), CertificateStatus::Saved);
        set.check(None);
        assert_eq!(set.status(), CertificateStatus::Registered);
    }

    #[test]
    fn what_the_registry_no_longer_has_is_taken_out_of_use() {
        let set = set(now());
        set.check(None);
        set.keeper.snapshot.store(set.kit.snapshot_with(Vec::new()));
        set.check(Some("no authentication certificate on the token is usable"));
        assert_eq!(set.status(), CertificateStatus::GlobalError);
        set.keeper.snapshot.store(set.kit.snapshot());
        set.check(None);
    }

    #[test]
    fn the_operators_switch_counts() {
        let set = set(now());
        set.kit.token.set_active(&set.kit.signing, false).unwrap();
        set.check(Some("no signing certificate"));
        set.kit.token.set_active(&set.kit.signing, true).unwrap();
        set.check(None);
        set.kit.token.set_active(&set.kit.authentication, false).unwrap();
        set.check(Some("no authentication certificate"));
    }

    #[test]
    fn an_expired_configuration_ends_readiness() {
        set(now().plus(Duration::from_secs(601))).check(Some("global configuration has expired"));
    }

    #[test]
    fn certificates_of_the_future_are_not_used() {
        set(now().plus(Duration::from_secs(500))).check(None);
        set(now().minus(Duration::from_secs(7200))).check(Some("no authentication certificate"));
    }
}
