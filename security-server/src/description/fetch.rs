//! Where documents come from: the systems of the client, and copies on the disk.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use gateway::http::Fetcher;
use gateway::ports::ServiceType;
use gateway::tls::Identity;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::document::Document;
use super::error::{DescriptionError, Warning, WarningKind};
use super::wsdl::LARGEST;

const CONNECT: Duration = Duration::from_secs(20);
const READ: Duration = Duration::from_secs(60);
/// Longest time and most octets of output of a validator.
const VALIDATION: Duration = Duration::from_secs(60);
const OUTPUT: u64 = 64 << 10;

/// A document as it was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The octets.
    pub octets: Bytes,
    /// What the server says they are.
    pub content_type: Option<String>,
}

/// Fetches a document. Every certificate is accepted, since somebody looks at the document before it counts;
/// `identity` is shown to servers that ask. Redirects are not followed.
///
/// # Errors
/// [`DescriptionError::Unreachable`], also for an answer other than 200 and more than 10 MiB.
pub async fn fetch(url: &str, identity: Option<&Identity>) -> Result<Fetched, DescriptionError> {
    let refused = |reason: String| DescriptionError::Unreachable(format!("{url}: {reason}"));
    let fetcher = Fetcher::dangerous_unchecked(identity, CONNECT, READ);
    let answer = fetcher.get(url, None, LARGEST).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        refused(format!("{error}{cause}"))
    })?;
    if answer.status != http::StatusCode::OK {
        return Err(refused(format!("the server answers {}", answer.status)));
    }
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Fetched { octets: answer.body, content_type })
}

/// Reads the copy of a document that was fetched from `url`; the error is the reason.
///
/// # Errors
/// When the file cannot be read, or is not such a document.
pub fn read_copy(service_type: ServiceType, file: &Path, url: &str) -> Result<Document, String> {
    let mut octets = Vec::new();
    let most = LARGEST as u64 + 1;
    std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut octets)).map_err(|error| {
        format!("the copy {} cannot be read ({error}); get it with causeway service refresh", file.display())
    })?;
    Document::parse_copy(service_type, &octets, &file.to_string_lossy(), url)
        .map_err(|error| format!("the copy {} is of no use: {error}", file.display()))
}

/// Has a program judge a WSDL: it gets the URL as its only argument. Whatever it prints is a warning; a status
/// other than 0 is an error.
///
/// # Errors
/// [`DescriptionError::Validator`], also when the program cannot be run or does not end.
pub async fn validate(program: &Path, url: &str) -> Result<Vec<Warning>, DescriptionError> {
    let failed =
        |reason: String| DescriptionError::Validator(vec![format!("{}: {reason}", program.display())]);
    let mut child = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let judge = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read_out = async {
            match stdout {
                Some(pipe) => pipe.take(OUTPUT).read_to_end(&mut out).await.map(drop),
                None => Ok(()),
            }
        };
        let read_err = async {
            match stderr {
                Some(pipe) => pipe.take(OUTPUT).read_to_end(&mut err).await.map(drop),
                None => Ok(()),
            }
        };
        tokio::try_join!(read_out, read_err)?;
        // A program that has more to say fails at writing it, since nobody reads on.
        let status = child.wait().await?;
        out.append(&mut err);
        Ok::<_, std::io::Error>((status, out))
    };
    let (status, output) = tokio::time::timeout(VALIDATION, judge)
        .await
        .map_err(|_| failed(format!("it did not end within {} s", VALIDATION.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    let output = String::from_utf8_lossy(&output);
    let lines: Vec<String> =
        output.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if !status.success() {
        return Err(if lines.is_empty() {
            failed(status.to_string())
        } else {
            DescriptionError::Validator(lines)
        });
    }
    let warning = Warning { kind: WarningKind::WsdlValidation, details: lines };
    Ok(if warning.details.is_empty() { Vec::new() } else { vec![warning] })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[track_caller]
    fn judged(script: &str) -> Result<Vec<String>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("validator");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(validate(&program, "http://h/warning.wsdl")) {
            Ok(warnings) => Ok(warnings.into_iter().flat_map(|warning| warning.details).collect()),
            Err(DescriptionError::Validator(lines)) => Err(lines),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn validators() {
        assert_eq!(judged("exit 0"), Ok(vec![]));
        let told = vec!["WARNING: http://h/warning.wsdl".to_owned(), "second".to_owned()];
        assert_eq!(judged("echo WARNING: $1; echo; echo second >&2"), Ok(told));
        assert_eq!(judged("echo bad; exit 1"), Err(vec!["bad".to_owned()]));
        assert!(judged("exit 3").unwrap_err()[0].contains('3'));
        let endless = judged("exec yes").unwrap_err();
        assert_eq!(endless.len() * 2, OUTPUT as usize, "what says too much is cut off, and has failed");
    }
}
