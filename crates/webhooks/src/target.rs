//! Where a webhook may go: which URLs, and which of the addresses behind them.
//!
//! Somebody who may name a URL must not reach through the desk what only the desk can reach: its own machine, the network
//! around it, the metadata of a cloud. So a URL is `https` to a public address, whatever way that address is written, and
//! what an operator listed besides. The text is judged when the webhook is made, the addresses each time before a byte is
//! sent, because a name may lead somewhere else by then.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use identity::Network;
use reqwest::Url;

/// Ports of public addresses.
const PORTS: [u16; 2] = [443, 8443];
/// Longest URL.
const LONGEST: usize = 2048;

/// Why a URL, or an address behind it, is not used. Never holds the URL: its path may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a URL at all.
    #[error("this is no URL")]
    NotUrl,
    /// Longer than any should be.
    #[error("a URL has at most {LONGEST} characters")]
    TooLong,
    /// Another scheme.
    #[error("a webhook's URL begins with https://")]
    Scheme,
    /// A name or a password in it.
    #[error("a URL with a user name or a password in it is not taken; the signature says who sends")]
    Credentials,
    /// A fragment, which is never sent.
    #[error("a URL with a fragment (#) is not taken")]
    Fragment,
    /// The port is none of those for webhooks.
    #[error("a webhook goes to port 443 or 8443, or where the operator allows it")]
    Port,
    /// The address is not one of the public internet.
    #[error("the address is not public, and the operator does not allow it")]
    NotPublic,
}

/// What an operator allows beside the public internet: an address or a network, perhaps one port of it, perhaps without
/// TLS: `10.0.0.0/8`, `127.0.0.1:9000`, `http://127.0.0.1:9000`, `[::1]:9000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    network: Network,
    port: Option<u16>,
    plain: bool,
}

/// Text that names nothing that can be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no address or network, as 127.0.0.1:9000, 10.0.0.0/8, [::1]:9000 or http://127.0.0.1:9000"
)]
pub struct InvalidAllowed {
    given: String,
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let invalid = || InvalidAllowed { given: text.chars().take(80).collect() };
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (network, port) = if let Ok(address) = rest.parse::<SocketAddr>() {
            (address.ip().to_string(), Some(address.port()))
        } else if let Some((network, port)) =
            rest.rsplit_once(':').filter(|(start, _)| start.contains('/') && !start.contains(':'))
        {
            (network.to_owned(), Some(port.parse().map_err(|_| invalid())?))
        } else {
            (rest.to_owned(), None)
        };
        Ok(Self { network: network.parse().map_err(|_| invalid())?, port, plain })
    }
}

impl Allowed {
    fn has(&self, address: IpAddr, port: u16, plain: bool) -> bool {
        self.network.contains(address) && self.port.is_none_or(|own| own == port) && (self.plain || !plain)
    }
}

/// What is allowed on this desk.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Allowed>);

impl Rules {
    /// The public internet and these.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self(allowed)
    }

    /// Whether the desk may connect to an address.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(&self, address: IpAddr, port: u16, plain: bool) -> Result<(), Refused> {
        let address = address.to_canonical();
        if self.0.iter().any(|allowed| allowed.has(address, port, plain)) {
            return Ok(());
        }
        match () {
            () if plain => Err(Refused::Scheme),
            () if !is_public(address) => Err(Refused::NotPublic),
            () if !PORTS.contains(&port) => Err(Refused::Port),
            () => Ok(()),
        }
    }
}

/// A URL that may be the address of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    port: u16,
}

impl Target {
    /// Reads a URL. An address in it is judged at once, however it is written (`0x7f.1`, `2130706433`, `[::ffff:7f00:1]`
    /// are 127.0.0.1); what a name leads to is judged when it is resolved.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(text: &str, rules: &Rules) -> Result<Self, Refused> {
        if text.len() > LONGEST {
            return Err(Refused::TooLong);
        }
        // The parser drops line ends and tabs, and takes \ for /: none of that belongs into an address that people check.
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
            return Err(Refused::NotUrl);
        }
        let url = Url::parse(text).map_err(|_| Refused::NotUrl)?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(Refused::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(Refused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refused::Fragment);
        }
        let port = url.port_or_known_default().ok_or(Refused::Port)?;
        let target = Self { url, port };
        match target.address() {
            Some(address) => rules.check(address, port, plain)?,
            // A name says nothing yet. Without TLS nobody proves that the name is theirs: only addresses that are listed.
            None if plain => return Err(Refused::Scheme),
            None if target.host().is_empty() => return Err(Refused::NotUrl),
            None => {}
        }
        Ok(target)
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The port that is connected to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host, without what may be secret.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether it is without TLS.
    pub fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The address, where the host is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// Shows the host alone.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.host())
    }
}

/// What stands between the scheme and the path, as it was written: the parser drops an empty user name without a word.
fn authority(text: &str) -> &str {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether an address is one of the public internet, by the registries of special addresses of IANA (RFC 6890 and those
/// after it). What is not known to be public is not.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // This network, private networks, loopback.
        (0 | 10 | 127, ..) | (172, 16..=31, _) | (192, 168, _)
        // Carriers' networks, link-local (with the metadata of clouds).
        | (100, 64..=127, _) | (169, 254, _)
        // Protocol assignments, documentation, 6to4 relays, AS112, benchmarks.
        | (192, 0, 0 | 2) | (192, 88, 99) | (192, 31, 196) | (192, 52, 193) | (192, 175, 48) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113)
        // Multicast, reserved, broadcast.
        | (224..=255, ..)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, ..] = segments;
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b) {
        // NAT64 leads to an address of version 4; its local prefix leads anywhere.
        (0x64, 0xff9b) => segments[2..6] == [0; 4] && is_public_v4(embedded(segments[6], segments[7])),
        // 6to4 and Teredo lead to addresses of version 4 as well, by way of whoever runs a relay. Documentation and
        // benchmarks, and everything else that the registry sets apart in 2001::/23.
        (0x2002, _) | (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // Global unicast.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str]) -> Rules {
        Rules::new(allowed.iter().map(|text| text.parse().expect(text)).collect())
    }

    fn read(url: &str) -> Result<Target, Refused> {
        Target::read(url, &Rules::default())
    }

    #[test]
    fn no_spelling_of_an_address_that_is_not_public_is_taken() {
        let hosts = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "017700000001",
            "0x7F.1",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "0x0",
            "10.1.2.3",
            "012.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "0xc0a80001",
            "3232235521",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[0:0:0:0:0:ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1.1.1.1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[100::1]",
            "[3fff::1]",
            "[5f00::1]",
            "①②⑦.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
        ];
        for host in hosts {
            assert_eq!(read(&format!("https://{host}/hook")), Err(Refused::NotPublic), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_names_are_taken_on_two_ports() {
        for url in [
            "https://hooks.example/a?b=c",
            "https://1.1.1.1/",
            "https://8.8.8.8:8443/",
            "https://[2606:4700::1111]/",
            "https://[64:ff9b::8.8.8.8]/",
            "https://[::ffff:8.8.8.8]/",
            "https://172.32.0.1/",
            "https://100.128.0.1/",
            "HTTPS://Hooks.Example",
            "https://hooks.example/?to=me@here.example",
        ] {
            assert!(read(url).is_ok(), "{url}: {:?}", read(url));
        }
        for url in ["https://1.1.1.1:22/", "https://1.1.1.1:25/", "https://1.1.1.1:6379/"] {
            assert_eq!(read(url), Err(Refused::Port), "{url}");
        }
    }

    #[test]
    fn what_is_no_plain_https_address_is_refused() {
        for (url, why) in [
            ("http://hooks.example/", Refused::Scheme),
            ("http://1.1.1.1/", Refused::Scheme),
            ("ftp://hooks.example/", Refused::Scheme),
            ("file:///etc/passwd", Refused::Scheme),
            ("gopher://127.0.0.1:6379/_x", Refused::Scheme),
            ("https://me:secret@hooks.example/", Refused::Credentials),
            ("https://me@hooks.example/", Refused::Credentials),
            ("https://@hooks.example/", Refused::Credentials),
            ("https://hooks.example@127.0.0.1/", Refused::Credentials),
            ("https://hooks.example/#a", Refused::Fragment),
            ("https:///", Refused::NotUrl),
            ("//hooks.example", Refused::NotUrl),
            ("https://hooks.example\\@127.0.0.1/", Refused::NotUrl),
            ("https://hooks.example/\r\nx: y", Refused::NotUrl),
            ("https://256.1.1.1/", Refused::NotUrl),
            ("", Refused::NotUrl),
        ] {
            assert_eq!(read(url), Err(why), "{url:?}");
        }
        assert_eq!(read(&format!("https://hooks.example/{}", "a".repeat(3000))), Err(Refused::TooLong));
    }

    #[test]
    fn what_the_operator_lists_is_allowed_and_nothing_beside_it() {
        let rules = rules(&["127.0.0.1:9000", "10.0.0.0/8", "http://[::1]:9001", "192.168.1.0/24:8000"]);
        for url in [
            "https://127.0.0.1:9000/",
            "https://2130706433:9000/",
            "https://[::ffff:127.0.0.1]:9000/",
            "https://10.7.7.7:81/",
            "http://[::1]:9001/",
            "https://[::1]:9001/",
            "https://192.168.1.9:8000/",
        ] {
            assert!(Target::read(url, &rules).is_ok(), "{url}");
        }
        for url in [
            "https://127.0.0.1/",
            "https://127.0.0.1:9001/",
            "http://127.0.0.1:9000/",
            "https://127.0.0.2:9000/",
            "https://11.0.0.1:81/",
            "https://[::1]:9000/",
            "https://192.168.1.9:8001/",
            "https://192.168.2.9:8000/",
        ] {
            assert!(Target::read(url, &rules).is_err(), "{url}");
        }
        for text in
            ["", "localhost:9000", "127.0.0.1:x", "10.0.0.0/33", "https://10.0.0.0/8", "10.0.0.0/8:99999"]
        {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_shows_a_target_shows_no_path() {
        let target = read("https://hooks.example/services/secret").unwrap();
        assert_eq!(format!("{target:?}"), "Target(hooks.example)");
    }
}
