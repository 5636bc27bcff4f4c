//! The table of sources, `[[normaliser.source]]`: which senders' clocks run in which time zone, and which charset they send.

use super::schema::nearest;
use super::{Charset, Source};
use std::net::IpAddr;

/// Most rows; every message without a zone looks its sender up.
pub(super) const MAX_SOURCES: usize = 1024;

/// What is allowed as a time zone.
pub(super) const ZONE_ALLOWED: &str = "a name of the tz database, such as \"UTC\" or \"Europe/Berlin\"";

/// What is allowed as a network.
pub(super) const NETWORK_ALLOWED: &str =
    "an address, or the first address of a network and its prefix length, such as \"10.1.0.0/16\"";

/// Reads a zone's name; the error proposes the one that was probably meant.
pub(super) fn parse_zone(text: &str) -> Result<chrono_tz::Tz, String> {
    text.parse().map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        nearest(text, names).map_or_else(String::new, |name| format!("did you mean \"{name}\"?"))
    })
}

/// What is allowed as a charset.
pub(super) const CHARSET_ALLOWED: &str = "a label of the WHATWG Encoding Standard, such as \"utf-8\", \"windows-1252\", \"iso-8859-15\" or \"shift_jis\"";

/// Reads a charset's label. Those in which a byte below 128 is not ASCII (UTF-16, ISO-2022-JP) cannot carry syslog.
pub(super) fn parse_charset(text: &str) -> Result<Charset, String> {
    match encoding_rs::Encoding::for_label(text.as_bytes()) {
        Some(charset) if charset.is_ascii_compatible() => Ok(charset),
        Some(charset) => Err(format!("{} does not contain ASCII", charset.name())),
        None => Err(String::new()),
    }
}

/// Reads `address` or `address/prefix_bits`. Bits behind the prefix must be zero: where they are not, it is not clear
/// which of the two was meant.
pub(super) fn parse_network(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| String::new())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = match bits {
        None => width,
        Some(bits) if !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) => {
            bits.parse().map_err(|_| String::new())?
        }
        Some(_) => return Err(String::new()),
    };
    if bits > width {
        return Err(format!("the prefix length of such an address is at most {width}"));
    }
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        // The listener knows such senders by their IPv4 address, so this row would never match.
        return Err(format!("write the IPv4 address itself, {v4}"));
    }
    let masked = mask(address, bits);
    if masked != address {
        return Err(format!("did you mean \"{masked}/{bits}\"?"));
    }
    Ok((address, bits))
}

/// `address` with everything behind the first `bits` bits zero.
fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let keep = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & keep).into())
        }
        IpAddr::V6(v6) => {
            let keep = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & keep).into())
        }
    }
}

impl Source {
    /// Whether the row is about this sender.
    pub fn contains(&self, sender: IpAddr) -> bool {
        sender.is_ipv4() == self.network.is_ipv4() && mask(sender, self.prefix_bits) == self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_are_right() {
        for (text, network, bits) in [
            ("10.1.0.0/16", "10.1.0.0", 16),
            ("10.1.2.3", "10.1.2.3", 32),
            ("0.0.0.0/0", "0.0.0.0", 0),
            ("2001:db8::/32", "2001:db8::", 32),
            ("2001:db8::1", "2001:db8::1", 128),
            ("::/0", "::", 0),
        ] {
            assert_eq!(parse_network(text), Ok((network.parse().unwrap(), bits)), "{text}");
        }
    }

    #[test]
    fn networks_that_are_wrong_and_what_was_meant() {
        for (text, hint) in [
            ("10.1.0.1/16", "did you mean \"10.1.0.0/16\"?"),
            ("2001:db8::1/32", "did you mean \"2001:db8::/32\"?"),
            ("10.1.0.0/33", "at most 32"),
            ("::/129", "at most 128"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("10.1.0.0/", ""),
            ("10.1.0.0/+8", ""),
            ("10.1.0.0/255.255.0.0", ""),
            ("10.1/16", ""),
            ("host.example", ""),
            ("", ""),
        ] {
            let error = parse_network(text).unwrap_err();
            assert!(error.contains(hint) && error.is_empty() == hint.is_empty(), "{text}: {error}");
        }
    }

    #[test]
    fn a_row_is_about_the_senders_of_its_network_only() {
        let row = |text| {
            let (network, prefix_bits) = parse_network(text).unwrap();
            Source { network, prefix_bits, time_zone: None, charset: None }
        };
        for (network, sender, inside) in [
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
            ("2001:db8::/64", "203.0.113.9", false),
        ] {
            assert_eq!(row(network).contains(sender.parse().unwrap()), inside, "{network} {sender}");
        }
    }

    #[test]
    fn charsets_contain_ascii() {
        assert_eq!(parse_charset("latin1"), Ok(encoding_rs::WINDOWS_1252));
        assert_eq!(parse_charset("Shift_JIS"), Ok(encoding_rs::SHIFT_JIS));
        assert_eq!(parse_charset("utf-16le"), Err("UTF-16LE does not contain ASCII".to_owned()));
        assert_eq!(parse_charset("klingon"), Err(String::new()));
    }

    #[test]
    fn zones_are_those_of_the_tz_database() {
        assert_eq!(parse_zone("Europe/Berlin"), Ok(chrono_tz::Europe::Berlin));
        assert_eq!(parse_zone("Europe/Berlni"), Err("did you mean \"Europe/Berlin\"?".to_owned()));
        assert_eq!(parse_zone("europe/berlin"), Err("did you mean \"Europe/Berlin\"?".to_owned()));
        assert_eq!(parse_zone("Middle-earth/Bree"), Err(String::new()));
        assert!(parse_zone("").is_err());
    }
}
