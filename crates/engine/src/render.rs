//! Texts that are filled in for each request: the plan's templates, with everything in place that is the same for all
//! users.

mod escape;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fastrand::Rng;
use proofload_plan::{Escape, Part, Plan, Template, Value};

use crate::materials::Materials;

pub(crate) use escape::Small;

/// A template, made ready. What it says may be secret, so that it cannot be printed.
#[derive(Default)]
pub(crate) struct Text(Vec<Piece>);

enum Piece {
    Literal(Vec<u8>),
    Value(Source, Escape),
    Base64(Text),
}

/// What differs from user to user, or from request to request.
enum Source {
    Data(usize, usize),
    Variable(usize),
    Uuid,
    UserId,
    Iteration,
    Int(i64, i64),
    Choice(Vec<String>),
    Timestamp,
}

/// What one user can fill in.
pub(crate) struct Known<'a> {
    pub(crate) materials: &'a Materials,
    /// The row that the user has of each data set.
    pub(crate) rows: &'a [Option<usize>],
    pub(crate) variables: &'a Variables,
    pub(crate) choices: &'a mut Rng,
    /// From 1.
    pub(crate) user: u64,
    /// From 1.
    pub(crate) iteration: u64,
    /// Whether what is not set is empty; else it is an error.
    pub(crate) is_lenient: bool,
}

/// A text needs a value that nothing has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unset;

/// What steps have extracted, as one user knows it.
pub(crate) struct Variables {
    /// What setup extracted.
    setup: Arc<[(u32, String)]>,
    own: Box<[Slot]>,
}

/// A user's own knowledge of a variable.
#[derive(Clone, PartialEq, Eq)]
enum Slot {
    /// As setup left it.
    Untouched,
    Unset,
    Set(Box<str>),
}

impl Text {
    /// A template of a plan, with what its materials give; says what is wrong with it.
    pub(crate) fn new(template: &Template, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        let mut text = Self::default();
        for part in &template.0 {
            match part {
                Part::Text(literal) => text.push_literal(literal.as_bytes()),
                Part::Value(value, escape) => text.push_value(value, *escape, plan, materials)?,
                Part::Base64(inner) => {
                    let inner = Self::new(inner, plan, materials)?;
                    match inner.as_literal() {
                        Some(literal) => text.push_literal(BASE64_STANDARD.encode(literal).as_bytes()),
                        None => text.0.push(Piece::Base64(inner)),
                    }
                }
            }
        }
        Ok(text)
    }

    pub(crate) fn push_literal(&mut self, bytes: &[u8]) {
        if let Some(Piece::Literal(literal)) = self.0.last_mut() {
            literal.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            self.0.push(Piece::Literal(bytes.to_vec()));
        }
    }

    /// Adds another text at the end.
    pub(crate) fn append(&mut self, other: Self) {
        for piece in other.0 {
            match piece {
                Piece::Literal(literal) => self.push_literal(&literal),
                piece => self.0.push(piece),
            }
        }
    }

    fn push_value(&mut self, value: &Value, escape: Escape, plan: &Plan, all: &Materials) -> Result<(), String> {
        let source = match value {
            Value::RunId => {
                self.push_fixed(&plan.run, escape);
                return Ok(());
            }
            Value::Env(i) => {
                let value = all.env.get(*i).ok_or_else(|| format!("it has no variable {i} of the environment"))?;
                self.push_fixed(value, escape);
                return Ok(());
            }
            Value::Data(set, column) if plan.data.get(*set).is_none_or(|set| *column >= set.columns.len()) => {
                return Err(format!("it has no column {column} of a data set {set}"));
            }
            Value::Variable(i) if *i >= plan.variables.len() => return Err(format!("it has no variable {i}")),
            Value::RandomInt(from, to) if from > to => return Err(format!("no number is from {from} to {to}")),
            Value::RandomChoice(choices) if choices.is_empty() => return Err("nothing to choose from".to_owned()),
            Value::Data(set, column) => Source::Data(*set, *column),
            Value::Variable(i) => Source::Variable(*i),
            Value::Uuid => Source::Uuid,
            Value::UserId => Source::UserId,
            Value::Iteration => Source::Iteration,
            Value::RandomInt(from, to) => Source::Int(*from, *to),
            Value::RandomChoice(choices) => Source::Choice(choices.clone()),
            Value::Timestamp => Source::Timestamp,
        };
        self.0.push(Piece::Value(source, escape));
        Ok(())
    }

    fn push_fixed(&mut self, value: &str, escape: Escape) {
        let mut bytes = Vec::new();
        escape::push(&mut bytes, value, escape);
        self.push_literal(&bytes);
    }

    /// The text, if it is the same for everyone.
    pub(crate) fn as_literal(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(&[]),
            [Piece::Literal(literal)] => Some(literal),
            _ => None,
        }
    }

    /// Adds the text, filled in.
    pub(crate) fn render(&self, known: &mut Known<'_>, out: &mut Vec<u8>) -> Result<(), Unset> {
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => out.extend_from_slice(literal),
                Piece::Value(source, escape) => source.render(*escape, known, out)?,
                Piece::Base64(inner) => {
                    let begin = out.len();
                    inner.render(known, out)?;
                    let encoded = BASE64_STANDARD.encode(&out[begin..]);
                    out.truncate(begin);
                    out.extend_from_slice(encoded.as_bytes());
                }
            }
        }
        Ok(())
    }
}

impl Source {
    fn render(&self, escape: Escape, known: &mut Known<'_>, out: &mut Vec<u8>) -> Result<(), Unset> {
        let mut small = Small::new();
        // Writing to it cannot fail: no number is longer.
        let _ = match self {
            Self::Data(set, column) => {
                let row = known.rows.get(*set).copied().flatten();
                let value = row.map(|row| known.materials.tables[*set].value(row, *column));
                return push_known(value, escape, known.is_lenient, out);
            }
            Self::Variable(i) => return push_known(known.variables.get(*i), escape, known.is_lenient, out),
            Self::Choice(choices) => {
                escape::push(out, &choices[known.choices.usize(..choices.len())], escape);
                return Ok(());
            }
            Self::Uuid => write_uuid(&mut small, known.choices.u128(..)),
            Self::UserId => write!(small, "{}", known.user),
            Self::Iteration => write!(small, "{}", known.iteration),
            Self::Int(from, to) => write!(small, "{}", known.choices.i64(*from..=*to)),
            Self::Timestamp => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                write!(small, "{}", since.as_millis())
            }
        };
        escape::push(out, small.as_str(), escape);
        Ok(())
    }
}

fn push_known(value: Option<&str>, escape: Escape, is_lenient: bool, out: &mut Vec<u8>) -> Result<(), Unset> {
    match value {
        Some(value) => escape::push(out, value, escape),
        None if is_lenient => {}
        None => return Err(Unset),
    }
    Ok(())
}

/// A UUID of version 4 (RFC 9562) of these bits.
fn write_uuid(out: &mut Small, bits: u128) -> std::fmt::Result {
    let bits = (bits & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let group = |shift: u32| (bits >> shift) as u16;
    let (first, last) = ((bits >> 96) as u32, bits as u64 & 0xFFFF_FFFF_FFFF);
    write!(out, "{first:08x}-{:04x}-{:04x}-{:04x}-{last:012x}", group(80), group(64), group(48))
}

impl Variables {
    /// So many variables, of which setup has set some.
    pub(crate) fn new(count: usize, setup: Arc<[(u32, String)]>) -> Self {
        Self { setup, own: vec![Slot::Untouched; count].into() }
    }

    pub(crate) fn get(&self, variable: usize) -> Option<&str> {
        match &self.own[variable] {
            Slot::Set(value) => Some(value),
            Slot::Unset => None,
            Slot::Untouched => {
                self.setup.iter().find(|(i, _)| *i as usize == variable).map(|(_, value)| value.as_str())
            }
        }
    }

    /// Sets a variable, or unsets it.
    pub(crate) fn set(&mut self, variable: usize, value: Option<String>) {
        self.own[variable] = value.map_or(Slot::Unset, |value| Slot::Set(value.into()));
    }

    /// What this user has set itself.
    pub(crate) fn own(&self) -> Vec<(u32, String)> {
        let set = |(i, slot): (usize, &Slot)| match slot {
            Slot::Set(value) => Some((i as u32, value.to_string())),
            _ => None,
        };
        self.own.iter().enumerate().filter_map(set).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
