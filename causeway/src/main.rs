//! Causeway: a federated data-exchange gateway, one program for every role.

use std::process::ExitCode;

fn main() -> ExitCode {
    causeway::cli::main()
}
