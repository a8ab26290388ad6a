//! Decides what is fetched when, and what of it is believed. No socket, file or clock is touched here.
//!
//! A round downloads the own instance, then the federated instances that its private parameters name
//! (§5.1). What fails leaves everything as it was: the copy in use stays until it expires, and not a
//! moment longer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::configuration::directory::SHARED_PARAMETERS;
use protocol::configuration::local::folder_of;
use protocol::configuration::{
    Anchor, ConfigurationError, Directory, GlobalConfiguration, LocalCopy, Purpose,
};
use protocol::signature::SignatureAlgorithm;
use protocol::time::UtcTime;

use super::download::{Answer, Download, DownloadError, Fetch, Fetched, Step, Wanted};
use super::locations::{Location, Random, locations};
use super::settings::{Contents, Federations};

/// Longest wait for the next round as long as there is no configuration in force.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// A [`Verifier`](protocol::configuration::directory::Verifier) to own.
pub type OwnedVerifier = Box<dyn Fn(&[u8], SignatureAlgorithm, &[u8], &[u8]) -> bool + Send + Sync>;

/// What happens to the client.
#[derive(Debug)]
pub enum Input {
    /// Time has passed, or what was asked for with [`Output::Adopt`] and [`Output::Ended`] is done.
    Woken,
    /// A request came to its end.
    Answered(Answer),
}

/// What should happen next.
#[derive(Debug)]
pub enum Output {
    /// Nothing before this time.
    WakeAt(UtcTime),
    /// This should be fetched and answered.
    Fetch(Fetch),
    /// Something new is to be used and kept.
    Adopt(Adoption),
    /// A round is over.
    Ended(RoundReport),
}

/// Something new.
#[derive(Debug)]
pub struct Adoption {
    /// The configuration to put in force; none when only the time of expiry is new, which is in force
    /// already.
    pub configuration: Option<Arc<GlobalConfiguration>>,
    /// What to do with the local copy.
    pub change: CopyChange,
}

/// A change of the local copy.
#[derive(Debug)]
pub enum CopyChange {
    /// The whole copy is replaced in one step.
    Whole(LocalCopy),
    /// These files, by path, get new content. Each is of use alone.
    Files(Vec<(String, Bytes)>),
}

/// How a round went.
#[derive(Debug, Default)]
pub struct RoundReport {
    /// Every failure on the way, also where another place then worked.
    pub failures: Vec<(String, DownloadError)>,
    /// Instances that could not be downloaded at all.
    pub missed: Vec<String>,
}

/// The configuration client without its driver.
pub struct Client {
    anchor: Anchor,
    federations: Federations,
    contents: Contents,
    version: Option<u8>,
    refresh: Duration,
    verifier: OwnedVerifier,
    random: Random,
    copy: LocalCopy,
    configuration: Arc<GlobalConfiguration>,
    /// By instance: the place that worked last, and its URL with the version.
    pinned: HashMap<String, (String, String)>,
    /// The place that gave the own instance last, and the other instances in that directory: those
    /// that a configuration proxy serves along with it.
    along: Option<(Location, Vec<String>)>,
    due: UtcTime,
    round: Option<Round>,
}

#[derive(Default)]
struct Round {
    begun_federated: bool,
    queue: VecDeque<(Anchor, Wanted)>,
    target: Option<Target>,
    report: RoundReport,
}

/// The instance that is being downloaded.
struct Target {
    instance: String,
    wanted: Wanted,
    places: VecDeque<Location>,
    download: Option<Download>,
}

impl Client {
    /// A client without a configuration. `seed` decides the order among equal places.
    pub fn new(
        anchor: Anchor,
        federations: Federations,
        refresh: Duration,
        verifier: OwnedVerifier,
        seed: u64,
    ) -> Self {
        let configuration =
            GlobalConfiguration { own_instance: anchor.instance.clone(), instances: HashMap::new() };
        Self {
            copy: LocalCopy::new(&anchor.instance),
            configuration: Arc::new(configuration),
            anchor,
            federations,
            contents: Contents::Internal,
            version: None,
            refresh: refresh.max(Duration::from_secs(1)),
            verifier,
            random: Random::new(seed),
            pinned: HashMap::new(),
            along: None,
            due: UtcTime::from_millis(i64::MIN),
            round: None,
        }
    }

    /// Expects this behind the anchor, in place of an internal configuration.
    #[must_use]
    pub fn expecting(mut self, contents: Contents) -> Self {
        self.contents = contents;
        self
    }

    /// Asks for this version; none: for the newest that there is.
    #[must_use]
    pub fn in_version(mut self, version: Option<u8>) -> Self {
        self.version = version;
        self
    }

    /// Takes a local copy from before. A copy of another instance is of no use; what cannot be read is
    /// left out and returned.
    pub fn load(&mut self, copy: LocalCopy, now: UtcTime) -> Vec<(String, ConfigurationError)> {
        if copy.own_instance() != Some(self.anchor.instance.as_str()) {
            return Vec::new();
        }
        let mut loaded = copy.load(Purpose::Running(now));
        self.copy = copy;
        let (own, federations) = (&self.anchor.instance, &self.federations);
        loaded.configuration.instances.retain(|instance, _| instance == own || federations.allow(instance));
        self.configuration = Arc::new(loaded.configuration);
        loaded.problems
    }

    /// The configuration as it is known now, expired or not.
    pub fn configuration(&self) -> &Arc<GlobalConfiguration> {
        &self.configuration
    }

    /// The files behind it.
    pub fn copy(&self) -> &LocalCopy {
        &self.copy
    }

    /// The URL of the directory that the own instance came from last, with its version.
    pub fn origin(&self) -> Option<&str> {
        self.pinned.get(&self.anchor.instance).map(|(_, url)| url.as_str())
    }

    /// Makes the next round due at once.
    pub fn hurry(&mut self) {
        self.due = UtcTime::from_millis(i64::MIN);
    }

    /// Takes what happened and says what should happen.
    pub fn handle(&mut self, now: UtcTime, input: Input) -> Output {
        match (input, self.round.take()) {
            (Input::Woken, None) => self.woken(now),
            (Input::Woken, Some(round)) => self.go_on(now, round),
            (Input::Answered(answer), Some(round)) => self.answered(now, round, answer),
            // An answer that nobody waits for.
            (Input::Answered(_), None) => self.woken(now),
        }
    }

    fn woken(&mut self, now: UtcTime) -> Output {
        if let Some(adoption) = self.drop_expired(now) {
            return Output::Adopt(adoption);
        }
        if now < self.due {
            let own = &self.configuration.own_instance;
            let federated = self.configuration.instances.values().filter(|known| known.identifier != *own);
            let ends = federated.map(|instance| instance.expires().plus(Duration::from_millis(1)));
            return Output::WakeAt(ends.fold(self.due, Ord::min));
        }
        let mut round = Round::default();
        let wanted = match self.contents {
            Contents::Internal => Wanted::Internal,
            Contents::External => Wanted::External,
            Contents::Either => Wanted::Either,
        };
        round.queue.push_back((self.anchor.clone(), wanted));
        self.go_on(now, round)
    }

    /// A federated instance whose parameters have expired is unknown from then on (§9.4).
    fn drop_expired(&mut self, now: UtcTime) -> Option<Adoption> {
        let own = self.configuration.own_instance.clone();
        let current = |name: &str, expires: UtcTime| name == own || now <= expires;
        if self.configuration.instances.iter().all(|(name, known)| current(name, known.expires())) {
            return None;
        }
        let mut configuration = GlobalConfiguration::clone(&self.configuration);
        configuration.instances.retain(|name, known| current(name, known.expires()));
        Some(self.adopt(configuration))
    }

    fn adopt(&mut self, configuration: GlobalConfiguration) -> Adoption {
        self.configuration = Arc::new(configuration);
        let change = CopyChange::Whole(self.copy.clone());
        Adoption { configuration: Some(Arc::clone(&self.configuration)), change }
    }

    /// Tries the next place, instance or phase of a round.
    fn go_on(&mut self, now: UtcTime, mut round: Round) -> Output {
        loop {
            if let Some(target) = &mut round.target {
                match target.places.pop_front() {
                    Some(place) => {
                        let (download, fetch) = self.begin(target, place);
                        target.download = Some(download);
                        self.round = Some(round);
                        return Output::Fetch(fetch);
                    }
                    None => {
                        let instance = std::mem::take(&mut target.instance);
                        self.pinned.remove(&instance);
                        round.report.missed.push(instance);
                        round.target = None;
                    }
                }
            } else if let Some((anchor, wanted)) = round.queue.pop_front() {
                round.target = Some(self.target(&anchor, wanted));
            } else if !round.begun_federated {
                round.begun_federated = true;
                let named = self.federated();
                round.queue = named.iter().map(|anchor| (anchor.clone(), Wanted::Shared)).collect();
                if let Some(adoption) = self.prune(&named) {
                    self.round = Some(round);
                    return Output::Adopt(adoption);
                }
            } else {
                let wait = match self.configuration.is_current(now) {
                    true => self.refresh,
                    false => self.refresh.min(IMPATIENCE),
                };
                self.due = now.plus(wait);
                return Output::Ended(round.report);
            }
        }
    }

    /// The anchors of federated instances that the own registry and the operator both want.
    fn federated(&self) -> Vec<Anchor> {
        let private = self.configuration.own().and_then(|own| own.private.as_ref());
        let anchors = private.into_iter().flat_map(|private| &private.anchors);
        let allowed = |anchor: &&Anchor| {
            anchor.instance != self.anchor.instance && self.federations.allow(&anchor.instance)
        };
        anchors.filter(allowed).cloned().collect()
    }

    /// Forgets instances that are not named any more (§5.1 step 4).
    fn prune(&mut self, named: &[Anchor]) -> Option<Adoption> {
        self.configuration.own()?.private.as_ref()?;
        let is_named = |instance: &str| {
            instance == self.anchor.instance || named.iter().any(|anchor| anchor.instance == instance)
        };
        let known = self.configuration.instances.keys().map(String::as_str).chain(self.copy.instances());
        let gone: Vec<String> = known.filter(|instance| !is_named(instance)).map(str::to_owned).collect();
        if gone.is_empty() {
            return None;
        }
        let mut configuration = GlobalConfiguration::clone(&self.configuration);
        for instance in &gone {
            configuration.instances.remove(instance);
            self.copy.remove(instance);
            self.pinned.remove(instance);
        }
        Some(self.adopt(configuration))
    }

    fn target(&mut self, anchor: &Anchor, wanted: Wanted) -> Target {
        let cached = self.configuration.instance(&anchor.instance);
        let mut places: VecDeque<Location> = locations(anchor, cached, &mut self.random).into();
        // A configuration proxy signs for the own instance, and with that for the anchors of partners;
        // so what it serves of them is believed too, where their own registries are out of reach.
        if let Some((place, instances)) = &self.along
            && instances.contains(&anchor.instance)
        {
            places.push_back(place.clone());
        }
        if let Some((place, _)) = self.pinned.get(&anchor.instance)
            && let Some(at) = places.iter().position(|candidate| candidate.url == *place)
            && let Some(place) = places.remove(at)
        {
            places.push_front(place);
        }
        Target { instance: anchor.instance.clone(), wanted, places, download: None }
    }

    fn begin(&self, target: &Target, place: Location) -> (Download, Fetch) {
        let of = |instance: &String| self.pinned.get(instance).filter(|(pinned, _)| *pinned == place.url);
        let pinned = of(&target.instance).or_else(|| of(&self.anchor.instance)).map(|(_, url)| url.clone());
        Download::begin(&target.instance, target.wanted, place, pinned, self.version)
    }

    fn answered(&mut self, now: UtcTime, mut round: Round, answer: Answer) -> Output {
        let Some(target) = &mut round.target else { return self.go_on(now, round) };
        let Some(download) = target.download.take() else { return self.go_on(now, round) };
        let place = download.place().clone();
        let (download, step) = download.answered(answer, &self.copy, &*self.verifier, now);
        target.download = download;
        match step {
            Step::Fetch(fetch) => {
                self.round = Some(round);
                Output::Fetch(fetch)
            }
            Step::Failed(error) => {
                let instance = target.instance.clone();
                if self.pinned.get(&instance).is_some_and(|(pinned, _)| *pinned == place.url) {
                    self.pinned.remove(&instance);
                }
                round.report.failures.push((instance, error));
                self.go_on(now, round)
            }
            Step::Done { url, result } => {
                let instance = std::mem::take(&mut target.instance);
                let others = others(&instance, &result.directory);
                match self.take(&instance, result, now) {
                    Ok(adoption) => {
                        if instance == self.anchor.instance {
                            self.along = Some((place.clone(), others));
                        }
                        self.pinned.insert(instance, (place.url, url));
                        round.target = None;
                        self.round = Some(round);
                        Output::Adopt(adoption)
                    }
                    Err(error) => {
                        target.instance.clone_from(&instance);
                        round.report.failures.push((instance, DownloadError::Refused { url, error }));
                        self.go_on(now, round)
                    }
                }
            }
        }
    }

    /// Takes a whole configuration of an instance over.
    fn take(
        &mut self,
        instance: &str,
        fetched: Fetched,
        now: UtcTime,
    ) -> Result<Adoption, ConfigurationError> {
        let metadata: Vec<(String, Bytes)> =
            fetched.metadata.into_iter().map(|(name, bytes)| (name, Bytes::from(bytes))).collect();
        let known = self.configuration.instance(instance).filter(|_| fetched.unchanged);
        if let Some(known) = known {
            known.renew(fetched.directory.expires);
            let folder = folder_of(instance);
            let files = metadata.iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes.clone()));
            let change = CopyChange::Files(files.collect());
            for (name, bytes) in metadata {
                self.copy.insert(instance, &name, bytes);
            }
            return Ok(Adoption { configuration: None, change });
        }
        let mut copy = self.copy.clone();
        copy.remove(instance);
        for (name, bytes) in fetched.files.into_iter().chain(metadata) {
            copy.insert(instance, &name, bytes);
        }
        let mut problems = Vec::new();
        let read = copy.instance(instance, Purpose::Running(now), &mut problems);
        let read = read.ok_or_else(|| {
            let problem = problems.into_iter().next().map(|(_, error)| error);
            problem.unwrap_or(ConfigurationError::Parts("unreadable parts"))
        })?;
        self.copy = copy;
        let mut configuration = GlobalConfiguration::clone(&self.configuration);
        configuration.instances.insert(instance.to_owned(), Arc::new(read));
        Ok(self.adopt(configuration))
    }
}

/// Instances of which a directory has the shared parameters besides those of one.
fn others(instance: &str, directory: &Directory) -> Vec<String> {
    let shared = directory.parts.iter().filter(|part| part.is(SHARED_PARAMETERS));
    shared.filter_map(|part| part.instance.clone()).filter(|about| about != instance).collect()
}

#[cfg(test)]
mod tests;
