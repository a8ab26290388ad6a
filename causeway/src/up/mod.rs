//! `causeway up`: a whole pilot federation on this machine.
//!
//! Every node is a process of its own with the configuration file an operator would write; nothing is
//! reached from the inside. What is special is only that the files are written and the certificates
//! issued at once.

pub mod children;
mod demonstration;
pub mod evidence;
mod federation;
pub mod files;
pub mod folder;
pub mod plan;
mod setup;
pub mod soap;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

pub use federation::{Federation, Options, Signals, UpError};

use plan::Network;

/// Starts a pilot federation on this machine, sends real exchanges through it, and keeps it running.
///
/// A certification authority with OCSP responder and time-stamping authority, a registry, and three
/// security servers, each a process on its own loopback address (127.0.1.x) with the standard ports;
/// sample information systems behind two of them. Ctrl-C stops everything; the state stays.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// Folder of all state; made at the first start.
    #[arg(long, value_name = "DIR", default_value = "causeway-state")]
    state: PathBuf,
    /// First three numbers of the loopback addresses; 127.0.1 if missing, or what the folder was set up
    /// with. For a second federation on the same machine.
    #[arg(long, value_name = "127.0.N")]
    network: Option<Network>,
    /// Ends after the exchanges, with status 0 if all went as expected and 1 if not.
    #[arg(long)]
    once: bool,
}

/// Runs the pilot federation.
pub async fn run(arguments: UpArgs) -> ExitCode {
    let started = Instant::now();
    let mut signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("causeway: cannot wait for Ctrl-C: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = Options { network: arguments.network, ..Options::new(arguments.state, Network::PILOT) };
    println!("Starting a pilot federation; its state is in {}", options.state.display());
    let federation = tokio::select! {
        federation = Federation::start(&options) => federation,
        () = signals.received() => return interrupted(),
    };
    let federation = match federation {
        Ok(federation) => federation,
        Err(error) => {
            eprintln!("causeway: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("Ready after {:.1} s.\n", started.elapsed().as_secs_f64());
    let outcome = tokio::select! {
        outcome = demonstration::run(&federation) => Some(outcome),
        () = signals.received() => None,
    };
    let Some(outcome) = outcome else {
        federation.stop().await;
        return interrupted();
    };
    outcome.print_summary(&federation);
    if arguments.once {
        federation.stop().await;
        return if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    }
    println!("\nThe federation keeps running. Ctrl-C stops it.");
    let code = federation.serve(&mut signals).await;
    println!("Stopped. The state stays in {}.", options.state.display());
    code
}

/// What ends before it was up did not do what it was called for.
fn interrupted() -> ExitCode {
    println!("\nStopped before the federation was up; the next start goes on from here.");
    ExitCode::FAILURE
}
