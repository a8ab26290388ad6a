//! Archives of evidence containers and the chain that links them (signatures and evidence §4.4).
//!
//! An archive is a zip of containers with a last entry, `linkinginfo`. Each container's digest is hashed
//! together with that of the one before it, across archives, so none can be taken out or changed unseen.
//! [`Linker`] makes the chain, [`Archive`] checks it; [`file_name`] names an archive.

mod linking;
mod read;
#[cfg(test)]
mod tests;

pub use linking::{Link, Linker, LinkingInformation};
pub use read::{Archive, ArchiveError, ArchiveLimits};

use crate::time::UtcTime;

/// Name of the last entry.
pub const LINKING_INFORMATION: &str = "linkinginfo";

/// Longest part of a file name that a group may take.
const GROUP_LIMIT: usize = 200;

/// `mlog-<group>-<earliest>-<latest>-<digest>.zip` (§4.4), with `.gpg` when it is encrypted.
///
/// `group` is the short name of a member or subsystem; the times are those of the earliest and latest
/// record; of `last_digest`, the hexadecimal end of the chain, the first 16 digits count.
pub fn file_name(
    group: Option<&str>,
    (earliest, latest): (UtcTime, UtcTime),
    last_digest: &str,
    encrypted: bool,
) -> String {
    let mut name = String::from("mlog-");
    if let Some(group) = group {
        let part = group.chars().chain(['-']).take(GROUP_LIMIT);
        name.extend(part.map(|c| if is_unsafe(c) { '_' } else { c }));
    }
    let time = |time: UtcTime| time.to_compact_text().get(..14).unwrap_or_default().to_owned();
    let digest: String = last_digest.chars().take(16).collect();
    let end = if encrypted { ".zip.gpg" } else { ".zip" };
    name.push_str(&format!("{}-{}-{digest}{end}", time(earliest), time(latest)));
    name
}

/// Characters that file systems take amiss.
fn is_unsafe(c: char) -> bool {
    c.is_control() || "\\<>/:|*?".contains(c)
}
