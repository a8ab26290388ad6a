//! `causeway verify`: judges evidence containers offline.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use certs::evidence::{Report, verify_container};
use certs::trust::TrustStore;
use clap::Args;
use protocol::time::UtcTime;

/// Largest container or configuration that is read.
const LIMIT: u64 = 1 << 30;

/// Judges an evidence container offline against a global configuration, and prints every step.
///
/// The status is 0 if the container is valid, 1 if it is not, and 2 if it could not be judged.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The container, an .asice file.
    #[arg(value_name = "FILE")]
    container: PathBuf,
    /// Whom to believe: a security server's local copy of the global configuration (a folder), or the zip
    /// that GET /verificationconf of a security server gives.
    #[arg(long, value_name = "DIR_OR_ZIP")]
    configuration: PathBuf,
    /// Judges certificates at this time in place of the container's time-stamp, such as
    /// 2026-11-21T16:49:57Z.
    #[arg(long, value_name = "TIME")]
    at: Option<UtcTime>,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Judges a container.
pub fn run(arguments: VerifyArgs) -> ExitCode {
    match judge(&arguments) {
        Ok(report) => {
            if arguments.json {
                println!("{}", serde_json::to_string_pretty(&report.to_json()).unwrap_or_default());
            } else {
                print!("{report}");
            }
            if report.is_valid() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(problem) => {
            eprintln!("causeway: not judged: {problem}");
            ExitCode::from(2)
        }
    }
}

fn judge(arguments: &VerifyArgs) -> Result<Report, String> {
    let trust = if arguments.configuration.is_dir() {
        crate::configuration::trust_of_folder(&arguments.configuration)?
    } else {
        trust_of(&read(&arguments.configuration)?)?
    };
    Ok(verify_container(&read(&arguments.container)?, &trust, arguments.at))
}

fn read(file: &std::path::Path) -> Result<Vec<u8>, String> {
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
