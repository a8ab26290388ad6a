//! Which transport a peer needs, seen from its ClientHello before anything is answered.

use std::io;

use tokio::net::TcpStream;

/// A ClientHello that is longer is left to the modern transport, which refuses what is not one.
const LONGEST: usize = 4096;

/// The suites that a peer with the settings of the field offers, and nothing else (§4.2.1).
const LEGACY: [u16; 3] = [0xc028, 0x006b, 0xc024];

/// Looks at the ClientHello without taking it, and says whether it has a suite of the old channel and none
/// of `modern`.
///
/// # Errors
/// Those of the socket.
pub(crate) async fn is_legacy(stream: &TcpStream, modern: &[u16]) -> io::Result<bool> {
    let mut seen = vec![0; LONGEST];
    let mut before = 0;
    loop {
        let length = stream.peek(&mut seen).await?;
        let bytes = seen.get(..length).unwrap_or_default();
        match suites(bytes) {
            Seen::Suites(suites) => return Ok(decide(&suites, modern)),
            Seen::Nonsense => return Ok(false),
            Seen::Part if length == 0 || length == LONGEST => return Ok(false),
            Seen::Part => {}
        }
        // The rest is on its way. Peeking again at once would find the same; the caller's time-out ends it.
        if length == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        before = length;
    }
}

fn decide(offered: &[u16], modern: &[u16]) -> bool {
    offered.iter().any(|suite| LEGACY.contains(suite)) && !offered.iter().any(|suite| modern.contains(suite))
}

#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Suites(Vec<u16>),
    Part,
    Nonsense,
}

/// The offered suites, which stand in the first record: type, version, length; type, length, version, random,
/// session, suites.
fn suites(bytes: &[u8]) -> Seen {
    let number = |at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    let handshake = [bytes.first(), bytes.get(1), bytes.get(5)];
    let expected = [0x16, 0x03, 0x01];
    if handshake.iter().zip(expected).any(|(found, expected)| found.is_some_and(|found| *found != expected)) {
        return Seen::Nonsense;
    }
    let Some(session) = bytes.get(43) else { return Seen::Part };
    let at = 44 + usize::from(*session);
    let Some(length) = number(at) else { return Seen::Part };
    if length > LONGEST || length % 2 != 0 {
        return Seen::Nonsense;
    }
    let Some(list) = bytes.get(at + 2..at + 2 + length) else { return Seen::Part };
    Seen::Suites(
        list.chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |sum, octet| sum << 8 | u16::from(*octet)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(suites: &[u16]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 9, 9]);
        body.extend(u16::try_from(2 * suites.len()).unwrap().to_be_bytes());
        suites.iter().for_each(|suite| body.extend(suite.to_be_bytes()));
        body.extend([1, 0]);
        let length = u16::try_from(body.len()).unwrap();
        let mut record = vec![0x16, 3, 1];
        record.extend((length + 4).to_be_bytes());
        record.extend([1, 0]);
        record.extend(length.to_be_bytes());
        [record, body].concat()
    }

    #[test]
    fn a_peer_is_known_by_its_suites() {
        let modern = [0x1301, 0xc02f];
        let check = |suites: &[u16], expected: bool| assert_eq!(decide(suites, &modern), expected);
        check(&[0xc028, 0x006b, 0xc024, 0x00ff], true);
        check(&[0xc028, 0xc02f], false);
        check(&[0x1301, 0xc028], false);
        check(&[0x0035], false);
        check(&[], false);
    }

    #[test]
    fn every_prefix_of_a_hello_is_a_part_of_it() {
        let whole = hello(&[0xc028, 0x00ff]);
        let end = whole.len() - 2;
        for length in 0..end {
            assert_eq!(suites(&whole[..length]), Seen::Part, "{length}");
        }
        assert_eq!(suites(&whole[..end]), Seen::Suites(vec![0xc028, 0x00ff]));
        assert_eq!(suites(b"GET / HTTP/1.1"), Seen::Nonsense);
        let mut odd = whole;
        odd[47] = 0xff;
        assert_eq!(suites(&odd), Seen::Nonsense);
    }
}
