//! `host:port` and `site/host:port`, read strictly: a slip in a receiver's name is found here, not by a resolver ten seconds later.

use super::{Endpoint, Receiver};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

impl FromStr for Endpoint {
    type Err = String;

    /// Reads `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`; the error says what is wrong in a few words.
    /// Names follow RFC 1123 section 2.1 and are kept in lower case.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("no scheme (https://) belongs here".to_owned());
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once("]:").ok_or("\"]:port\" is missing at its end")?;
            let address: Ipv6Addr = host.parse().map_err(|_| format!("{host} is no IPv6 address"))?;
            (address.to_string(), port)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or("\":port\" is missing at its end")?;
            if host.contains(':') {
                return Err("an IPv6 address stands in brackets, and a port behind them".to_owned());
            }
            check_host(host)?;
            (host.to_ascii_lowercase(), port)
        };
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match port.parse::<u16>() {
            Ok(port) if digits && port > 0 => Ok(Self { host, port }),
            _ => Err(format!("\"{port}\" is no port, which is a number from 1 to 65535")),
        }
    }
}

/// Longest name of a site: a label, not a description.
const MAX_SITE_CHARS: usize = 32;

impl FromStr for Receiver {
    type Err = String;

    /// Reads `site/host:port`, or `host:port` for a receiver that is a site by itself.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((site, endpoint)) = text.split_once('/').filter(|(_, rest)| !rest.starts_with('/')) else {
            return Ok(Self { site: None, endpoint: text.parse()? });
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if site.is_empty() || site.len() > MAX_SITE_CHARS || !site.bytes().all(is_name) {
            return Err(format!(
                "\"{site}\" is no site: 1 to {MAX_SITE_CHARS} letters, digits, '-', '_' or '.'"
            ));
        }
        Ok(Self { site: Some(site.to_owned()), endpoint: endpoint.parse()? })
    }
}

/// A DNS name as hosts have them, or an IPv4 address.
fn check_host(host: &str) -> Result<(), String> {
    let labels = || host.split('.');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !labels().all(is_label) {
        return Err(format!("\"{host}\" is no host name"));
    }
    // RFC 1123: the last label of a name is never all digits, so this was meant to be an address.
    let numeric = labels().next_back().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!("{host} is no IPv4 address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_are_right_and_how_they_are_shown() {
        for (text, host, port, shown) in [
            ("incubator.soc.dfn.de:443", "incubator.soc.dfn.de", 443, "incubator.soc.dfn.de:443"),
            ("localhost:1", "localhost", 1, "localhost:1"),
            ("HOST.Example:65535", "host.example", 65535, "host.example:65535"),
            ("192.0.2.1:5044", "192.0.2.1", 5044, "192.0.2.1:5044"),
            ("[2001:DB8::0:1]:443", "2001:db8::1", 443, "[2001:db8::1]:443"),
            ("[::1]:443", "::1", 443, "[::1]:443"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{text}");
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(shown.parse(), Ok(endpoint), "what is shown reads back");
        }
    }

    #[test]
    fn a_receivers_site_stands_in_front_of_it() {
        for (text, site, endpoint) in [
            ("ber/concentrator.example:443", Some("ber"), "concentrator.example:443"),
            ("North_1.a/[::1]:443", Some("North_1.a"), "[::1]:443"),
            ("a.example:1", None, "a.example:1"),
        ] {
            let receiver: Receiver = text.parse().unwrap();
            assert_eq!((receiver.site.as_deref(), &*receiver.endpoint.to_string()), (site, endpoint));
            assert_eq!(receiver.to_string(), text, "what is shown reads back");
        }
        for (text, why) in [
            ("/a:1", "is no site"),
            ("b r/a:1", "is no site"),
            ("ber/a", "\":port\" is missing"),
            ("ber/erl/a:1", "is no host name"),
            ("https://a:1", "no scheme"),
        ] {
            let error = text.parse::<Receiver>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn endpoints_that_are_wrong_and_why() {
        for (text, why) in [
            ("", "\":port\" is missing"),
            ("host", "\":port\" is missing"),
            ("host:", "is no port"),
            ("host:0", "is no port"),
            ("host:65536", "is no port"),
            ("host:+443", "is no port"),
            ("host:https", "is no port"),
            (":443", "is no host name"),
            ("ho st:443", "is no host name"),
            ("-host:443", "is no host name"),
            ("host..example:443", "is no host name"),
            ("host.example.:443", "is no host name"),
            ("höst:443", "is no host name"),
            ("192.0.2.300:443", "is no IPv4 address"),
            ("2001:db8::1:443", "stands in brackets"),
            ("[2001:db8::1]", "\"]:port\" is missing"),
            ("[host]:443", "is no IPv6 address"),
            ("[fe80::1%eth0]:443", "is no IPv6 address"),
            ("https://host:443", "no scheme"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(format!("{}:443", "a".repeat(64)).parse::<Endpoint>().is_err());
        assert!(format!("{}a:443", "a.".repeat(127)).parse::<Endpoint>().is_err(), "254 characters");
    }
}
