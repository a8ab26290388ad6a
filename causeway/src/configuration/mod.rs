//! `causeway configuration`: gets and checks global configuration without a server, and looks after the
//! keys that sign it.

mod check;
mod keys;
mod trust;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use gateway::configuration::trial::{Downloaded, Trial, write_copy};
use gateway::configuration::{Contents, Federations};
use gateway::http::{Fetcher, HttpsTrust};
use gateway::{Clock, configuration};
use protocol::configuration::Anchor;

use crate::roles::explain;

pub use trust::{trust_of_folder, trust_of_zip};

/// Longest anchor that is read, bytes.
const ANCHOR_LIMIT: u64 = 16 << 20;

/// Gets and checks global configuration, and looks after the keys that sign it.
#[derive(Args, Debug)]
pub struct ConfigurationArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Downloads the configuration behind an anchor and writes its files.
    ///
    /// The folder gets the layout that tools of the field read: instance-identifier, and a folder for
    /// each instance with its files and their metadata.
    Get {
        #[command(flatten)]
        source: Source,
        /// Folder for the files; made if it is missing.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Checks an anchor by a trial download, or a local copy offline.
    ///
    /// The status is 0 if everything is in order, 1 if something is not, 2 if there is nothing that could
    /// be checked.
    Check(check::CheckArgs),
    /// Lists and changes the signing keys of a registry or of a configuration proxy.
    ///
    /// A role that runs notices a change at once and publishes it.
    Keys(keys::KeysArgs),
}

/// Where a configuration comes from.
#[derive(Args, Clone, Debug)]
struct Source {
    /// The anchor, an XML file got on a way that is trusted.
    #[arg(value_name = "ANCHOR")]
    anchor: PathBuf,
    #[command(flatten)]
    how: How,
}

/// How it is downloaded.
#[derive(Args, Clone, Debug)]
struct How {
    /// What the anchor must lead to.
    #[arg(long, value_enum, default_value_t = Kind::Either)]
    kind: Kind,
    /// The version to ask for, 2 to 6. Default: the newest that there is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=6))]
    version: Option<u8>,
    /// Federated instances to download along with it, by name, or all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    federations: Vec<String>,
    /// A PEM file of certificates that are believed for HTTPS, besides the platform's authorities.
    #[arg(long, value_name = "FILE")]
    https_root: Vec<PathBuf>,
    /// Takes any certificate over HTTPS. The configuration is signed in any case.
    #[arg(long)]
    https_unchecked: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A configuration for servers of the instance.
    Internal,
    /// A configuration for other instances, which must not have private parameters.
    External,
    /// Any of the two.
    Either,
}

/// Does what the arguments say.
pub async fn run(arguments: ConfigurationArgs) -> ExitCode {
    match arguments.command {
        Command::Get { source, to } => get(&source, &to).await,
        Command::Check(arguments) => check::run(arguments).await,
        Command::Keys(arguments) => keys::run(&arguments),
    }
}

async fn get(source: &Source, to: &std::path::Path) -> ExitCode {
    let (anchor, _) = match read_anchor(&source.anchor) {
        Ok(read) => read,
        Err(problem) => return not_possible(&problem),
    };
    let instance = anchor.instance.clone();
    let downloaded = match download(anchor, &source.how).await {
        Ok(downloaded) => downloaded,
        Err(problem) => return not_possible(&problem),
    };
    check::print_failures(&downloaded.report);
    if downloaded.configuration.instance(&instance).is_none() {
        eprintln!("causeway: the configuration of {instance} could not be downloaded from any place");
        return ExitCode::from(1);
    }
    if let Err(error) = write_copy(to, &downloaded.copy) {
        return not_possible(&format!("cannot write the files to {}: {error}", to.display()));
    }
    check::print_downloaded(&downloaded, Clock::system().now());
    if downloaded.report.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

async fn download(anchor: Anchor, how: &How) -> Result<Downloaded, String> {
    let mut trust = HttpsTrust { check_certificate: !how.https_unchecked, ..HttpsTrust::default() };
    for file in &how.https_root {
        let roots = HttpsTrust::read_roots(file);
        trust.roots.extend(roots.map_err(|problem| format!("{}: {problem}", file.display()))?);
    }
    let (connect, read): (Duration, Duration) = (configuration::CONNECT_TIMEOUT, configuration::READ_TIMEOUT);
    let trial = Trial {
        anchor,
        contents: match how.kind {
            Kind::Internal => Contents::Internal,
            Kind::External => Contents::External,
            Kind::Either => Contents::Either,
        },
        version: how.version,
        federations: Federations::from_list(&how.federations.join(",")),
    };
    Ok(trial.download(&Fetcher::trusting(connect, read, &trust), Clock::system()).await)
}

/// The anchor of a file, and the bytes of the file.
fn read_anchor(file: &std::path::Path) -> Result<(Anchor, Vec<u8>), String> {
    use std::io::Read as _;
    let told = |error: std::io::Error| format!("{}: {error} (anchor_file_not_found)", file.display());
    let mut bytes = Vec::new();
    std::fs::File::open(file).map_err(told)?.take(ANCHOR_LIMIT).read_to_end(&mut bytes).map_err(told)?;
    let anchor = Anchor::parse(&bytes);
    let anchor =
        anchor.map_err(|error| format!("{}: {} ({})", file.display(), explain(&error), error.code()))?;
    Ok((anchor, bytes))
}

fn not_possible(problem: &str) -> ExitCode {
    eprintln!("causeway: {problem}");
    ExitCode::from(2)
}
