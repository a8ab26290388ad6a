//! What can be wrong with a configuration, with the codes of the specification (§19).

/// Why a configuration or a part of one is refused. Its text is for the log; [`code`](Self::code) is
/// what the field's operators look for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigurationError {
    /// The anchor is not XML, or not by its schema.
    #[error("malformed configuration anchor: {0}")]
    MalformedAnchor(String),
    /// The directory is not the MIME document that it must be.
    #[error("the configuration directory is not readable: {0}")]
    Directory(&'static str),
    /// The directory has no first part.
    #[error("the configuration directory has no signed data")]
    MissingSignedData,
    /// The directory has no signature, so that nothing in it was verified, not even its date.
    #[error("the configuration directory has no signature")]
    MissingSignature,
    /// A required header is missing or blank.
    #[error("header {0} is missing")]
    HeaderMissing(&'static str),
    /// A header that can have only one value has another.
    #[error("header {0} has a wrong value")]
    HeaderWrong(&'static str),
    /// A required parameter of a header is missing or blank.
    #[error("header {0} lacks its parameter {1}")]
    ParameterMissing(&'static str, &'static str),
    /// An algorithm that is unknown or too weak for configuration.
    #[error("algorithm '{0}' is not accepted for configuration")]
    Algorithm(String),
    /// The signature value is not base64.
    #[error("the signature value cannot be decoded")]
    SignatureDecode,
    /// None of the certificates of the location has the announced hash.
    #[error("no verification certificate of this location has the announced hash")]
    NoVerificationCertificate,
    /// The signature is wrong.
    #[error("the signature of the configuration directory does not verify")]
    Signature,
    /// The configuration has expired.
    #[error("the configuration has expired")]
    Outdated,
    /// The directory is older than what is in use already.
    #[error("the configuration directory is older than the one in use")]
    Older,
    /// A version that does not exist, or that this program does not know.
    #[error("configuration version '{0}' is not supported")]
    UnsupportedVersion(String),
    /// A part's bytes do not have the announced digest.
    #[error("the digest of {0} differs from the announced one")]
    PartDigest(String),
    /// A part is about another instance than the directory or the anchor says.
    #[error("instance identifier '{found}' where '{expected}' must stand")]
    Instance {
        /// What the anchor or the directory says.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Private parameters behind an anchor for other instances.
    #[error("there are private parameters, so this is no configuration for other instances")]
    NotExternal,
    /// A part may not stand in this configuration, or is missing in it.
    #[error("{0}")]
    Parts(&'static str),
    /// A file name that is not plain, or that two parts share.
    #[error("'{0}' cannot be the name of a configuration file")]
    FileName(String),
    /// Parameters that do not follow the schema of their version.
    #[error("malformed parameters: {0}")]
    Schema(String),
    /// An optional part that does not follow its schema.
    #[error("malformed optional part: {0}")]
    OptionalPart(String),
    /// What should be published contradicts itself.
    #[error("parameters cannot be written: {0}")]
    Unwritable(String),
}

impl ConfigurationError {
    /// The code of the specification.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedAnchor(_) => "malformed_anchor",
            Self::Directory(_) => "global_conf_parsing_downloaded_conf_directory_failure",
            Self::MissingSignedData => "global_conf_missing_signed_data",
            Self::MissingSignature => "global_conf_missing_signed_data_expiration_date",
            Self::HeaderMissing(_) => "global_conf_header_field_missing",
            Self::HeaderWrong(_) | Self::Algorithm(_) => "global_conf_header_field_wrong_value",
            Self::ParameterMissing(..) => "global_conf_header_field_missing_parameter",
            Self::SignatureDecode => "global_conf_signature_decode_failure",
            Self::NoVerificationCertificate => "global_conf_missing_verification_cert",
            Self::Signature => "global_conf_signature_verification_failure",
            Self::Outdated | Self::Older => "global_conf_outdated",
            Self::UnsupportedVersion(_)
            | Self::Parts(_)
            | Self::FileName(_)
            | Self::Schema(_)
            | Self::Unwritable(_) => "malformed_global_conf",
            Self::PartDigest(_) => "global_conf_part_downloaded_file_integrity_failure",
            Self::Instance { .. } => "global_conf_part_invalid_instance_identifier",
            Self::NotExternal => "conf_verification.anchor_not_for_external_source",
            Self::OptionalPart(_) => "malformed_optional_parts_conf",
        }
    }
}
