//! Checks of `[message-log]` and `[archive]`.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use protocol::id::{ClientId, MemberId};

use super::check::within;
use super::{ArchiveSettings, EncryptionSettings, MessageLogSettings, Problems, written};
use crate::archive::Grouping;
use crate::message_log::{BodySettings, Oversize};

const MEGABYTE: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn message_log(written: written::MessageLog, problems: &mut Problems) -> MessageLogSettings {
    let mut megabytes = |key: &str, value: u64, range| {
        MEGABYTE * within(&format!("[message-log] {key}"), value, range, problems)
    };
    let limit = megabytes("body-limit-megabytes", written.body_limit_megabytes, 0..=1024);
    let segment_size = megabytes("segment-megabytes", written.segment_megabytes, 1..=4096);
    let floor = written.free_space_floor_megabytes;
    let free_space_floor = megabytes("free-space-floor-megabytes", floor, 0..=1 << 40);
    let size_limit = (written.size_limit_megabytes > 0)
        .then(|| megabytes("size-limit-megabytes", written.size_limit_megabytes, 1..=1 << 40));
    let oversize = match written.larger_bodies.as_str() {
        "digest" => Oversize::DigestOnly,
        "refuse" => Oversize::Refuse,
        "truncate" => Oversize::Truncate,
        other => {
            problems.add(format_args!(
                "[message-log] larger-bodies must be digest, refuse or truncate, not {other}"
            ));
            Oversize::DigestOnly
        }
    };
    let bodies = BodySettings {
        logging: written.bodies,
        local_exceptions: clients("body-exceptions-local", &written.body_exceptions_local, problems),
        remote_exceptions: clients("body-exceptions-remote", &written.body_exceptions_remote, problems),
        limit,
        oversize,
    };
    let failure = written.acceptable_timestamp_failure_seconds;
    let retry = written.timestamp_retry_seconds;
    MessageLogSettings {
        bodies,
        segment_size,
        free_space_floor,
        size_limit,
        timestamp_immediately: written.timestamp_immediately,
        acceptable_timestamp_failure: (failure > 0).then(|| Duration::from_secs(failure)),
        timestamping_services: written.timestamping_services,
        timestamp_retry: Duration::from_secs(within(
            "[message-log] timestamp-retry-seconds",
            retry,
            1..=3600,
            problems,
        )),
    }
}

fn clients(key: &str, written: &[String], problems: &mut Problems) -> HashSet<ClientId> {
    let key = format!("[message-log] {key}");
    written.iter().filter_map(|text| problems.take(&key, ClientId::parse_encoded(text))).collect()
}

/// A member without a subsystem.
fn member(text: &str) -> Result<MemberId, String> {
    match ClientId::parse_encoded(text) {
        Ok(client) if client.subsystem().is_none() => Ok(client.member().clone()),
        Ok(_) => Err(format!("{text} is not instance/class/member")),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn archive(written: written::Archive, folder: &Path, problems: &mut Problems) -> ArchiveSettings {
    let grouping = Grouping::from_name(&written.grouping).unwrap_or_else(|| {
        let found = &written.grouping;
        problems.add(format_args!("[archive] grouping must be none, member or subsystem, not {found}"));
        Grouping::None
    });
    let has_keys =
        written.signing_key.is_some() || !written.default_keys.is_empty() || !written.member_keys.is_empty();
    if has_keys && !written.encrypt {
        problems.add("[archive] has keys, but encrypt is false");
    }
    if grouping == Grouping::None && !written.member_keys.is_empty() {
        problems.add("[archive] member-key has no effect with grouping none");
    }
    let encryption = written.encrypt.then(|| EncryptionSettings {
        signing_key: written.signing_key.map(|file| folder.join(file)),
        default_keys: written.default_keys.iter().map(|file| folder.join(file)).collect(),
        member_keys: written
            .member_keys
            .iter()
            .filter_map(|key| {
                let member = problems.take("[[archive.member-key]] member", member(&key.member))?;
                Some((member, folder.join(&key.file)))
            })
            .collect(),
    });
    let keep = within("[archive] keep-days", written.keep_days, 0..=36_500, problems);
    let keep = u32::try_from(keep).unwrap_or(u32::MAX);
    ArchiveSettings {
        folder: folder.join(written.folder),
        interval: Duration::from_secs(within(
            "[archive] interval-seconds",
            written.interval_seconds,
            60..=604_800,
            problems,
        )),
        grouping,
        max_file_size: MEGABYTE
            * within("[archive] max-file-megabytes", written.max_file_megabytes, 1..=4096, problems),
        transfer_command: written.transfer_command.filter(|command| !command.trim().is_empty()),
        keep: (keep > 0).then(|| DAY * keep),
        encryption,
    }
}
