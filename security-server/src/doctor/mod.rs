//! Explains a broken set-up.
//!
//! [`examine`] looks at everything a node needs, from the inside out: files, limits, keys, global configuration,
//! ports, other parties. It works beside a running node and changes nothing.

mod disk;
mod limits;
mod network;
mod trust;

use std::fmt;

use gateway::Clock;
use gateway::http::Fetcher;
use std::time::Duration;

use crate::config::Config;

/// What one check found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was looked at, such as `configuration anchor`.
    pub check: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub why: String,
    /// What to do, unless all is well.
    pub fix: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Could not be judged, because something before it is broken.
    Unknown,
    /// Works now, but not for long or not for everybody.
    Warning,
    /// Keeps the node from working.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Broken => "broken",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.verdict, self.check, self.why)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "\n  fix: {fix}"))
    }
}

impl Finding {
    fn good(check: impl Into<String>, why: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Good, why: why.into(), fix: None }
    }

    fn unknown(check: impl Into<String>, why: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Unknown, why: why.into(), fix: None }
    }

    fn warning(check: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Warning, why: why.into(), fix: Some(fix.into()) }
    }

    fn broken(check: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Broken, why: why.into(), fix: Some(fix.into()) }
    }
}

/// Longest wait for another party.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at everything. Takes a few seconds when other parties are silent.
pub async fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let mut findings = disk::examine(config);
    findings.push(limits::examine(config));
    let is_running = disk::is_running(config);
    let fetcher = Fetcher::new(PATIENCE, PATIENCE);
    let known = trust::examine(config, clock, &fetcher, &mut findings).await;
    network::ports(config, is_running, &mut findings).await;
    match &known {
        Some(snapshot) => network::parties(config, snapshot, clock, &fetcher, &mut findings).await,
        None => {
            findings.push(Finding::unknown("other parties", "without global configuration nobody is known"))
        }
    }
    findings
}
