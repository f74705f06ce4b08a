//! A WebSocket that passes through: what the server says frame by frame, what the client says as it is.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{LARGEST, OVERSIZED, Shared, StreamTrouble};

/// Carries both ways until one end goes or the stream is cut. `told` has already come from the server.
pub(super) async fn carry(
    shared: &Shared,
    mut client: TcpStream,
    upstream: TcpStream,
    mut told: Vec<u8>,
) -> io::Result<()> {
    let cut = shared.cut();
    let trouble = shared.streams.subscribe();
    let (mut from_server, mut to_server) = upstream.into_split();
    let mut said = [0; 4_096];
    loop {
        while let Some(length) = frame_length(&told) {
            let frame: Vec<u8> = told.drain(..length).collect();
            let trouble = *trouble.borrow();
            match trouble {
                Some(StreamTrouble::Mute) => {}
                Some(StreamTrouble::Twice) => client.write_all(&[&frame[..], &frame].concat()).await?,
                Some(StreamTrouble::Garbage) => {
                    client.write_all(&text_frame(br#"{"frame":"order","client_or"#)).await?;
                    shared.streams.send_replace(None);
                }
                Some(StreamTrouble::Oversized) => {
                    client.write_all(&text_frame(&vec![b' '; OVERSIZED])).await?;
                    shared.streams.send_replace(None);
                }
                None => client.write_all(&frame).await?,
            }
        }
        if told.len() > LARGEST {
            return Err(io::Error::other("a frame that is too long"));
        }
        tokio::select! {
            () = cut.cancelled() => return client.set_zero_linger(),
            read = from_server.read_buf(&mut told) => if read? == 0 { return Ok(()) },
            read = client.read(&mut said) => match read? {
                0 => return Ok(()),
                count => to_server.write_all(&said[..count]).await?,
            },
        }
    }
}

/// How long the first frame is, once all of it is there (RFC 6455, 5.2; a server does not mask).
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let (head, payload) = match *bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let length = usize::try_from(payload).ok()?.checked_add(head)?;
    (bytes.len() >= length).then_some(length)
}

fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        short @ 0..=125 => frame.push(u8::try_from(short).unwrap_or(0)),
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_long_as_they_say() {
        for payload in [0, 1, 125, 126, 70_000] {
            let frame = text_frame(&vec![b'x'; payload]);
            assert_eq!(frame_length(&frame), Some(frame.len()));
            assert_eq!(frame_length(&frame[..frame.len() - 1]), None);
        }
        assert_eq!(frame_length(&[0x81, 126, 0, 3, b'a', b'b', b'c', 0x81]), Some(7));
    }
}
