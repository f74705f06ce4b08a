//! Where a message of HTTP/1.1 begins and ends.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// A request or an answer, whole and as it came.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Where the body begins.
    body_at: usize,
    /// What came after it on the same connection.
    pub(super) rest: Vec<u8>,
}

impl Message {
    /// An answer of our own.
    pub(super) fn answer(status: &str, content_type: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
        let body_at = head.len();
        Self { bytes: [head.as_bytes(), body].concat(), body_at, rest: Vec::new() }
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }

    /// Whether it is a request that changes something.
    pub(super) fn is_change(&self) -> bool {
        !self.bytes.starts_with(b"GET ")
    }

    /// Whether it is an answer after which another protocol is spoken.
    pub(super) fn is_upgrade(&self) -> bool {
        self.bytes.starts_with(b"HTTP/1.1 101")
    }
}

/// Reads a request; `None` when the client has no more of them.
pub(super) async fn read_request(from: &mut TcpStream, most: usize) -> io::Result<Option<Message>> {
    read(from, most).await
}

/// Reads an answer; `None` when the server closes in its place.
pub(super) async fn read_response(from: &mut TcpStream, most: usize) -> io::Result<Option<Message>> {
    read(from, most).await
}

async fn read(from: &mut TcpStream, most: usize) -> io::Result<Option<Message>> {
    let mut bytes = Vec::new();
    let mut end = None;
    loop {
        if end.is_none() {
            end = extent(&bytes);
        }
        if let Some((body_at, end)) = end.filter(|(_, end)| bytes.len() >= *end) {
            let rest = bytes.split_off(end);
            return Ok(Some(Message { bytes, body_at, rest }));
        }
        if bytes.len() > most {
            return Err(io::Error::other("a message that is too long"));
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

/// Where the body begins and where it ends, once that is known.
fn extent(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let value = |wanted: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    if value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Some((head, head + chunks(&bytes[head..])?));
    }
    let length = value("content-length").and_then(|length| length.parse::<usize>().ok());
    Some((head, head + length.unwrap_or(0)))
}

/// How long a body in chunks is, once all of it is there (RFC 9112, 7.1; nobody here sends trailers).
fn chunks(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body.get(at..)?.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        // The line, what it counts, and the end of that.
        at = at.checked_add(line + 2)?.checked_add(size)?.checked_add(2)?;
        if size == 0 {
            return (body.len() >= at).then_some(at);
        }
    }
}

/// The same JSON with `NaN` for every price.
pub(super) fn without_prices(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let mut parts = text.split("price\":\"");
    let mut spoilt = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after = part.find('"').map_or("\"", |at| &part[at..]);
        spoilt += "price\":\"NaN";
        spoilt += after;
    }
    spoilt.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_body() {
        assert_eq!(extent(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n"), None);
        let whole = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET";
        assert_eq!(extent(whole), Some((38, 41)));
        assert_eq!(extent(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((27, 27)));
    }

    #[test]
    fn a_body_in_chunks_ends_with_the_empty_one() {
        let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\nHTTP";
        assert_eq!(extent(whole), Some((47, whole.len() - 4)));
        for cut in 47..whole.len() - 4 {
            assert_eq!(extent(&whole[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn every_price_is_spoilt_and_nothing_else() {
        let spoilt = without_prices(br#"{"limit_price":"90","fills":[{"price":"1.5","quantity":"2"}]}"#);
        let text = String::from_utf8(spoilt).unwrap();
        assert_eq!(text, r#"{"limit_price":"NaN","fills":[{"price":"NaN","quantity":"2"}]}"#);
    }
}
