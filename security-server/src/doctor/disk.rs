//! The state folder and the room in it.

use std::path::Path;

use super::Finding;
use crate::config::Config;

const MEGABYTE: u64 = 1 << 20;

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let folder = &config.state_folder;
    let shown = folder.display();
    if !folder.is_dir() {
        return vec![Finding::broken(
            "state folder",
            format!("there is no folder {shown}"),
            "start the node once, or correct [server] state",
        )];
    }
    let mut findings = Vec::new();
    findings.push(match tempfile::tempfile_in(folder) {
        Ok(_) => Finding::good("state folder", format!("{shown} can be written")),
        Err(error) => Finding::broken(
            "state folder",
            format!("{shown} cannot be written: {error}"),
            format!("let the user that runs the node own it: chown -R USER {shown}"),
        ),
    });
    let floor = config.message_log.free_space_floor;
    findings.push(match free_space(folder) {
        Err(error) => Finding::unknown("disk space", format!("the system does not tell: {error}")),
        Ok(free) => {
            let why = format!("{} MB are free, {} MB must be", free / MEGABYTE, floor / MEGABYTE);
            let fix = "make room, or move [server] state to a larger disk; traffic resumes by itself";
            if free < floor {
                Finding::broken("disk space", why, fix)
            } else if free < floor.saturating_mul(2) {
                Finding::warning("disk space", why, fix)
            } else {
                Finding::good("disk space", why)
            }
        }
    });
    findings
}

fn free_space(folder: &Path) -> std::io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Whether a process holds the node's state.
pub(super) fn is_running(config: &Config) -> bool {
    crate::node::is_locked(&config.state_folder)
}
