//! Sums of distributions in their compact form: what is added is read from its bytes straight into the sum, so that the
//! answers of hundreds of runners need neither an array each nor a pass over it.
//!
//! The compact form is HDR histogram's V2: a header of 40 bytes, then the counts of the buckets in order, each in 1 to 9
//! bytes; a negative number stands for so many empty buckets.

use super::{EncodedTimes, InvalidHistogram, LONGEST, Times};

const HEADER: usize = 40;
/// HDR histogram's V2, not compressed.
const COOKIE: u64 = 0x1c84_9313;
/// A conversion ratio of one, as the bits of a float.
const NO_CONVERSION: u64 = 0x3ff0_0000_0000_0000;

/// A sum of distributions.
#[derive(Debug)]
pub(crate) struct Sum {
    digits: u8,
    /// Each bucket; the last one is for counts that are in none. Of a sum of nothing there is none.
    counts: Vec<u64>,
    /// No bucket from here on has a count.
    used: usize,
}

impl Sum {
    /// A sum of nothing.
    pub(crate) fn new(digits: u8) -> Self {
        Self { digits, counts: Vec::new(), used: 0 }
    }

    /// Adds a distribution, which must have as many digits. Exact. What cannot be added leaves the sum as it was.
    pub(crate) fn add(&mut self, encoded: &EncodedTimes) -> Result<(), InvalidHistogram> {
        let invalid = |came: String| InvalidHistogram { expected: self.digits, came };
        if encoded.0.is_empty() {
            return Ok(());
        }
        check_header(&encoded.0, self.digits).map_err(invalid)?;
        if self.counts.is_empty() {
            let buckets = Layout::of(self.digits).index(LONGEST) + 1;
            self.counts = vec![0; buckets + 1];
        }
        let mut overflows = false;
        let walked = walk(&encoded.0[HEADER..], &mut self.counts, |sum, count| {
            let (more, overflow) = sum.overflowing_add(count);
            overflows |= overflow;
            more
        });
        let wrong = match walked {
            _ if self.counts.last() != Some(&0) => "values over an hour",
            Ok(_) if overflows => "counts that are no counts",
            Ok(end) => {
                self.used = self.used.max(end.min(self.counts.len() - 1));
                return Ok(());
            }
            Err(wrong) => wrong,
        };
        self.take_away(encoded);
        Err(InvalidHistogram { expected: self.digits, came: wrong.to_owned() })
    }

    /// Takes away what was added before, as far as it could be read.
    pub(crate) fn take_away(&mut self, encoded: &EncodedTimes) {
        let counts = encoded.0.get(HEADER..).unwrap_or_default();
        if self.counts.is_empty() {
            return;
        }
        // Ends where adding has ended.
        let _ = walk(counts, &mut self.counts, u64::wrapping_sub);
    }

    /// The sum as a distribution.
    pub(crate) fn finish(&self) -> Times {
        let layout = Layout::of(self.digits);
        let mut times = Times::with_digits(self.digits);
        let counts = &self.counts[..self.used];
        let last = counts.iter().rposition(|count| *count > 0);
        // From the longest on, so that the histogram grows once.
        for (index, count) in counts.iter().enumerate().rev().filter(|(_, count)| **count > 0) {
            // The longest time is the end of its bucket, as it is of a histogram that was read as a whole.
            let value = if Some(index) == last { layout.value(index + 1) - 1 } else { layout.value(index) };
            times.0.record_n(value, *count).expect("a histogram that resizes itself holds any value up to an hour");
        }
        times
    }
}

/// Cookie, length of what follows, normalizing offset, digits (4 bytes each), lowest, highest, conversion ratio (8 bytes
/// each).
fn check_header(bytes: &[u8], digits: u8) -> Result<(), String> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Err("a cut-off header".to_owned()) };
    let field = |from: usize, to: usize| header[from..to].iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let (cookie, length, offset, came) = (field(0, 4), field(4, 8), field(8, 12), field(12, 16));
    let (lowest, highest, ratio) = (field(16, 24), field(24, 32), field(32, 40));
    if cookie != COOKIE || offset != 0 || ratio != NO_CONVERSION {
        return Err("another format".to_owned());
    }
    if length != (bytes.len() - HEADER) as u64 {
        return Err(format!("{} bytes instead of {length}", bytes.len() - HEADER));
    }
    if came != u64::from(digits) {
        return Err(format!("{came} digits"));
    }
    if lowest != 1 || highest > 4 * LONGEST {
        return Err(format!("values from {lowest} to {highest}"));
    }
    Ok(())
}

/// Goes through a compact form and changes the bucket of each count that it has; where it ends. Nearly without branches
/// that depend on the bytes: there are hundreds of millions of them in the answers of hundreds of runners.
fn walk(bytes: &[u8], counts: &mut [u64], mut change: impl FnMut(u64, u64) -> u64) -> Result<usize, &'static str> {
    let nowhere = counts.len() - 1;
    let (mut index, mut at) = (0_usize, 0);
    while let Some(first) = bytes.get(at) {
        // Zigzag: the lowest bit is the sign. A negative number is so many empty buckets.
        let (half, is_count) = if *first < 0x80 {
            at += 1;
            (u64::from(*first >> 1), u64::from(first & 1).wrapping_sub(1))
        } else {
            let number = long_number(bytes, &mut at)?;
            let (half, is_count) = (number >> 1, (number & 1).wrapping_sub(1));
            if half & !is_count > nowhere as u64 {
                return Err("more empty buckets than there are");
            }
            (half, is_count)
        };
        let sum = &mut counts[index.min(nowhere)];
        *sum = change(*sum, half & is_count);
        index += 1 + (half & !is_count) as usize;
    }
    Ok(index)
}

/// A number of more than one byte: 7 bits of each, the lowest first; a ninth one has 8.
fn long_number(bytes: &[u8], at: &mut usize) -> Result<u64, &'static str> {
    let mut number = 0;
    for place in 0..9 {
        let byte = *bytes.get(*at).ok_or("a cut-off count")?;
        *at += 1;
        if place == 8 {
            return Ok(number | u64::from(byte) << 56);
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    Ok(number)
}

/// Which values are in which bucket: HDR histogram's layout for a lowest value of 1.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Half of the values that are told apart exactly, as a power of two.
    half: u32,
}

impl Layout {
    fn of(digits: u8) -> Self {
        // 2 x 10^digits values are told apart exactly, rounded up to a power of two.
        Self { half: (2 * 10_u64.pow(u32::from(digits))).next_power_of_two().ilog2() - 1 }
    }

    fn index(self, value: u64) -> usize {
        let bucket = (value | ((2 << self.half) - 1)).ilog2() - self.half;
        let within = value >> bucket;
        ((u64::from(bucket) << self.half) + within) as usize
    }

    /// The lowest value of a bucket.
    fn value(self, index: usize) -> u64 {
        let bucket = (index >> self.half).saturating_sub(1);
        ((index - (bucket << self.half)) as u64) << bucket
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    use super::super::{DIGITS, TIMELINE_DIGITS};
    use super::*;

    fn times(digits: u8, samples: &[u64]) -> Times {
        let mut times = Times::with_digits(digits);
        for micros in samples {
            times.record(*micros);
        }
        times
    }

    /// As the library reads it.
    fn read(encoded: &EncodedTimes) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut &encoded.0[..]).unwrap()
    }

    #[test]
    fn the_layout_is_the_librarys() {
        for digits in [DIGITS, TIMELINE_DIGITS] {
            let layout = Layout::of(digits);
            let mut histogram = Histogram::<u64>::new(digits).unwrap();
            histogram.auto(true);
            histogram.record(LONGEST).unwrap();
            for shift in 0..32 {
                for value in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + 1, 3 << shift] {
                    let index = layout.index(value);
                    assert_eq!(layout.value(index), histogram.lowest_equivalent(value), "{value}");
                    assert_eq!(layout.value(index + 1) - 1, histogram.highest_equivalent(value), "{value}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_sum_is_what_the_library_makes_of_it(
            parts in proptest::collection::vec(proptest::collection::vec(0_u64..=LONGEST, 1..60), 1..6),
            shift in 0_u32..30,
            digits in TIMELINE_DIGITS..=DIGITS,
        ) {
            let mut sum = Sum::new(digits);
            let mut expected = Histogram::<u64>::new(digits).unwrap();
            expected.auto(true);
            for part in &parts {
                let part: Vec<u64> = part.iter().map(|micros| micros >> shift).collect();
                let encoded = times(digits, &part).encode();
                sum.add(&encoded).unwrap();
                expected.add(read(&encoded)).unwrap();
            }
            prop_assert_eq!(sum.finish().0, expected);
        }

        #[test]
        fn what_cannot_be_added_leaves_no_trace(mut bytes in proptest::collection::vec(any::<u8>(), 40..120)) {
            let some = times(DIGITS, &[LONGEST, 5, 1000]).encode();
            bytes[..HEADER].copy_from_slice(&some.0[..HEADER]);
            let length = (bytes.len() - HEADER) as u32;
            bytes[4..8].copy_from_slice(&length.to_be_bytes());
            let mut sum = Sum::new(DIGITS);
            sum.add(&some).unwrap();
            let before = sum.counts.clone();
            if sum.add(&EncodedTimes(bytes.clone())).is_ok() {
                sum.finish();
                sum.take_away(&EncodedTimes(bytes));
            }
            prop_assert_eq!(sum.counts, before);
        }
    }
}
