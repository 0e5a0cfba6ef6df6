//! Follows a chunked body byte by byte, to find its end and its data.

use super::response::Violation;

/// The most bytes of all chunk extensions of a response together, and of all of its trailers: there is no use for them.
const MAX_SKIPPED: u32 = 64 << 10;

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In a chunk's size, of which so many digits have come.
    Size(u8),
    /// In white space after the size.
    SizeSpace,
    /// In an extension.
    Extension,
    /// At the line feed after the size line.
    SizeLf,
    /// In a chunk's data.
    Data,
    /// After a chunk's data.
    DataCr,
    DataLf,
    /// At the begin of a trailer line.
    Trailer,
    /// In a trailer line.
    TrailerLine,
    /// At the line feed after a trailer line.
    TrailerLf,
    /// At the last line feed.
    LastLf,
    Done,
}

/// A chunked body being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// The size being read, then what is left of the chunk.
    left: u64,
    /// Bytes of extensions and trailers.
    skipped: u32,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size(0), left: 0, skipped: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Follows the body through these bytes; how many are its own. Fewer than all only at its end. Its data is handed on.
    pub(super) fn follow(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Violation> {
        let mut used = 0;
        while used < bytes.len() && self.at != At::Done {
            if self.at == At::Data {
                let here = self.left.min((bytes.len() - used) as u64);
                self.left -= here;
                data(&bytes[used..used + here as usize]);
                used += here as usize;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.at = self.step(bytes[used])?;
                used += 1;
            }
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8) -> Result<At, Violation> {
        Ok(match (self.at, byte) {
            (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(digits, byte)?,
            (At::Size(1..) | At::SizeSpace, b' ' | b'\t') => At::SizeSpace,
            (At::Size(1..) | At::SizeSpace, b';') => At::Extension,
            (At::Size(1..) | At::SizeSpace | At::Extension, b'\r') => At::SizeLf,
            (At::Size(_) | At::SizeSpace, _) => return Err(Violation("a bad chunk size")),
            (At::Extension, b'\n') => return Err(Violation("a line feed in a chunk extension")),
            (At::Extension, _) => self.skip(At::Extension)?,
            (At::SizeLf, b'\n') if self.left == 0 => At::Trailer,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => {
                self.left = 0;
                At::Size(0)
            }
            (At::Trailer, b'\r') => At::LastLf,
            (At::TrailerLine, b'\r') => At::TrailerLf,
            (At::Trailer | At::TrailerLine, b'\n') => return Err(Violation("a bare line feed in a trailer")),
            (At::Trailer | At::TrailerLine, _) => self.skip(At::TrailerLine)?,
            (At::TrailerLf, b'\n') => At::Trailer,
            (At::LastLf, b'\n') => At::Done,
            (At::DataCr | At::DataLf, _) => return Err(Violation("a chunk longer than its size")),
            (At::SizeLf | At::TrailerLf | At::LastLf, _) => return Err(Violation("a carriage return alone")),
            (At::Data | At::Done, _) => unreachable!("data is counted, not stepped through"),
        })
    }

    fn digit(&mut self, digits: u8, byte: u8) -> Result<At, Violation> {
        let digit = (byte as char).to_digit(16).unwrap_or_default();
        let size = self.left.checked_mul(16).ok_or(Violation("a chunk size over 64 bits"))?;
        self.left = size + u64::from(digit);
        // Leading zeros are allowed, but not without end.
        digits.checked_add(1).map(At::Size).ok_or(Violation("a bad chunk size"))
    }

    fn skip(&mut self, next: At) -> Result<At, Violation> {
        self.skipped += 1;
        if self.skipped > MAX_SKIPPED { Err(Violation("over 64 KiB of extensions or trailers")) } else { Ok(next) }
    }
}
