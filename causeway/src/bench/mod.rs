//! `causeway bench`: measures this machine, Causeway beside an nginx chain, in the same run.
//!
//! Machines differ and are noisy, so what counts are ratios of slices measured seconds apart. Both chains
//! have the same client, the same information system at the end, and mutual TLS in between; nginx signs
//! nothing and logs nothing.

pub mod load;
mod log;
pub mod nginx;
pub mod process;
mod registry;
mod report;
mod rounds;
mod single;
mod soap;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::up::plan::Network;
use crate::up::{Federation, Options};

/// Measures this machine: Causeway beside an nginx chain, in the same run.
///
/// Starts a pilot federation of its own on loopback addresses 127.0.2.x, runs every measurement, checks
/// that what was measured was also right, prints a table, and stops. Without nginx the ratios are left out.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// One part alone.
    #[command(subcommand)]
    part: Option<Part>,
    /// Paired rounds of each load; 12 or more for figures to be quoted.
    #[arg(long, value_name = "N", default_value_t = 12)]
    rounds: usize,
    /// Seconds of one slice.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    slice: f64,
    /// Only the paired loads, not the single measurements.
    #[arg(long)]
    paired_only: bool,
    /// Writes all figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exits with 1 when a figure misses its floor.
    #[arg(long)]
    check: bool,
}

/// A part that is measured alone.
#[derive(Debug, Subcommand)]
enum Part {
    /// A registry of a whole country: how fast its lists answer, and how soon a change is published.
    Registry(registry::RegistryBenchArgs),
}

/// Runs the benchmark.
pub async fn run(arguments: BenchArgs) -> ExitCode {
    let measured = match &arguments.part {
        Some(Part::Registry(arguments)) => registry::run(arguments).await,
        None => measure(&arguments).await,
    };
    match measured {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("causeway: {error}");
            ExitCode::from(2)
        }
    }
}

async fn measure(arguments: &BenchArgs) -> Result<bool, Box<dyn std::error::Error>> {
    let folder = tempfile::Builder::new().prefix("causeway-bench-").tempdir()?;
    let mut report = report::Report::new();
    report.print_header();
    let options = Options::new(folder.path().join("pilot"), Network::BENCH);
    eprintln!("starting a federation in {}", folder.path().display());
    let mut federation = Federation::start(&options).await?;

    let slice = Duration::from_secs_f64(arguments.slice);
    rounds::run(&mut federation, folder.path(), arguments.rounds.max(1), slice, &mut report).await?;
    soap::run(&federation, arguments.rounds.div_ceil(2).max(1), slice, &mut report).await?;
    if !arguments.paired_only {
        single::run(&mut federation, &mut report).await?;
        log::run(folder.path(), &mut report)?;
        federation = single::restart(federation, &mut report).await?;
    }
    let right = single::check(&federation, &mut report).await?;
    federation.stop().await;
    if !arguments.paired_only {
        single::large_instance(folder.path(), &mut report).await?;
    }
    if !right {
        eprintln!("the exchanges were not all logged and provable, so no figure is given");
        return Ok(false);
    }
    report.print();
    if let Some(file) = &arguments.json {
        std::fs::write(file, report.to_json())?;
    }
    Ok(!arguments.check || report.is_within_floors())
}
