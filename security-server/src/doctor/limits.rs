//! What the system lets the node have.

use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::Config;

/// Files that a node has open besides connections: the message log, its state, ports, the spool.
const OTHER_FILES: u64 = 256;

/// Looks at the limit of this process: a node that is started from the same place gets the same.
pub(super) fn examine(config: &Config) -> Finding {
    let connections = u64::try_from(config.data_plane.connections.0).unwrap_or(u64::MAX);
    open_files(getrlimit(Resource::Nofile).maximum, connections)
}

/// `allowed` is the hard limit, to which a node raises its own when it starts; none: no limit.
fn open_files(allowed: Option<u64>, connections: u64) -> Finding {
    // As many again for the connections that the node makes.
    let needed = connections.saturating_mul(2).saturating_add(OTHER_FILES);
    match allowed {
        Some(allowed) if allowed < needed => Finding::warning(
            "open files",
            format!(
                "the system allows {allowed}, and [data-plane] connections = {connections} may need {needed}"
            ),
            format!(
                "raise the hard limit of open files (LimitNOFILE={needed} in a systemd unit), or lower connections"
            ),
        ),
        Some(allowed) => {
            Finding::good("open files", format!("{allowed} are allowed, {needed} may be needed"))
        }
        None => Finding::good("open files", format!("there is no limit, {needed} may be needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn files_are_needed_for_connections_both_ways() {
        for (allowed, connections, expected) in [
            (None, 1_000_000, Verdict::Good),
            (Some(1024), 8192, Verdict::Warning),
            (Some(16_639), 8192, Verdict::Warning),
            (Some(16_640), 8192, Verdict::Good),
            (Some(1024), 384, Verdict::Good),
            (Some(u64::MAX - 1), u64::MAX, Verdict::Warning),
        ] {
            let found = open_files(allowed, connections);
            assert_eq!(found.verdict, expected, "{allowed:?} {connections}: {found}");
            assert_eq!(found.fix.is_some(), expected == Verdict::Warning);
        }
    }
}
