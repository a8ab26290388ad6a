//! `causeway doctor`: explains a broken set-up, with the fix.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gateway::Clock;
use security_server::config::Config;
use security_server::doctor::{Verdict, examine};

use crate::roles::explain;

/// Explains a broken set-up of a security server, and how to mend it.
///
/// Looks at the anchor, the clock, certificates, OCSP responses, ports, the disk, the limit of open files,
/// and whether registry, authority and peers answer. The status is 0 if nothing is broken, 1 if something is, 2 if the file
/// cannot be read.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The server's TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Prints the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Looks at everything and tells what was found.
pub async fn run(arguments: DoctorArgs) -> ExitCode {
    let config = match Config::read(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("causeway: {}", explain(&error));
            return ExitCode::from(2);
        }
    };
    let findings = examine(&config, Clock::system()).await;
    if arguments.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                serde_json::json!({
                    "check": finding.check,
                    "verdict": finding.verdict.to_string(),
                    "why": finding.why,
                    "fix": finding.fix,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&list).unwrap_or_default());
    } else {
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Good => "✓",
                Verdict::Unknown => "–",
                Verdict::Warning => "!",
                Verdict::Broken => "✗",
            };
            println!("{mark} {}: {}", finding.check, finding.why);
            if let Some(fix) = &finding.fix {
                println!("    → {fix}");
            }
        }
    }
    let broken = findings.iter().filter(|finding| finding.verdict == Verdict::Broken).count();
    match broken {
        _ if arguments.json => {}
        0 => println!("\nnothing is broken"),
        _ => println!("\n{broken} of {} checks found something broken", findings.len()),
    }
    if broken > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
