//! Answers as bytes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::wire::Wire;

/// How much of a large body is written at once.
pub(crate) const PIECE: usize = 16 << 10;
pub(crate) static FILL: [u8; PIECE] = [b'x'; PIECE];

/// A complete answer with a short body. 204 and 304 have none, nor has the answer to HEAD.
pub(crate) fn answer(status: u16, content_type: &str, body: &[u8], is_head: bool, close: bool) -> Vec<u8> {
    with_headers(status, &[("Content-Type", content_type)], body, is_head, close)
}

/// An answer as [`answer`] makes it, with any headers.
pub(crate) fn with_headers(status: u16, headers: &[(&str, &str)], body: &[u8], is_head: bool, close: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As Asked",
    };
    let mut bytes = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    let has_body = !matches!(status, 204 | 304);
    for (name, value) in headers {
        // What a request asked for must not become a header of its own.
        let value = value.replace(char::is_control, " ");
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if has_body {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(if close { b"Connection: close\r\n\r\n".as_slice() } else { b"\r\n" });
    if has_body && !is_head {
        bytes.extend(body);
    }
    bytes
}

/// A body of so many bytes, with `Content-Length`.
pub(crate) async fn sized(stream: &mut Wire, size: usize, is_head: bool) -> std::io::Result<()> {
    let mut first = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    if is_head {
        return stream.write_all(&first).await;
    }
    let here = size.min(PIECE);
    first.extend(&FILL[..here]);
    stream.write_all(&first).await?;
    let mut left = size - here;
    while left > 0 {
        let piece = left.min(PIECE);
        stream.write_all(&FILL[..piece]).await?;
        left -= piece;
    }
    Ok(())
}

/// A body of so many bytes in chunks, with an extension and a trailer, which a client must skip.
pub(crate) async fn chunked(stream: &mut Wire, size: usize, is_head: bool) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    if is_head {
        return Ok(());
    }
    let mut left = size;
    while left > 0 {
        let piece = left.min(PIECE);
        // One extension is enough: clients bound how much of them they skip.
        let extension = if left == size { ";part=1" } else { "" };
        let mut chunk = format!("{piece:x}{extension}\r\n").into_bytes();
        chunk.extend(&FILL[..piece]);
        chunk.extend(b"\r\n");
        stream.write_all(&chunk).await?;
        left -= piece;
    }
    stream.write_all(b"0\r\nX-Sum: 0\r\n\r\n").await
}

/// A body in ten pieces over a time.
pub(crate) async fn slow(stream: &mut Wire, time: Duration, is_head: bool) -> std::io::Result<()> {
    let begin = Instant::now();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await?;
    for piece in 1..=if is_head { 0 } else { 10 } {
        tokio::time::sleep_until(begin + time * piece / 10).await;
        stream.write_all(b"x").await?;
    }
    Ok(())
}
