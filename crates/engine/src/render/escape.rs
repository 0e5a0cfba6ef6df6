//! What is done to a value so that it fits where it is put.

use std::fmt;

use proofload_plan::Escape;
use serde::de::IgnoredAny;

/// Adds a value.
pub(super) fn push(out: &mut Vec<u8>, value: &str, escape: Escape) {
    match escape {
        Escape::None => out.extend_from_slice(value.as_bytes()),
        Escape::Percent => percent(out, value, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        Escape::Header => percent(out, value, |byte| !byte.is_ascii_control()),
        Escape::Json => json(out, value),
        Escape::JsonValue if is_json(value) => out.extend_from_slice(value.as_bytes()),
        Escape::JsonValue => {
            out.push(b'"');
            json(out, value);
            out.push(b'"');
        }
    }
}

fn percent(out: &mut Vec<u8>, value: &str, stands: impl Fn(u8) -> bool) {
    for byte in value.bytes() {
        if stands(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn digit(value: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(value)]
}

fn json(out: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]),
            _ => out.push(byte),
        }
    }
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(value).is_ok()
}

/// A short text that needs no allocation: a number, a UUID.
pub(crate) struct Small {
    bytes: [u8; 40],
    length: usize,
}

impl Small {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 40], length: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        // Whole texts are written to it, so that it holds one.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Small {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}
