//! Writing a container (§4.1) and naming it (§4.3).

use std::fmt::Write as _;
use std::io::{self, Read, Seek, Write};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::MIME_TYPE;
use crate::digest::DigestAlgorithm;
use crate::time::UtcTime;

/// What a container is made of.
pub struct ContainerParts<'a> {
    /// Time of the record, which becomes the modification time of the entries.
    pub time: UtcTime,
    /// Octets of the message.
    pub message: Bytes,
    /// The signature document; with the time-stamp inside for [`ContainerTimestamp::InSignature`].
    pub signature: Bytes,
    /// Chain result and chain, when the signature is over a hash chain.
    pub hash_chain: Option<(Bytes, Bytes)>,
    /// Where the time-stamp is.
    pub timestamp: ContainerTimestamp,
    /// Attachments in order, as far as they were logged; of a REST message, the body.
    pub attachments: Vec<Attachment<'a>>,
}

/// Where the time-stamp of a container is.
#[derive(Clone, Debug)]
pub enum ContainerTimestamp {
    /// Inside the signature document.
    InSignature,
    /// In entries of its own: the stamp covers the result of a chain over several documents.
    Token {
        /// `TimeStampToken`, DER.
        token: Bytes,
        /// `ts-hashchainresult.xml`: the octets that the token covers.
        hash_chain_result: Bytes,
        /// `ts-hashchain.xml` of this document.
        hash_chain: Bytes,
    },
}

/// An attachment on its way into a container.
pub enum Attachment<'a> {
    /// Not logged; those behind it keep their numbers.
    Absent,
    /// In memory.
    Memory(Bytes),
    /// Read to its end while the container is written.
    Reader(&'a mut dyn Read),
}

/// A container could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An attachment could not be read, or the destination not written.
    #[error("input or output failed")]
    Io(#[from] io::Error),
    /// The zip format cannot hold it.
    #[error("the zip format refuses the container")]
    Zip(#[from] zip::result::ZipError),
}

/// Writes a container into memory.
///
/// # Errors
/// See [`WriteError`].
pub fn write_container(parts: ContainerParts<'_>) -> Result<Vec<u8>, WriteError> {
    let mut bytes = io::Cursor::new(Vec::new());
    write_to(&mut bytes, parts)?;
    Ok(bytes.into_inner())
}

/// Writes a container to `destination`, entries in the order of §4.1.
///
/// # Errors
/// See [`WriteError`].
pub fn write_to(destination: impl Write + Seek, parts: ContainerParts<'_>) -> Result<(), WriteError> {
    let mut zip = ZipWriter::new(destination);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(modification_time(parts.time));
    let mut entry = |name: &str, options: SimpleFileOptions, octets: &[u8]| -> Result<(), WriteError> {
        zip.start_file(name, options)?;
        zip.write_all(octets)?;
        Ok(())
    };

    // ASiC asks that the media type be readable at a fixed offset, so it is not compressed.
    entry("mimetype", options.compression_method(CompressionMethod::Stored), MIME_TYPE.as_bytes())?;
    entry("message.xml", options, &parts.message)?;
    entry("META-INF/signatures.xml", options, &parts.signature)?;
    if let Some((result, chain)) = &parts.hash_chain {
        entry("sig-hashchainresult.xml", options, result)?;
        entry("sig-hashchain.xml", options, chain)?;
    }
    if let ContainerTimestamp::Token { hash_chain_result, hash_chain, .. } = &parts.timestamp {
        entry("ts-hashchainresult.xml", options, hash_chain_result)?;
        entry("ts-hashchain.xml", options, hash_chain)?;
    }
    entry("META-INF/manifest.xml", options, manifest(&parts).as_bytes())?;
    if let ContainerTimestamp::Token { token, hash_chain_result, .. } = &parts.timestamp {
        entry("META-INF/ASiCManifest.xml", options, timestamp_manifest(hash_chain_result).as_bytes())?;
        entry("META-INF/timestamp.tst", options, token)?;
    }
    for (number, attachment) in (1..).zip(parts.attachments) {
        let name = format!("attachment{number}");
        match attachment {
            Attachment::Absent => {}
            Attachment::Memory(octets) => {
                zip.start_file(name, options.large_file(octets.len() as u64 >= u64::from(u32::MAX)))?;
                zip.write_all(&octets)?;
            }
            Attachment::Reader(reader) => {
                // Whether Zip64 is needed shows only at the end; the writer then rewrites the header.
                zip.start_file(name, options)?;
                io::copy(reader, &mut zip)?;
            }
        }
    }
    zip.set_comment(format!("mimetype={MIME_TYPE}"))?;
    zip.finish()?;
    Ok(())
}

/// What zip can say of a time: two-second steps from 1980 to 2107.
pub fn modification_time(time: UtcTime) -> DateTime {
    let text = time.to_compact_text();
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok();
    let small = |range| number(range).and_then(|value| u8::try_from(value).ok());
    let parts = || {
        DateTime::from_date_and_time(
            number(0..4)?,
            small(4..6)?,
            small(6..8)?,
            small(8..10)?,
            small(10..12)?,
            small(12..14)?,
        )
        .ok()
    };
    parts().unwrap_or_default()
}

fn manifest(parts: &ContainerParts<'_>) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" \
         manifest:version=\"1.2\">\n    \
         <manifest:file-entry manifest:media-type=\"{MIME_TYPE}\" manifest:full-path=\"/\"/>\n"
    );
    let mut line = |media_type: &str, path: &str| {
        let _ = writeln!(
            text,
            "    <manifest:file-entry manifest:media-type=\"{media_type}\" manifest:full-path=\"{path}\"/>"
        );
    };
    line("text/xml", "message.xml");
    if parts.hash_chain.is_some() {
        line("text/xml", "sig-hashchainresult.xml");
        line("text/xml", "sig-hashchain.xml");
    }
    if matches!(parts.timestamp, ContainerTimestamp::Token { .. }) {
        line("text/xml", "ts-hashchainresult.xml");
        line("text/xml", "ts-hashchain.xml");
    }
    for (number, attachment) in (1_usize..).zip(&parts.attachments) {
        if matches!(attachment, Attachment::Absent) {
            continue;
        }
        line("application/octet-stream", &format!("attachment{number}"));
    }
    text.push_str("</manifest:manifest>\n");
    text
}

/// The digest is SHA-512 whatever the chain uses (§4.1).
fn timestamp_manifest(hash_chain_result: &[u8]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <asic:ASiCManifest xmlns:asic=\"http://uri.etsi.org/2918/v1.2.1#\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n\
         <asic:SigReference URI=\"META-INF/timestamp.tst\" MimeType=\"vnd.etsi.timestamp-token\"/>\n\
         <asic:DataObjectReference URI=\"ts-hashchainresult.xml\" MimeType=\"text/xml\">\n\
         <ds:DigestMethod Algorithm=\"{}\" />\n\
         <ds:DigestValue>{}</ds:DigestValue>\n\
         </asic:DataObjectReference>\n\
         </asic:ASiCManifest>",
        DigestAlgorithm::Sha512.uri(),
        DigestAlgorithm::Sha512.digest(hash_chain_result).to_base64()
    )
}

/// `<id>-request-<record>.asice` or `<id>-response-<record>.asice` (§4.3): the id form-encoded and cut
/// to 226 characters, the record number in base 32.
pub fn file_name(message_id: &str, is_response: bool, record: u64) -> String {
    const FORM: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b' ');
    let mut name: String = utf8_percent_encode(message_id, FORM).to_string().replace(' ', "+");
    name.truncate(226);
    let kind = if is_response { "response" } else { "request" };
    format!("{name}-{kind}-{}.asice", base32(record))
}

fn base32(mut number: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(number % 32) as usize]));
        number /= 32;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(file_name("CWTEST-3f1d", false, 1000), "CWTEST-3f1d-request-v8.asice");
        assert_eq!(file_name("a b/č", true, 0), "a+b%2F%C4%8D-response-0.asice");
        assert_eq!(file_name(&"x".repeat(300), true, u64::MAX).len(), 226 + 10 + 13 + 6);
    }
}
