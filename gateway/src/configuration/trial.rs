//! One download by an anchor, without a server: what an anchor is tried with before it is trusted, and
//! how a configuration gets to where no server runs (§5.5).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::configuration::{Anchor, GlobalConfiguration, LocalCopy};

use super::client::{Client, Input, Output, RoundReport};
use super::settings::{Contents, Federations};
use super::{fetch, files, verify_directory};
use crate::Clock;
use crate::http::Fetcher;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The anchor. Nothing else is believed.
    pub anchor: Anchor,
    /// What it must lead to.
    pub contents: Contents,
    /// The version to ask for; none: the newest that there is.
    pub version: Option<u8>,
    /// Which federated instances are downloaded along with it.
    pub federations: Federations,
}

/// What came of it.
#[derive(Debug)]
pub struct Downloaded {
    /// What was downloaded; without the own instance if that failed.
    pub configuration: Arc<GlobalConfiguration>,
    /// Its files.
    pub copy: LocalCopy,
    /// The URL of the directory, with its version.
    pub origin: Option<String>,
    /// Every failure on the way, also where another place then worked.
    pub report: RoundReport,
}

impl Trial {
    /// Downloads once. Nothing is written anywhere.
    pub async fn download(self, fetcher: &Fetcher, clock: Clock) -> Downloaded {
        let verifier = Box::new(verify_directory);
        let mut client = Client::new(self.anchor, self.federations, Duration::from_secs(60), verifier, 1)
            .expecting(self.contents)
            .in_version(self.version);
        let mut input = Input::Woken;
        let report = loop {
            input = match client.handle(clock.now(), input) {
                Output::Fetch(wanted) => Input::Answered(fetch(fetcher, wanted).await),
                Output::Ended(report) => break report,
                Output::Adopt(_) | Output::WakeAt(_) => Input::Woken,
            };
        };
        Downloaded {
            configuration: Arc::clone(client.configuration()),
            copy: client.copy().clone(),
            origin: client.origin().map(str::to_owned),
            report,
        }
    }
}

/// Writes a copy in the layout that all tools of the field read (§9.1): a folder for each instance, and
/// `instance-identifier`. Each file is replaced as a whole; other files in the folders of these instances
/// are removed.
///
/// # Errors
/// Those of the file system; also when the folder is one that a server keeps.
pub fn write_copy(folder: &Path, copy: &LocalCopy) -> io::Result<()> {
    files::write_plain(folder, copy)
}
