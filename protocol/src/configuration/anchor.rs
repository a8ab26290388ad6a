//! The configuration anchor: where a configuration is found and which keys sign it (§2).

use super::ConfigurationError;
use super::schema::{self, Children, Misfit, Node};
use super::writer::Writer;
use crate::digest::DigestAlgorithm;
use crate::time::UtcTime;

/// An anchor.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    /// When it was made; shown to people, compared nowhere.
    pub generated_at: Option<UtcTime>,
    /// The instance it stands for.
    pub instance: String,
    /// Publishing locations, at least one.
    pub sources: Vec<AnchorSource>,
}

/// A publishing location.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorSource {
    /// Where the signed directory is.
    pub download_url: String,
    /// DER certificates whose keys may sign it.
    pub verification_certs: Vec<Vec<u8>>,
}

impl Anchor {
    /// Reads an anchor file.
    ///
    /// # Errors
    /// `malformed_anchor` unless it is XML by the schema of version 2, which holds for every version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        let read = || {
            let document = schema::parse(bytes)?;
            let root = schema::root(&document, schema::XROAD, "configurationAnchor")?;
            Self::from_children(root.children()?)
        };
        read().map_err(ConfigurationError::MalformedAnchor)
    }

    /// The bytes of an anchor file.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut writer = Writer::document("configurationAnchor");
        self.write_children(&mut writer);
        writer.finish()
    }

    /// The hash of an anchor file that people compare: SHA-224 as upper-case pairs joined by colons.
    pub fn shown_hash(file: &[u8]) -> String {
        let digest = DigestAlgorithm::Sha224.digest(file);
        let pairs: Vec<String> = digest.bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    pub(super) fn from_children(mut children: Children<'_>) -> Result<Self, Misfit> {
        let generated_at = children
            .optional("generatedAt")
            .map(|element| {
                let text = element.token()?;
                // A time without an offset is allowed by the schema; it is taken as UTC.
                text.parse()
                    .or_else(|_| format!("{text}Z").parse())
                    .map_err(|_| "'generatedAt' is not a date and time".to_owned())
            })
            .transpose()?;
        let instance = children.required("instanceIdentifier")?.text()?.into_owned();
        if instance.trim().is_empty() {
            return Err("'instanceIdentifier' is empty".to_owned());
        }
        let sources = children
            .many("source")
            .map(|source| {
                let mut children = source.children()?;
                let download_url = children.required("downloadURL")?.token()?;
                let verification_certs =
                    children.many("verificationCert").map(Node::base64).collect::<Result<Vec<_>, _>>()?;
                children.end()?;
                if verification_certs.is_empty() {
                    return Err("'verificationCert' is missing in 'source'".to_owned());
                }
                Ok(AnchorSource { download_url, verification_certs })
            })
            .collect::<Result<Vec<_>, Misfit>>()?;
        children.end()?;
        if sources.is_empty() {
            return Err("'source' is missing".to_owned());
        }
        Ok(Self { generated_at, instance, sources })
    }

    pub(super) fn write_children(&self, writer: &mut Writer) {
        if let Some(generated_at) = self.generated_at {
            writer.text("generatedAt", &generated_at.to_millis_text());
        }
        writer.text("instanceIdentifier", &self.instance);
        for source in &self.sources {
            writer.start("source");
            writer.text("downloadURL", &source.download_url);
            for certificate in &source.verification_certs {
                writer.base64("verificationCert", certificate);
            }
            writer.end();
        }
    }
}
