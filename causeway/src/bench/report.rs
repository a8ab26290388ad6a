//! The table of figures, with the floor that each has to reach.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Number of the goal, such as `P1`.
    pub(crate) goal: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// Its spread: 10th to 90th percentile of the rounds.
    pub(crate) range: Option<(f64, f64)>,
    /// What it has to reach.
    pub(crate) floor: Option<Floor>,
}

/// A limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Floor {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Vec<(String, String)>,
    rows: Vec<Row>,
}

impl Row {
    /// Whether the figure reaches its limit; true without one.
    pub(crate) fn is_reached(&self) -> bool {
        match self.floor {
            None => true,
            Some(Floor::AtLeast(least)) => self.value >= least,
            Some(Floor::AtMost(most)) => self.value <= most,
        }
    }
}

impl Report {
    /// An empty one, with what this machine is.
    pub(crate) fn new() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        let nginx = Command::new("nginx").arg("-v").output().ok();
        let nginx = nginx.map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned());
        let machine = vec![
            ("cores".to_owned(), cores.to_string()),
            ("processor".to_owned(), model.map_or("unknown", |(_, model)| model).to_owned()),
            ("memory".to_owned(), format!("{} GiB", memory.unwrap_or(0) >> 20)),
            ("kernel".to_owned(), read("/proc/sys/kernel/osrelease").trim().to_owned()),
            ("peer".to_owned(), nginx.unwrap_or_else(|| "nginx is not installed: no ratios".to_owned())),
            ("causeway".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Self { machine, rows: Vec::new() }
    }

    /// Prints what the machine is.
    pub(crate) fn print_header(&self) {
        for (what, value) in &self.machine {
            println!("{what:>10}  {value}");
        }
    }

    /// Takes a figure.
    pub(crate) fn push(&mut self, row: Row) {
        eprintln!("  {:4} {}: {}", row.goal, row.what, figure(row.value, row.unit));
        self.rows.push(row);
    }

    /// Takes the median and the range of a figure that was measured in every round.
    pub(crate) fn push_rounds(
        &mut self,
        goal: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        values: &[f64],
        floor: Option<Floor>,
    ) {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = sorted.len().saturating_sub(1) as f64;
            sorted.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
        };
        let range = Some((at(0.1), at(0.9)));
        self.push(Row { goal, what: what.into(), value: at(0.5), unit, range, floor });
    }

    /// Prints the table as Markdown.
    pub(crate) fn print(&self) {
        println!(
            "\n| goal | measure | figure | 10–90 % | to reach | |\n| --- | --- | --- | --- | --- | --- |"
        );
        for row in &self.rows {
            let range = row.range.map_or(String::new(), |(low, high)| {
                format!("{} – {}", figure(low, row.unit), figure(high, row.unit))
            });
            let floor = match row.floor {
                None => String::new(),
                Some(Floor::AtLeast(least)) => format!("≥ {}", figure(least, row.unit)),
                Some(Floor::AtMost(most)) => format!("≤ {}", figure(most, row.unit)),
            };
            let mark = if row.floor.is_none() {
                ""
            } else if row.is_reached() {
                "reached"
            } else {
                "MISSED"
            };
            println!(
                "| {} | {} | {} | {range} | {floor} | {mark} |",
                row.goal,
                row.what,
                figure(row.value, row.unit)
            );
        }
    }

    /// Whether every figure reaches its limit.
    pub(crate) fn is_within_floors(&self) -> bool {
        self.rows.iter().all(Row::is_reached)
    }

    /// All figures for programs.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn figure(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}
