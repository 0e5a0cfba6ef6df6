//! Where the codec differs from hyper's on purpose.

use super::{End, Seen, beside};

/// A difference that is wanted.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// Pieces that a response comes in.
    pub(super) example: fn() -> Vec<String>,
    /// Whether it is why these bytes mean one thing to us and another to hyper.
    pub(super) explains: fn(&[u8], &Seen, &Seen) -> bool,
}

pub(super) const TABLE: &[Known] = &[
    Known {
        name: "101 Switching Protocols",
        reason: "A server must not switch to a protocol that was not asked for (RFC 9110, 7.8). Hyper hands the \
                 connection to whoever made the request; only the handshake of a web socket asks, which is not here.",
        example: || whole("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        explains: |_, ours, hyper| ours.end == End::Protocol && ours.status.is_none() && hyper.status == Some(101),
    },
    Known {
        name: "a length beside a transfer coding",
        reason: "It ought to be handled as an error (RFC 9112, 6.3), since somebody on the way may have understood \
                 the length. The response is taken as hyper takes it; only its connection is not used again.",
        example: || whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        explains: |bytes, ours, hyper| {
            let bytes = bytes.to_ascii_lowercase();
            let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
            let given_up = Seen { end: End::Complete { reusable: false }, ..hyper.clone() };
            *ours == given_up && has("content-length") && has("transfer-encoding")
        },
    },
    Known {
        name: "the two longest lengths",
        reason: "Hyper keeps two numbers of 64 bits for meanings of its own. They are lengths like all others, though \
                 no such body will ever have come.",
        example: || whole("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"),
        explains: |bytes, ours, hyper| {
            let has = |digits: &str| bytes.windows(digits.len()).any(|window| window == digits.as_bytes());
            (has("18446744073709551614") || has("18446744073709551615"))
                && ours.end == End::Closed
                && hyper.end == End::Protocol
        },
    },
    Known {
        name: "a head over 64 KiB",
        reason: "Hyper looks at how long a head is only where it is not complete, so that it depends on how much is \
                 read at once. To us it is the same always.",
        example: || whole(&format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("A: {}\r\n", "b".repeat(997)).repeat(70))),
        explains: |bytes, ours, hyper| {
            bytes.len() > 64 << 10
                && ours.end == End::Protocol
                && ours.status.is_none()
                && matches!(hyper.end, End::Complete { .. })
        },
    },
    Known {
        name: "what is no head, in pieces, and cut off",
        reason: "Hyper looks again at what was no whole head only once there is a whole line, and calls it closed if \
                 the connection ends before. In one piece it sees what we see.",
        example: || vec!["HT".to_owned(), "ML".to_owned()],
        explains: |bytes, ours, hyper| {
            let closed = Seen { end: End::Closed, ..ours.clone() };
            ours.end == End::Protocol
                && ours.status.is_none()
                && *hyper == closed
                && beside::hyper(&[bytes], false) == *ours
        },
    },
];

fn whole(response: &str) -> Vec<String> {
    vec![response.to_owned()]
}

/// Whether one of the known differences is why these bytes mean one thing to us and another to hyper.
pub(super) fn explains(bytes: &[u8], ours: &Seen, hyper: &Seen) -> bool {
    TABLE.iter().any(|known| (known.explains)(bytes, ours, hyper))
}
