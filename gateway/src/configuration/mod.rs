//! The configuration client: keeps the global configuration current (global configuration and trust
//! §5, §9).
//!
//! [`client::Client`] decides; [`ConfigurationClient`] owns what that needs: it fetches, writes the
//! local copy, and puts snapshots in force. A round without news only moves the time of expiry and
//! makes no new snapshot, so that nothing that was concluded from the old one is lost.

pub mod client;
pub mod download;
mod files;
pub mod locations;
mod settings;
pub mod trial;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use certs::certificate::Certificate;
use certs::key::{SignatureForm, verify};
use protocol::configuration::GlobalConfiguration;
use protocol::configuration::local::LocalCopy;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use protocol::time::UtcTime;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;

use crate::Clock;
use crate::http::Fetcher;
use crate::snapshot::{Snapshot, SnapshotCell};
use client::{Client, CopyChange, Input, Output, RoundReport};
use download::{Answer, Fetch};

pub use settings::{Contents, Federations, Settings};

/// Time for a connection to a registry (§3.3).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an answer of a registry.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Most redirects that are followed for one request.
const REDIRECTS: usize = 5;

/// The own instance could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[error("the configuration of {instance} could not be downloaded: {reason}")]
pub struct RefreshError {
    /// The own instance.
    pub instance: String,
    /// What failed at each place, in order.
    pub reason: String,
}

/// How the client is doing; for health checks and people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// When the own instance was last downloaded, changed or not.
    pub downloaded_at: Option<UtcTime>,
    /// Why the last round did not download the own instance.
    pub failure: Option<String>,
    /// Federated instances that the last round could not download.
    pub missed: Vec<String>,
}

/// Keeps a [`SnapshotCell`] filled with the configuration in force.
pub struct ConfigurationClient {
    client: Client,
    settings: Settings,
    fetcher: Fetcher,
    cell: Arc<SnapshotCell>,
    clock: Clock,
    status: watch::Sender<Status>,
}

impl ConfigurationClient {
    /// A client that has fetched nothing yet.
    pub fn new(settings: Settings, fetcher: Fetcher, cell: Arc<SnapshotCell>, clock: Clock) -> Self {
        let mut seed = [0; 8];
        // Without randomness the places are tried in a fixed order, which hurts nobody.
        let _ = SystemRandom::new().fill(&mut seed);
        let client = Client::new(
            settings.anchor.clone(),
            settings.federations.clone(),
            settings.refresh,
            Box::new(verify_directory),
            u64::from_le_bytes(seed),
        );
        let client = client.expecting(settings.contents).in_version(settings.version);
        Self { client, settings, fetcher, cell, clock, status: watch::Sender::default() }
    }

    /// How it is doing.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The configuration as it is known now, expired or not.
    pub fn configuration(&self) -> &Arc<GlobalConfiguration> {
        self.client.configuration()
    }

    /// The files of the configuration as it is known now, expired or not.
    pub fn copy(&self) -> &LocalCopy {
        self.client.copy()
    }

    /// Puts the local copy in force, if it holds anything of the own instance. Says whether its
    /// parameters are still current: a node may start without its registry as long as they are.
    ///
    /// # Errors
    /// When files are there that cannot be read.
    pub fn load_local(&mut self) -> io::Result<bool> {
        let now = self.clock.now();
        let copy = files::read(&self.settings.folder)?;
        if !files::is_ours(&self.settings.folder) && copy.instances().next().is_some() {
            // Files that were put there by hand: from now on they are a copy like any other.
            files::replace(&self.settings.folder, &copy)?;
        }
        for (file, error) in self.client.load(copy, now) {
            tracing::warn!(file, %error, "a file of the local copy cannot be used");
        }
        let configuration = Arc::clone(self.client.configuration());
        if configuration.own().is_none() {
            return Ok(false);
        }
        let current = configuration.is_current(now);
        self.cell.store(Arc::new(Snapshot::new(configuration)));
        Ok(current)
    }

    /// Downloads now.
    ///
    /// # Errors
    /// When the own instance could not be downloaded from any place. What was in force stays in force.
    pub async fn refresh_once(&mut self) -> Result<(), RefreshError> {
        self.client.hurry();
        let mut input = Input::Woken;
        loop {
            match self.client.handle(self.clock.now(), input) {
                Output::Ended(report) => return self.ended(report),
                output => input = self.carry_out(output).await,
            }
        }
    }

    /// Downloads in every period until `stop` becomes true or its sender is gone.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let work = async {
            let mut input = Input::Woken;
            loop {
                input = match self.client.handle(self.clock.now(), input) {
                    Output::Ended(report) => {
                        // Logged there; the next round comes in any case.
                        let _ = self.ended(report);
                        Input::Woken
                    }
                    output => self.carry_out(output).await,
                };
            }
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn carry_out(&mut self, output: Output) -> Input {
        match output {
            Output::WakeAt(time) => {
                tokio::time::sleep(time.since(self.clock.now())).await;
                Input::Woken
            }
            Output::Fetch(wanted) => Input::Answered(fetch(&self.fetcher, wanted).await),
            Output::Adopt(adoption) => {
                if let Some(configuration) = adoption.configuration {
                    self.put_in_force(configuration);
                }
                self.keep(adoption.change).await;
                Input::Woken
            }
            Output::Ended(_) => Input::Woken,
        }
    }

    fn put_in_force(&self, configuration: Arc<GlobalConfiguration>) {
        if configuration.own().is_some() {
            tracing::info!(instances = configuration.instances.len(), "new global configuration");
            self.cell.store(Arc::new(Snapshot::new(configuration)));
        }
    }

    /// A copy that cannot be written is missed only after a restart, so the configuration counts anyway.
    async fn keep(&self, change: CopyChange) {
        let folder = self.settings.folder.clone();
        let written = tokio::task::spawn_blocking(move || match &change {
            CopyChange::Whole(copy) => files::replace(&folder, copy),
            CopyChange::Files(files) => files::update(&folder, files),
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, folder = %self.settings.folder.display(), "the local copy of the configuration cannot be written");
            }
            Err(error) => tracing::error!(%error, "writing the local copy of the configuration broke off"),
        }
    }

    fn ended(&self, report: RoundReport) -> Result<(), RefreshError> {
        let own = &self.settings.anchor.instance;
        for (instance, error) in &report.failures {
            tracing::warn!(instance, code = error.code(), error = %chain(error), "configuration not taken");
        }
        let missed_own = report.missed.contains(own);
        let reason = || {
            let own_failures = report.failures.iter().filter(|(instance, _)| instance == own);
            let reasons: Vec<String> = own_failures.map(|(_, error)| chain(error)).collect();
            if reasons.is_empty() { "the anchor names no place".to_owned() } else { reasons.join("; ") }
        };
        for instance in &report.missed {
            tracing::error!(instance, "the configuration could not be downloaded from any place");
        }
        let failure = missed_own.then(reason);
        self.status.send_modify(|status| {
            if !missed_own {
                status.downloaded_at = Some(self.clock.now());
            }
            status.failure.clone_from(&failure);
            status.missed = report.missed.iter().filter(|instance| *instance != own).cloned().collect();
        });
        match failure {
            None => Ok(()),
            Some(reason) => Err(RefreshError { instance: own.clone(), reason }),
        }
    }
}

/// Reads the local copy in a folder, without a client: for commands that work offline.
///
/// # Errors
/// When files are there that cannot be read.
pub fn read_local(folder: &std::path::Path) -> io::Result<LocalCopy> {
    files::read(folder)
}

/// Verifies a configuration signature with the key of a certificate, whatever else that certificate
/// says. A configuration proxy with a hardware token may write ECDSA values raw (§13).
pub fn verify_directory(
    certificate: &[u8],
    algorithm: SignatureAlgorithm,
    signed: &[u8],
    value: &[u8],
) -> bool {
    let Ok(certificate) = Certificate::from_der(Bytes::copy_from_slice(certificate)) else { return false };
    let with = |form| verify(certificate.public_key(), algorithm, signed, value, form);
    with(SignatureForm::Der) || (algorithm.scheme == SignatureScheme::Ecdsa && with(SignatureForm::Raw))
}

/// Makes one request. Redirects are followed within the scheme only, as old clients do (§3.3).
async fn fetch(fetcher: &Fetcher, wanted: Fetch) -> Answer {
    let mut url = wanted.url;
    for _ in 0..=REDIRECTS {
        let answer = match fetcher.get(&url, None, wanted.limit).await {
            Ok(answer) => answer,
            Err(error) => return Answer::Failed(chain(&error)),
        };
        let next = answer
            .headers
            .get(http::header::LOCATION)
            .filter(|_| matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308))
            .and_then(|location| download::resolved(&url, location.to_str().ok()?))
            .filter(|next| next.split(':').next() == url.split(':').next());
        match next {
            Some(next) => url = next,
            None => return Answer::Got { status: answer.status.as_u16(), body: answer.body },
        }
    }
    Answer::Failed("too many redirects".to_owned())
}

/// An error with its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
