//! `causeway verify`: judges evidence containers and archives offline.

mod archive;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use certs::evidence::verify_container;
use certs::trust::TrustStore;
use clap::Args;
use protocol::time::UtcTime;

use archive::{Judged, Kind};

/// Largest container or configuration that is read.
const LIMIT: u64 = 1 << 30;

/// Judges evidence offline against a global configuration, and prints every step.
///
/// A file is an evidence container (.asice), a zip of containers as /asic gives it, or an archive of a
/// message log (mlog-….zip). Of an archive the linking information is checked too; several archives are
/// taken as one chain, in the order in which they are given.
///
/// The status is 0 if everything is valid, 1 if something is not, and 2 if it could not be judged.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whom to believe: a security server's local copy of the global configuration (a folder), or the zip
    /// that GET /verificationconf of a security server gives.
    #[arg(long, value_name = "DIR_OR_ZIP", required_unless_present = "chain_only")]
    configuration: Option<PathBuf>,
    /// Judges certificates at this time in place of the container's time-stamp, such as
    /// 2026-11-21T16:49:57Z.
    #[arg(long, value_name = "TIME")]
    at: Option<UtcTime>,
    /// The last digest of the archive before the first one; - if the first one begins the chain. Without
    /// it, what the first archive says is believed, and told.
    #[arg(long, value_name = "DIGEST")]
    previous: Option<String>,
    /// Checks only the chain of archives, and no container in them.
    #[arg(long, conflicts_with = "configuration")]
    chain_only: bool,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Judges what the arguments name.
pub fn run(arguments: VerifyArgs) -> ExitCode {
    match judge(&arguments) {
        Ok(judged) => {
            if arguments.json {
                let all: Vec<_> = judged.iter().map(Judged::to_json).collect();
                let value = match <[_; 1]>::try_from(all) {
                    Ok([one]) => one,
                    Err(all) => serde_json::Value::Array(all),
                };
                println!("{}", serde_json::to_string_pretty(&value).unwrap_or_default());
            } else {
                let many = judged.len() > 1;
                for judged in &judged {
                    if many {
                        println!("{}", judged.file);
                    }
                    print!("{judged}");
                }
            }
            if judged.iter().all(Judged::is_valid) { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(problem) => {
            eprintln!("causeway: not judged: {problem}");
            ExitCode::from(2)
        }
    }
}

fn judge(arguments: &VerifyArgs) -> Result<Vec<Judged>, String> {
    let trust = arguments.configuration.as_deref().map(trust_in).transpose()?;
    let mut previous = arguments.previous.clone();
    let mut judged = Vec::with_capacity(arguments.files.len());
    for file in &arguments.files {
        let name = file.display().to_string();
        let kind = match (archive::kind(file)?, &trust) {
            (Kind::Archive, trust) => {
                let found = archive::verify_archive(file, previous.as_deref(), trust.as_ref(), arguments.at)?;
                // A broken archive says nothing of the next one but what it claims itself.
                previous.clone_from(&found.last);
                archive::Found::Archive(found)
            }
            (Kind::Bundle, Some(trust)) => {
                archive::Found::Bundle(archive::verify_bundle(file, trust, arguments.at)?)
            }
            (Kind::Container, Some(trust)) => {
                archive::Found::Container(Box::new(verify_container(&read(file)?, trust, arguments.at)))
            }
            (Kind::Bundle | Kind::Container, None) => return Err(format!("{name} is no archive")),
        };
        judged.push(Judged { file: name, found: kind });
    }
    Ok(judged)
}

fn trust_in(configuration: &Path) -> Result<TrustStore, String> {
    if configuration.is_dir() {
        crate::configuration::trust_of_folder(configuration)
    } else {
        trust_of(&read(configuration)?)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    let mut bytes = Vec::new();
    fs::File::open(file).map_err(told)?.take(LIMIT).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 == LIMIT {
        return Err(format!("{} is longer than {LIMIT} bytes", file.display()));
    }
    Ok(bytes)
}

/// Whom the zip of `/verificationconf` makes one believe.
///
/// # Errors
/// A clause that says what is wrong with it.
pub fn trust_of(zip: &[u8]) -> Result<TrustStore, String> {
    crate::configuration::trust_of_zip(zip)
}
