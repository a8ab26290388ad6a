//! The text of `linkinginfo`: made and read.

use crate::digest::{Digest, DigestAlgorithm};

/// Where a chain of archives stands: what the next archive continues.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The last digest, lower-case hexadecimal.
    pub digest: String,
    /// File name of the archive that ends with it.
    pub file: String,
}

/// Makes the linking information of one archive while containers are added to it.
#[derive(Clone, Debug)]
pub struct Linker {
    algorithm: DigestAlgorithm,
    last: String,
    text: String,
}

impl Linker {
    /// Begins an archive that continues `previous`, or a chain.
    pub fn new(algorithm: DigestAlgorithm, previous: Option<&Link>) -> Self {
        let (digest, file) = previous.map_or(("-", "-"), |link| (&link.digest, &link.file));
        let text = format!("{digest} {file} {}\n", algorithm.name());
        let last = previous.map_or_else(String::new, |link| link.digest.clone());
        Self { algorithm, last, text }
    }

    /// The algorithm that containers are digested with.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Adds a container: the digest of its octets, and its name in the archive.
    pub fn add(&mut self, container: &Digest, name: &str) {
        self.last = step(self.algorithm, &self.last, container);
        self.text.push_str(&format!("{} {name}\n", self.last));
    }

    /// The text of the entry `linkinginfo`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last digest, which the next archive of the chain continues; hexadecimal.
    pub fn last(&self) -> &str {
        &self.last
    }
}

/// Two hexadecimal texts are joined and hashed as text.
pub(super) fn step(algorithm: DigestAlgorithm, last: &str, container: &Digest) -> String {
    algorithm.digest(format!("{last}{}", container.to_hex()).as_bytes()).to_hex()
}

/// Linking information as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkingInformation {
    /// What this archive continues; none: it begins a chain.
    pub previous: Option<Link>,
    /// Algorithm of all digests.
    pub algorithm: DigestAlgorithm,
    /// Digest and container name, line by line.
    pub lines: Vec<(String, String)>,
}

impl LinkingInformation {
    /// Reads the entry. None if it is not of the form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut head = lines.next()?.split(' ');
        let (digest, file, algorithm) = (head.next()?, head.next()?, head.next()?);
        let previous = match (digest, file) {
            ("", _) | (_, "") => return None,
            ("-", "-") => None,
            (digest, file) => Some(Link { digest: digest.to_owned(), file: file.to_owned() }),
        };
        let algorithm = DigestAlgorithm::from_name(algorithm).filter(|_| head.next().is_none())?;
        let lines = lines
            .map(|line| line.split_once(' ').map(|(digest, name)| (digest.to_owned(), name.to_owned())))
            .collect::<Option<_>>()?;
        Some(Self { previous, algorithm, lines })
    }
}
