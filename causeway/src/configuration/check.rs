//! `causeway configuration check`: what an anchor leads to, or what a local copy says.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gateway::Clock;
use gateway::configuration::client::RoundReport;
use gateway::configuration::read_local;
use gateway::configuration::trial::Downloaded;
use protocol::configuration::local::{METADATA_SUFFIX, Metadata, Purpose};
use protocol::configuration::{Anchor, CopyState, Instance, LocalCopy};
use protocol::time::UtcTime;

use super::{How, download, not_possible, read_anchor};
use crate::roles::explain;

/// Longest archive that is read, bytes.
const ARCHIVE_LIMIT: u64 = 256 << 20;

/// What is checked.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// An anchor; or the folder of a local copy; or the zip of /verificationconf.
    #[arg(value_name = "ANCHOR_OR_COPY")]
    what: PathBuf,
    #[command(flatten)]
    how: How,
    /// Judges a local copy at this time, such as 2026-11-24T03:10:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<UtcTime>,
    /// Only reads the anchor and shows it, without a download.
    #[arg(long)]
    offline: bool,
}

pub(super) async fn run(arguments: CheckArgs) -> ExitCode {
    let at = arguments.at.unwrap_or_else(|| Clock::system().now());
    let folder_or_zip = match arguments.what.is_dir() {
        true => Some(read_local(&arguments.what).map_err(|error| error.to_string())),
        false => archive(&arguments.what),
    };
    match folder_or_zip {
        Some(Ok(copy)) => check_copy(&copy, at),
        Some(Err(problem)) => not_possible(&format!("{}: {problem}", arguments.what.display())),
        None => check_anchor(arguments).await,
    }
}

/// The copy in an archive; none if the file is something else, or is not there.
fn archive(file: &Path) -> Option<Result<LocalCopy, String>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file).ok()?.take(ARCHIVE_LIMIT).read_to_end(&mut bytes).ok()?;
    let is_archive = bytes.starts_with(b"PK");
    is_archive.then(|| LocalCopy::from_zip(&bytes).map_err(|error| explain(&error)))
}

async fn check_anchor(arguments: CheckArgs) -> ExitCode {
    let (anchor, file) = match read_anchor(&arguments.what) {
        Ok(read) => read,
        Err(problem) => {
            eprintln!("causeway: {problem}");
            return ExitCode::from(if arguments.what.exists() { 1 } else { 2 });
        }
    };
    println!("anchor of {}", anchor.instance);
    println!("  hash      {}", Anchor::shown_hash(&file));
    if let Some(time) = anchor.generated_at {
        println!("  made      {time}");
    }
    for source in &anchor.sources {
        println!("  location  {} (keys: {})", source.download_url, source.verification_certs.len());
    }
    if !anchor.sources.iter().any(|source| source.download_url.starts_with("http://")) {
        println!("! no location over plain http: X-Road servers download nothing by this anchor");
    }
    if arguments.offline {
        return ExitCode::SUCCESS;
    }
    let instance = anchor.instance.clone();
    let downloaded = match download(anchor, &arguments.how).await {
        Ok(downloaded) => downloaded,
        Err(problem) => return not_possible(&problem),
    };
    print_failures(&downloaded.report);
    if downloaded.configuration.instance(&instance).is_none() {
        println!("✗ nothing could be downloaded that this anchor vouches for");
        return ExitCode::from(1);
    }
    print_downloaded(&downloaded, Clock::system().now());
    if downloaded.report.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Failures on the way. Where another place then worked they are only worth a look.
pub(super) fn print_failures(report: &RoundReport) {
    for (instance, error) in &report.failures {
        let mark = if report.missed.contains(instance) { "✗" } else { "!" };
        println!("{mark} {instance}: {} ({})", explain(error), error.code());
    }
}

pub(super) fn print_downloaded(downloaded: &Downloaded, now: UtcTime) {
    if let Some(origin) = &downloaded.origin {
        println!("✓ downloaded from {origin}");
    }
    let mut instances: Vec<_> = downloaded.configuration.instances.values().collect();
    instances.sort_by_key(|instance| (instance.private.is_none(), instance.identifier.clone()));
    for instance in instances {
        print_instance(instance, &downloaded.copy, now);
    }
}

fn print_instance(instance: &Instance, copy: &LocalCopy, at: UtcTime) {
    let mark = if at <= instance.expires() { "✓" } else { "✗" };
    let ends = if at <= instance.expires() { "in force until" } else { "expired at" };
    println!(
        "{mark} {}: version {}, {ends} {}; {} members, {} servers, {} certification services",
        instance.identifier,
        instance.version,
        instance.expires(),
        instance.shared.members.len(),
        instance.shared.servers.len(),
        instance.shared.approved_cas.len()
    );
    for (name, bytes) in copy.files_of(&instance.identifier) {
        if name.ends_with(METADATA_SUFFIX) {
            continue;
        }
        let metadata = copy.file(&instance.identifier, &format!("{name}{METADATA_SUFFIX}"));
        let identifier = Metadata::parse(metadata).content_identifier.unwrap_or_default();
        println!("    {name}  {} bytes  {identifier}", bytes.len());
    }
}

/// Judges a copy as a server does at its start (§9.2, §9.3).
fn check_copy(copy: &LocalCopy, at: UtcTime) -> ExitCode {
    match copy.state() {
        CopyState::Ready => {}
        CopyState::Malformed => {
            println!("✗ no instance has a folder here, so this is no local copy");
            return ExitCode::from(1);
        }
        CopyState::MissingIdentifier => {
            println!("✗ the file instance-identifier is missing, so it is not known whose copy this is");
            return ExitCode::from(1);
        }
    }
    let own = copy.own_instance().unwrap_or_default();
    println!("local copy of {own}");
    let mut problems = Vec::new();
    let mut good = true;
    for identifier in copy.instances() {
        match copy.instance(identifier, Purpose::Running(at), &mut problems) {
            Some(instance) => {
                good &= at <= instance.expires();
                print_instance(&instance, copy, at);
            }
            None => {
                good = false;
                println!("✗ {identifier}: no shared parameters that can be used");
            }
        }
    }
    for (file, error) in &problems {
        good = false;
        println!("✗ {file}: {} ({})", explain(error), error.code());
    }
    if copy.instances().all(|instance| instance != own) {
        good = false;
        println!("✗ nothing of the own instance {own}");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
