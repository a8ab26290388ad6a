//! Addresses of security servers.

use core::net::IpAddr;

/// Longest domain name, octets.
const LONGEST: usize = 253;

/// Whether the text is an IP address or a domain name, which may be internationalised (§3.8 step 11):
/// no scheme, no port, no path.
pub fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_domain_name(text)
}

fn is_domain_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    // What looks like an IPv4 address and is none must not become a name: resolvers read such things
    // in their own ways.
    let ends_in_digits = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= LONGEST && !ends_in_digits && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "192.0.2.1",
            "2001:db8::1",
            "ss1",
            "ss1.example",
            "ss1.example.",
            "xn--bcher-kva.example",
            "bücher.example",
        ] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            ".",
            " ss1",
            "ss1 ",
            "not a host",
            "http://ss1",
            "ss1:5500",
            "[2001:db8::1]",
            "ss1/x",
            "a..b",
            "-a",
            "a-",
            "192.0.2.256",
            "192.0.2",
            "0x7f.1",
            "a\u{200b}b",
            "user@ss1",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
