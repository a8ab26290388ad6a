//! The files of the journal: one for each slice of the memory, entries of one length behind each other.
//!
//! An entry has a checksum with the name of its file in it, so that neither a torn end nor a file in
//! another's place is taken for entries.

use certs::evidence::MessageIdentity;
use gateway::replays::{Change, Mark};

/// First octets of a file.
pub(super) const MAGIC: [u8; 16] = *b"CW-REPLAYS-1\0\0\0\0";

/// Octets of an entry: checksum 4, kind 4, identity 16, signer 8, signed 8, status 8.
pub(super) const ENTRY: usize = 48;

const TAKEN: u32 = 1;
const WITHDRAWN: u32 = 2;
const FLOOR: u32 = 3;
const POINT: u32 = 4;

/// What an entry says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    /// A change within the file's slice.
    Change(Change),
    /// All messages that the log has before this position were written before.
    Point(u64),
}

/// The octets of an entry; none for changes that are files of their own or the end of one.
pub(super) fn encode(entry: &Entry, file: u64) -> Option<[u8; ENTRY]> {
    let none = MessageIdentity([0; 16]);
    let (kind, identity, signer, signed, status) = match *entry {
        Entry::Change(Change::Taken(mark)) => {
            (TAKEN, mark.identity, mark.signer, mark.signed, mark.status_of)
        }
        Entry::Change(Change::Withdrawn(identity)) => (WITHDRAWN, identity, 0, 0, 0),
        Entry::Change(Change::Floor { signer, signed, status_of }) => {
            (FLOOR, none, signer, signed, status_of)
        }
        Entry::Change(Change::Slice(_) | Change::Dropped(_)) => return None,
        Entry::Point(position) => (POINT, none, position, 0, 0),
    };
    let mut octets = [0; ENTRY];
    let fields = kind
        .to_le_bytes()
        .into_iter()
        .chain(identity.0)
        .chain(signer.to_le_bytes())
        .chain(signed.to_le_bytes())
        .chain(status.to_le_bytes());
    for (place, octet) in octets.iter_mut().skip(4).zip(fields) {
        *place = octet;
    }
    let checksum = checksum(&octets, file);
    for (place, octet) in octets.iter_mut().zip(checksum) {
        *place = octet;
    }
    Some(octets)
}

/// Reads an entry; none if it is torn or not of this file.
pub(super) fn decode(octets: &[u8; ENTRY], file: u64) -> Option<Entry> {
    if !octets.starts_with(&checksum(octets, file)) {
        return None;
    }
    let (kind, rest) = octets.get(4..)?.split_first_chunk()?;
    let (identity, rest) = rest.split_first_chunk()?;
    let (signer, rest) = rest.split_first_chunk()?;
    let (signed, rest) = rest.split_first_chunk()?;
    let (status, _) = rest.split_first_chunk()?;
    let identity = MessageIdentity(*identity);
    let signer = u64::from_le_bytes(*signer);
    let (signed, status_of) = (i64::from_le_bytes(*signed), i64::from_le_bytes(*status));
    Some(match u32::from_le_bytes(*kind) {
        TAKEN => Entry::Change(Change::Taken(Mark { identity, signer, signed, status_of })),
        WITHDRAWN => Entry::Change(Change::Withdrawn(identity)),
        FLOOR => Entry::Change(Change::Floor { signer, signed, status_of }),
        POINT => Entry::Point(signer),
        _ => return None,
    })
}

fn checksum(octets: &[u8; ENTRY], file: u64) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file.to_le_bytes());
    hasher.update(octets.get(4..).unwrap_or_default());
    hasher.finalize().to_le_bytes()
}

/// The name of a file.
pub(super) fn name(number: u64) -> String {
    format!("{number:020}.marks")
}

/// The number in a name.
pub(super) fn number(name: &str) -> Option<u64> {
    name.strip_suffix(".marks").filter(|digits| digits.len() == 20)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_torn_or_foreign_ones_do_not() {
        let identity = MessageIdentity([7; 16]);
        let mark = Mark { identity, signer: 5, signed: i64::MIN, status_of: -3 };
        for entry in [
            Entry::Change(Change::Taken(mark)),
            Entry::Change(Change::Withdrawn(identity)),
            Entry::Change(Change::Floor { signer: 1, signed: 2, status_of: 3 }),
            Entry::Point(u64::MAX),
        ] {
            let octets = encode(&entry, 3).expect("has octets");
            assert_eq!(decode(&octets, 3), Some(entry));
            assert_eq!(decode(&octets, 4), None, "another file");
            for place in 0..ENTRY {
                let mut torn = octets;
                torn[place] ^= 1;
                assert_eq!(decode(&torn, 3), None, "octet {place} of {entry:?}");
            }
        }
        assert_eq!(encode(&Entry::Change(Change::Dropped(1)), 3), None);
        assert_eq!(decode(&[0; ENTRY], 0), None, "octets that were never written");
        assert_eq!(number(&name(17)), Some(17));
        assert_eq!(number("17.marks"), None);
    }
}
