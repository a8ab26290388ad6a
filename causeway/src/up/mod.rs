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

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

pub use federation::{Federation, Options, UpError};

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
    let options = Options { network: arguments.network, ..Options::new(arguments.state, Network::PILOT) };
    println!("Starting a pilot federation; its state is in {}", options.state.display());
    let federation = match Federation::start(&options).await {
        Ok(federation) => federation,
        Err(error) => {
            eprintln!("causeway: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("Ready after {:.1} s.\n", started.elapsed().as_secs_f64());
    let outcome = demonstration::run(&federation).await;
    outcome.print_summary(&federation);
    if arguments.once {
        federation.stop().await;
        return if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) };
    }
    println!("\nThe federation keeps running. Ctrl-C stops it.");
    let code = federation.serve().await;
    println!("Stopped. The state stays in {}.", options.state.display());
    code
}
