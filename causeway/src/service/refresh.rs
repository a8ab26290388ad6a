//! `causeway service refresh`: reads documents again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gateway::ports::ServiceType;
use gateway::tls::Identity;
use security_server::config::{Config, Declared};
use security_server::description::catalogue::{self, Summary};
use security_server::description::{DescriptionError, Differences, read_copy};
use security_server::node::open_state_as_it_is;

use super::{Problem, Read, client_id, identity, read, read_config, tell, unusable};
use crate::roles::explain;

/// Arguments of `refresh`.
#[derive(Args, Debug)]
pub(super) struct RefreshArgs {
    /// The server's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only descriptions of this client.
    #[arg(long)]
    client: Option<String>,
    /// Only the description with this URL.
    #[arg(long)]
    url: Option<String>,
    /// Where the document is now; needs --client and --url, and a server whose file declares no clients.
    #[arg(long, value_name = "URL", requires_all = ["client", "url"])]
    new_url: Option<String>,
    /// Takes over what is different.
    #[arg(long)]
    accept: bool,
    /// A program that judges WSDLs. It gets the URL; what it prints is a warning, a status other than 0 an error.
    #[arg(long, value_name = "PROGRAM")]
    validator: Option<PathBuf>,
}

/// What happened to one description.
enum Outcome {
    Same,
    Taken,
    Waits,
}

pub(super) async fn run(arguments: &RefreshArgs) -> Result<ExitCode, Problem> {
    let declared =
        Config::declared_descriptions(&arguments.config).map_err(|error| unusable(explain(&error)))?;
    let identity = identity(&declared.state_folder.join("internal-tls"))?;
    if !declared.decides {
        return of_state(arguments, identity.as_ref()).await;
    }
    if arguments.new_url.is_some() {
        return Err(unusable("the file declares the clients of this server; write the new URL there"));
    }
    let client = arguments.client.as_deref().map(client_id).transpose()?;
    let wanted = declared.descriptions.iter().filter(|found| {
        client.as_ref().is_none_or(|client| *client == found.client)
            && arguments.url.as_ref().is_none_or(|url| *url == found.url)
    });
    let mut told = Told::default();
    for description in wanted {
        let outcome = copy(arguments, description, identity.as_ref()).await;
        told.add(&description.url, outcome)?;
    }
    told.end()
}

/// Looks at one document that has a copy beside the file, and replaces the copy.
async fn copy(
    arguments: &RefreshArgs,
    declared: &Declared,
    identity: Option<&Identity>,
) -> Result<Outcome, Problem> {
    let Declared { service_type, url, copy, code, .. } = declared;
    let found = read(*service_type, url, identity, arguments.validator.as_ref()).await?;
    // Without a copy, or with one of no use, everything is new.
    let before = read_copy(*service_type, copy, url).map(|kept| kept.services(url, code)).unwrap_or_default();
    let after = found.document.services(url, code);
    let differences = Differences::between(&before, &after);
    print!("{differences}");
    tell(&found.warnings);
    // Other changes of the document count too: titles and addresses come from it.
    if std::fs::read(copy).is_ok_and(|kept| kept == found.octets) {
        return Ok(Outcome::Same);
    }
    if !arguments.accept {
        return Ok(Outcome::Waits);
    }
    replace(copy, &found.octets).map_err(|error| unusable(format!("{}: {error}", copy.display())))?;
    println!("written to {}; the server reads it at its next start", copy.display());
    Ok(Outcome::Taken)
}

/// A crash leaves the old copy or the new one, and nothing in between.
fn replace(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(octets)?;
    fresh.as_file().sync_all()?;
    fresh.persist(file).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

async fn of_state(arguments: &RefreshArgs, identity: Option<&Identity>) -> Result<ExitCode, Problem> {
    let config = read_config(&arguments.config)?;
    let state = open_state_as_it_is(&config).map_err(unusable)?;
    let mut local = state.load().map_err(unusable)?;
    let wanted = arguments.client.as_deref().map(client_id).transpose()?;
    let mut told = Told::default();
    for (id, settings) in &mut local.clients {
        if wanted.as_ref().is_some_and(|wanted| wanted != id) {
            continue;
        }
        for summary in catalogue::list(settings) {
            let Summary { service_type, url, .. } = summary;
            let is_meant = arguments.url.as_ref().is_none_or(|wanted| *wanted == url);
            if service_type == ServiceType::Rest || !is_meant {
                continue;
            }
            let from = arguments.new_url.as_deref().unwrap_or(&url);
            let outcome = match read(service_type, from, identity, arguments.validator.as_ref()).await {
                Ok(found) => take(arguments, settings, &url, &found),
                Err(error) => Err(error.into()),
            };
            told.add(from, outcome)?;
        }
    }
    if told.taken > 0 {
        state.replace(&local, gateway::Clock::system().now()).map_err(unusable)?;
    }
    told.end()
}

fn take(
    arguments: &RefreshArgs,
    settings: &mut security_server::state::ClientSettings,
    url: &str,
    found: &Read,
) -> Result<Outcome, Problem> {
    let differences = catalogue::compare(settings, url, &found.document)?;
    print!("{differences}");
    tell(&found.warnings);
    let mut changed = settings.clone();
    let new_url = arguments.new_url.as_deref();
    catalogue::refresh(&mut changed, url, new_url, &found.document, true)?;
    // That it was read again is no difference.
    let mut same = changed.clone();
    for (url, description) in &mut same.descriptions {
        if let Some(before) = settings.descriptions.get(url) {
            description.refreshed = before.refreshed;
        }
    }
    if same == *settings {
        return Ok(Outcome::Same);
    }
    if !(arguments.accept || differences.is_empty() && found.warnings.is_empty()) {
        return Ok(Outcome::Waits);
    }
    *settings = changed;
    Ok(Outcome::Taken)
}

/// What was told about all descriptions.
#[derive(Default)]
struct Told {
    all: usize,
    taken: usize,
    waiting: usize,
    refused: usize,
}

impl Told {
    /// One document that is refused does not keep the others from being read.
    fn add(&mut self, url: &str, outcome: Result<Outcome, Problem>) -> Result<(), Problem> {
        self.all += 1;
        match outcome {
            Ok(Outcome::Same) => println!("{url}: no difference"),
            Ok(Outcome::Taken) => {
                self.taken += 1;
                println!("{url}: taken over");
            }
            Ok(Outcome::Waits) => {
                self.waiting += 1;
                println!("{url}: different");
            }
            Err(Problem::Refused(error)) => {
                self.refused += 1;
                eprintln!("causeway: {url}: {}: {error}", error.code());
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    fn end(self) -> Result<ExitCode, Problem> {
        if self.all == 0 {
            return Err(DescriptionError::NotFound("that was meant".to_owned()).into());
        }
        if self.waiting > 0 {
            eprintln!("causeway: nothing was changed where documents differ; --accept takes them over");
        }
        Ok(if self.waiting + self.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
