//! Follows a chunked body byte by byte, to find its end and its data.

use super::head::MAX_HEADERS;
use super::response::Violation;

/// The most bytes of all chunk extensions of a response together, and of all of its trailers: there is no use for them.
const MAX_SKIPPED: usize = 16 << 10;

/// The most trailer lines.
const MAX_TRAILERS: usize = MAX_HEADERS;

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At a chunk's size.
    Begin,
    /// In a chunk's size, after a digit.
    Size,
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
    /// Bytes of extensions.
    skipped: u16,
    /// Lines of trailers.
    lines: u16,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Begin, left: 0, skipped: 0, lines: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Follows the body through these bytes; how many are its own. Fewer than all only at its end. Its data is handed on;
    /// trailers are held until they are complete, since only then it is known whether they are any.
    pub(super) fn follow(
        &mut self,
        bytes: &[u8],
        trailers: &mut Vec<u8>,
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, Violation> {
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
                self.at = self.step(bytes[used], trailers)?;
                used += 1;
            }
        }
        Ok(used)
    }

    fn step(&mut self, byte: u8, trailers: &mut Vec<u8>) -> Result<At, Violation> {
        Ok(match (self.at, byte) {
            (At::Begin | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (At::Size | At::SizeSpace, b' ' | b'\t') => At::SizeSpace,
            (At::Size | At::SizeSpace, b';') => At::Extension,
            (At::Size | At::SizeSpace | At::Extension, b'\r') => At::SizeLf,
            (At::Begin | At::Size | At::SizeSpace, _) => return Err(Violation("a bad chunk size")),
            (At::Extension, b'\n') => return Err(Violation("a line feed in a chunk extension")),
            (At::Extension, _) => self.skip()?,
            (At::SizeLf, b'\n') if self.left == 0 => At::Trailer,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Begin,
            (At::Trailer, b'\r') if trailers.is_empty() => At::LastLf,
            (At::Trailer, b'\r') => hold(trailers, byte, At::LastLf)?,
            (At::TrailerLine, b'\r') => hold(trailers, byte, At::TrailerLf)?,
            (At::Trailer | At::TrailerLine, _) => hold(trailers, byte, At::TrailerLine)?,
            (At::TrailerLf, b'\n') => self.trailer(trailers)?,
            (At::LastLf, b'\n') if trailers.is_empty() => At::Done,
            (At::LastLf, b'\n') => {
                hold(trailers, byte, At::Done)?;
                self.check(trailers)?
            }
            (At::DataCr | At::DataLf, _) => return Err(Violation("a chunk longer than its size")),
            (At::SizeLf | At::TrailerLf | At::LastLf, _) => return Err(Violation("a carriage return alone")),
            (At::Data | At::Done, _) => unreachable!("data is counted, not stepped through"),
        })
    }

    /// Leading zeros are allowed, and cost nothing.
    fn digit(&mut self, byte: u8) -> Result<At, Violation> {
        let digit = (byte as char).to_digit(16).unwrap_or_default();
        let size = self.left.checked_mul(16).ok_or(Violation("a chunk size over 64 bits"))?;
        self.left = size + u64::from(digit);
        Ok(At::Size)
    }

    fn skip(&mut self) -> Result<At, Violation> {
        self.skipped += 1;
        let fits = usize::from(self.skipped) < MAX_SKIPPED;
        if fits { Ok(At::Extension) } else { Err(Violation("16 KiB of chunk extensions or more")) }
    }

    /// A trailer line is complete.
    fn trailer(&mut self, trailers: &mut Vec<u8>) -> Result<At, Violation> {
        self.lines += 1;
        if usize::from(self.lines) > MAX_TRAILERS {
            return Err(Violation("over 256 trailers"));
        }
        hold(trailers, b'\n', At::Trailer)
    }

    /// Whether what came where trailers may be are trailers, each on a line of its own.
    fn check(&self, trailers: &mut Vec<u8>) -> Result<At, Violation> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_TRAILERS];
        match httparse::parse_headers(trailers, &mut headers[..usize::from(self.lines)]) {
            Ok(httparse::Status::Complete(_)) => trailers.clear(),
            Err(httparse::Error::TooManyHeaders) => return Err(Violation("a bare line feed in a trailer")),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Violation("a bad trailer")),
        }
        Ok(At::Done)
    }
}

fn hold(trailers: &mut Vec<u8>, byte: u8, next: At) -> Result<At, Violation> {
    trailers.push(byte);
    if trailers.len() < MAX_SKIPPED { Ok(next) } else { Err(Violation("16 KiB of trailers or more")) }
}

/// What comes of a chunked body in these pieces: how many bytes are its own, whether it is complete, its data.
#[cfg(any(fuzzing, test))]
pub(crate) fn chunks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(usize, bool, Vec<u8>), Violation> {
    let (mut chunks, mut trailers, mut body) = (Chunks::new(), Vec::new(), Vec::new());
    let mut used = 0;
    for piece in pieces {
        let here = chunks.follow(piece, &mut trailers, |data| body.extend_from_slice(data))?;
        assert!(here == piece.len() || chunks.is_done(), "what is left over comes after the body");
        used += here;
    }
    Ok((used, chunks.is_done(), body))
}
