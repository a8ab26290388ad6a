//! Keys, anchor and global configuration: whom the node trusts, and whether others trust it.

use std::sync::Arc;
use std::time::Duration;

use certs::certificate::CertificateUsage;
use certs::ocsp::{CertificateStatus, OcspResponse, check_current};
use certs::token::{SoftwareToken, TokenCertificate};
use gateway::Clock;
use gateway::configuration::read_local;
use gateway::http::Fetcher;
use gateway::ocsp::{Prioritization, fetch};
use gateway::snapshot::{Snapshot, SnapshotCell};
use protocol::configuration::{Anchor, Purpose};
use protocol::time::UtcTime;

use super::{Finding, PATIENCE, Verdict, network};
use crate::config::Config;
use crate::node::{StartError, configuration_client, member, open_token, read_anchor};

/// Longest wait for a whole configuration.
const DOWNLOAD: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A certificate that ends sooner is told about.
const ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// The configuration by which the rest can be judged, if there is any.
pub(super) async fn examine(
    config: &Config,
    clock: Clock,
    fetcher: &Fetcher,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Snapshot>> {
    let token = token(config, findings);
    let anchor = anchor(config, findings);
    let snapshot = configuration(config, anchor, clock, findings).await;
    match (&token, &snapshot) {
        (Some(token), Some(snapshot)) => {
            certificates(config, token, snapshot, clock, fetcher, findings).await;
        }
        _ => {
            let why = "they can be judged only with the token and a global configuration";
            findings.push(Finding::unknown("certificates", why));
        }
    }
    snapshot
}

fn token(config: &Config, findings: &mut Vec<Finding>) -> Option<SoftwareToken> {
    match open_token(config) {
        Ok(token) => {
            let why = format!("the PIN opens it, {} keys", token.keys().len());
            findings.push(Finding::good("key token", why));
            Some(token)
        }
        Err(error) => {
            findings.push(told("key token", &error));
            None
        }
    }
}

fn anchor(config: &Config, findings: &mut Vec<Finding>) -> Option<Anchor> {
    match read_anchor(config) {
        Ok(anchor) => {
            let why = format!("{} stands for the instance {}", config.anchor.display(), anchor.instance);
            findings.push(Finding::good("configuration anchor", why));
            Some(anchor)
        }
        Err(error) => {
            findings.push(told("configuration anchor", &error));
            None
        }
    }
}

/// The text of a start error ends with what to do.
fn told(check: &str, error: &StartError) -> Finding {
    let text = error.to_string();
    match text.split_once(". ") {
        Some((why, fix)) => Finding::broken(check, why, fix),
        None => Finding::broken(check, text, "correct the settings that are named"),
    }
}

/// Downloads into a folder of its own, which shows whether registry and anchor fit, and looks at the
/// node's copy. The copy in force counts, else what was downloaded.
async fn configuration(
    config: &Config,
    anchor: Option<Anchor>,
    clock: Clock,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Snapshot>> {
    let Some(anchor) = anchor else {
        findings.push(Finding::unknown("registry", "without an anchor it is not known which"));
        return None;
    };
    let fetcher = Fetcher::trusting(PATIENCE, PATIENCE, &config.configuration.https);
    for source in &anchor.sources {
        findings.extend(network::service("registry", &source.download_url, clock, &fetcher).await);
    }
    let downloaded = match tempfile::tempdir() {
        Ok(folder) => download(config, anchor.clone(), folder.path(), clock, findings).await,
        Err(error) => {
            findings.push(Finding::unknown("signed configuration", format!("no temporary folder: {error}")));
            None
        }
    };
    let cell = Arc::new(SnapshotCell::new());
    let folder = config.configuration_folder();
    let check = "global configuration";
    match read_local(&folder).map(|copy| copy.load(Purpose::Running(clock.now())).configuration) {
        Ok(copy) if copy.own().is_some() => {
            let expires = copy.own().map_or(clock.now(), |own| own.expires());
            let is_current = copy.is_current(clock.now());
            cell.store(Arc::new(Snapshot::new(Arc::new(copy))));
            findings.push(if is_current {
                Finding::good(check, format!("the node's copy is in force until {expires}"))
            } else {
                let fix =
                    "see what is said about the registry; the node takes a new one by itself once it can";
                Finding::broken(check, format!("the node's copy expired at {expires}"), fix)
            });
            if is_current { cell.load() } else { downloaded.or(cell.load()) }
        }
        Ok(_) => {
            findings.push(Finding::unknown(check, "the node has no copy yet; it gets one when it starts"));
            downloaded
        }
        Err(error) => {
            findings.push(Finding::broken(
                check,
                format!("the node's copy in {} cannot be read: {error}", folder.display()),
                "remove the folder; the node downloads a new copy when it starts",
            ));
            downloaded
        }
    }
}

async fn download(
    config: &Config,
    anchor: Anchor,
    folder: &std::path::Path,
    clock: Clock,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Snapshot>> {
    let cell = Arc::new(SnapshotCell::new());
    let mut client = configuration_client(config, anchor, folder.to_owned(), Arc::clone(&cell), clock);
    let failure = match tokio::time::timeout(DOWNLOAD, client.refresh_once()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.reason),
        Err(_) => Some(format!("no answer within {} s", DOWNLOAD.as_secs())),
    };
    findings.push(match failure {
        None => Finding::good("signed configuration", "the registry gives one that the anchor's keys have signed"),
        Some(reason) => Finding::broken(
            "signed configuration",
            reason,
            "if the registry answers, the anchor is not its own or an old one: get it anew; else check the network",
        ),
    });
    cell.load()
}

async fn certificates(
    config: &Config,
    token: &SoftwareToken,
    snapshot: &Snapshot,
    clock: Clock,
    fetcher: &Fetcher,
    findings: &mut Vec<Finding>,
) {
    let own = snapshot.configuration().own();
    let is_registered =
        own.is_some_and(|own| own.shared.servers.iter().any(|server| server.id == config.server));
    findings.push(if is_registered {
        Finding::good("registration", format!("{} is in the global configuration", config.server))
    } else {
        Finding::broken(
            "registration",
            format!("the global configuration has no security server {}", config.server),
            "ask the operator of the registry to register it, and compare [server] with what is registered",
        )
    });
    let mut usages = Vec::new();
    for key in token.keys() {
        for held in key.certificates.iter().filter(|held| held.active) {
            let check = format!("{} certificate {}", usage_name(key.usage), held.certificate.subject_name());
            usages.push(key.usage);
            let judged = judge(config, held, key.usage, snapshot, clock.now());
            let is_broken = judged.as_ref().is_some_and(|finding| finding.verdict == Verdict::Broken);
            findings.extend(judged.map(|finding| Finding { check: check.clone(), ..finding }));
            if !is_broken {
                findings.push(response(check, config, held, snapshot, clock, fetcher).await);
            }
        }
    }
    for usage in [CertificateUsage::Authentication, CertificateUsage::Signing] {
        if !usages.contains(&usage) {
            findings.push(Finding::broken(
                format!("{} certificate", usage_name(usage)),
                "there is none, or none is switched on",
                "make a request, have it certified, import the certificate and switch it on",
            ));
        }
    }
}

fn usage_name(usage: CertificateUsage) -> &'static str {
    match usage {
        CertificateUsage::Authentication => "authentication",
        CertificateUsage::Signing => "signing",
    }
}

/// What is wrong with a certificate by itself, with the configuration and the clock.
fn judge(
    config: &Config,
    held: &TokenCertificate,
    usage: CertificateUsage,
    snapshot: &Snapshot,
    now: UtcTime,
) -> Option<Finding> {
    let certificate = &held.certificate;
    let broken = |why: String, fix: &str| Some(Finding::broken("", why, fix));
    let renew = "make a request for a new certificate, have it certified and import it";
    if now > certificate.not_after() {
        return broken(format!("expired at {}", certificate.not_after()), renew);
    }
    if now < certificate.not_before() {
        let why = format!("is valid only from {}", certificate.not_before());
        return broken(why, "wait until then; if that is past, the clock of this machine is wrong");
    }
    if let Err(reason) = authority(certificate, snapshot, config) {
        let fix =
            "have it certified by an approved service, or ask the registry to approve the one it is from";
        return broken(reason, fix);
    }
    let registered = snapshot.server_of(certificate.hashes()).map(|server| &server.id);
    match (usage, registered) {
        (CertificateUsage::Authentication, None) => {
            let fix = "register it with the registry; until then peers refuse connections";
            return broken("is not registered in the global configuration".to_owned(), fix);
        }
        (CertificateUsage::Authentication, Some(server)) if *server != config.server => {
            let why = format!("is registered for another server, {server}");
            return broken(why, "correct [server], or register the certificate for this server");
        }
        (CertificateUsage::Authentication | CertificateUsage::Signing, _) => {}
    }
    let left = certificate.not_after().since(now);
    (left < ENDS_SOON).then(|| {
        let why = format!("ends in {} days, at {}", left.as_secs() / DAY.as_secs(), certificate.not_after());
        Finding::warning("", why, renew)
    })
}

/// That an approved service of the own instance issued it, and for a signing certificate whom it names.
fn authority(
    certificate: &certs::certificate::Certificate,
    snapshot: &Snapshot,
    config: &Config,
) -> Result<(), String> {
    match certificate.usage() {
        Some(CertificateUsage::Signing) => member(certificate, snapshot.trust(), &config.server).map(drop),
        Some(CertificateUsage::Authentication) => {
            let instance = config.server.owner().instance();
            let issuer = snapshot.trust().issuer_of(certificate, Some(instance));
            issuer
                .map(drop)
                .ok_or_else(|| format!("no approved certification service of {instance} issued it"))
        }
        None => Err("is neither for signing nor for authentication".to_owned()),
    }
}

/// The OCSP response at hand, or else what the responder says now.
async fn response(
    check: String,
    config: &Config,
    held: &TokenCertificate,
    snapshot: &Snapshot,
    clock: Clock,
    fetcher: &Fetcher,
) -> Finding {
    let (subject, trust, now) = (&held.certificate, snapshot.trust(), clock.now());
    let Some(issuer) = trust.issuer_of(subject, None).map(|authority| authority.certificate().clone()) else {
        return Finding::unknown(check, "its issuer is not known");
    };
    let file = config.ocsp_folder().join(format!("{}.ocsp", subject.hashes().sha1.to_hex()));
    let kept = std::fs::read(file).ok().and_then(|octets| OcspResponse::parse(octets).ok());
    if let Some(response) = kept.filter(|kept| check_current(kept, subject, &issuer, trust, now).is_ok()) {
        let age = now.since(response.this_update()).as_secs();
        return standing(check, &response, format!("valid; its OCSP response is {age} s old"));
    }
    match fetch(subject, &issuer, trust, fetcher, Prioritization::None, now).await {
        Ok(response) => standing(
            check,
            &response,
            "valid; there is no fresh OCSP response here, and the responder gives one".to_owned(),
        ),
        Err(failure) => Finding::broken(
            check,
            format!("its OCSP response is stale or missing: {failure}"),
            "check that the OCSP responder can be reached from here, and the clock of this machine",
        ),
    }
}

fn standing(check: String, response: &OcspResponse, why: String) -> Finding {
    match response.status() {
        CertificateStatus::Good => Finding::good(check, why),
        CertificateStatus::Revoked(..) => Finding::broken(
            check,
            "was revoked by its certification service",
            "switch it off, and get a new certificate",
        ),
        CertificateStatus::Unknown => Finding::broken(
            check,
            "is not known to its certification service",
            "ask the service; until it knows the certificate nobody accepts it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Testkit, now};

    struct Set {
        kit: Testkit,
        config: Config,
    }

    fn set() -> Set {
        let kit = Testkit::new();
        let text = "[server]\ninstance = \"CW\"\nclass = \"GOV\"\nmember = \"1001\"\ncode = \"ss1\"\n\
                    state = \".\"\nanchor = \"anchor.xml\"\n[token]\npin-variable = \"PIN\"\n";
        let config = Config::parse(text, &kit.folder.path().join("node.toml")).unwrap();
        Set { kit, config }
    }

    impl Set {
        fn keep_responses(&self) {
            std::fs::create_dir_all(self.config.ocsp_folder()).unwrap();
            for certificate in [&self.kit.authentication, &self.kit.signing] {
                let name = format!("{}.ocsp", certificate.hashes().sha1.to_hex());
                let response = self.kit.ocsp(certificate, now());
                std::fs::write(self.config.ocsp_folder().join(name), response.der()).unwrap();
            }
        }

        fn examine(&self, snapshot: &Snapshot, at: UtcTime) -> Vec<Finding> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut findings = Vec::new();
            let fetcher = Fetcher::new(Duration::from_secs(1), Duration::from_secs(1));
            runtime.block_on(certificates(
                &self.config,
                &self.kit.token,
                snapshot,
                Clock::set_to(at),
                &fetcher,
                &mut findings,
            ));
            findings
        }
    }

    #[track_caller]
    fn check(findings: &[Finding], check: &str, verdict: Verdict, why: &str) {
        let found = findings.iter().any(|finding| {
            finding.check.starts_with(check) && finding.verdict == verdict && finding.why.contains(why)
        });
        assert!(found, "no {verdict} {check:?}: {why:?} in {findings:#?}");
    }

    #[test]
    fn certificates_are_judged_one_by_one() {
        let set = set();
        let snapshot = set.kit.snapshot();
        let missing = set.examine(&snapshot, now());
        check(&missing, "registration", Verdict::Good, "");
        check(&missing, "signing certificate", Verdict::Broken, "OCSP response is stale or missing");
        set.keep_responses();
        let good = set.examine(&snapshot, now());
        assert!(good.iter().all(|finding| finding.verdict == Verdict::Good), "{good:#?}");

        let expired = set.examine(&snapshot, now().plus(DAY * 800));
        check(&expired, "authentication certificate", Verdict::Broken, "expired at");
        check(&expired, "signing certificate", Verdict::Broken, "expired at");
        let soon = set.examine(&snapshot, now().plus(DAY * 715));
        check(&soon, "signing certificate", Verdict::Warning, "ends in 14 days");
        let early = set.examine(&snapshot, now().minus(DAY));
        check(&early, "signing certificate", Verdict::Broken, "valid only from");
        let unregistered = set.examine(&set.kit.snapshot_with(Vec::new()), now());
        check(&unregistered, "authentication certificate", Verdict::Broken, "not registered");

        set.kit.token.set_active(&set.kit.authentication, false).unwrap();
        set.kit.ca.revoke(set.kit.signing.serial(), 1, now()).unwrap();
        set.keep_responses();
        let revoked = set.examine(&snapshot, now());
        check(&revoked, "signing certificate", Verdict::Broken, "was revoked");
        check(&revoked, "authentication certificate", Verdict::Broken, "there is none");
    }
}
