//! Where a request comes from: the other end of the connection, or what a proxy that is trusted says of it.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
use identity::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of whoever sent a request that came in from `peer`.
///
/// Every proxy adds the address that it saw at the end of `X-Forwarded-For`; what stands before is what the sender wrote.
/// So the list is read from its end, as long as those who added to it are trusted. What cannot be read ends it: the request
/// then counts as that of the last proxy.
pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut sender = peer.to_canonical();
    if !is_trusted(sender) {
        return sender;
    }
    let lines = headers.get_all(X_FORWARDED_FOR).into_iter().filter_map(|line| line.to_str().ok());
    let said: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for one in said.into_iter().rev() {
        let Ok(address) = one.parse::<IpAddr>() else { break };
        sender = address.to_canonical();
        if !is_trusted(sender) {
            break;
        }
    }
    sender
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(peer: &str, said: &[&'static str], trusted: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for line in said {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let trusted: Vec<Network> = trusted.iter().map(|one| one.parse().unwrap()).collect();
        let found = of(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{said:?} from {peer}");
    }

    #[test]
    fn a_header_that_claims_another_address_is_believed_of_trusted_proxies_alone() {
        check("203.0.113.9", &["10.0.0.1"], &[], "203.0.113.9");
        check("203.0.113.9", &["10.0.0.1"], &["127.0.0.1"], "203.0.113.9");
        check("127.0.0.1", &["198.51.100.7"], &["127.0.0.1"], "198.51.100.7");
        check("127.0.0.1", &[], &["127.0.0.1"], "127.0.0.1");
    }

    #[test]
    fn what_the_sender_wrote_before_the_proxies_does_not_count() {
        let proxies = ["127.0.0.1", "10.0.0.0/8"];
        check("127.0.0.1", &["1.1.1.1, 198.51.100.7"], &proxies, "198.51.100.7");
        check("127.0.0.1", &["1.1.1.1", "198.51.100.7, 10.0.0.5"], &proxies, "198.51.100.7");
        check("127.0.0.1", &["1.1.1.1, nonsense, 10.0.0.5"], &proxies, "10.0.0.5");
        check("127.0.0.1", &["10.0.0.9, 10.0.0.5"], &proxies, "10.0.0.9");
    }
}
