//! The rows of a data set, as compact as they can be: all values of the columns that are used in one text.

use std::borrow::Cow;
use std::collections::HashMap;

use proofload_api::Problem;
use proofload_api::data::Pick;
use proofload_api::problem::did_you_mean;
use proofload_plan::{DataSet, Format, Place};
use serde_json::value::RawValue;

/// A table, of the columns that its plan uses.
pub(crate) struct Table {
    /// The values, row by row.
    text: Box<str>,
    /// Where each value ends.
    ends: Box<[u32]>,
    columns: usize,
    rows: usize,
}

/// A table that grows.
struct Builder<'a> {
    set: &'a DataSet,
    path: &'a str,
    text: String,
    ends: Vec<u32>,
    rows: usize,
}

/// A row of a text where each line is an object.
type Row<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

impl Table {
    /// Reads a data set, or says what is wrong with it; `path` is its place in the spec.
    pub(crate) fn read(bytes: &[u8], set: &DataSet, path: &str) -> Result<Self, Vec<Problem>> {
        // Windows' editors begin a file with a mark of its encoding.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut builder = Builder { set, path, text: String::new(), ends: Vec::new(), rows: 0 };
        match set.format {
            _ if bytes.trim_ascii().is_empty() => {}
            Format::Csv => builder.read_csv(bytes)?,
            Format::Jsonl => builder.read_jsonl(bytes).map_err(|problem| vec![problem])?,
        }
        builder.check_rows().map_err(|problem| vec![problem])?;
        let Builder { text, ends, rows, .. } = builder;
        Ok(Self { text: text.into(), ends: ends.into(), columns: set.columns.len(), rows })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The value of a row in a column.
    pub(crate) fn value(&self, row: usize, column: usize) -> &str {
        let place = row * self.columns + column;
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[begin as usize..self.ends[place] as usize]
    }
}

impl Builder<'_> {
    fn problem(&self, expected: impl Into<String>, came: impl Into<String>) -> Problem {
        Problem::new(self.path, expected, came)
    }

    fn push(&mut self, value: &str) -> Result<(), Problem> {
        self.text.push_str(value);
        let end = u32::try_from(self.text.len());
        self.ends
            .push(end.map_err(|_| self.problem("less than 4 GiB of values in the columns that are used", "more"))?);
        Ok(())
    }

    fn read_csv(&mut self, bytes: &[u8]) -> Result<(), Vec<Problem>> {
        let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
        let header = reader.byte_headers().map_err(|error| vec![self.unreadable_row(&error, bytes)])?.clone();
        let names: Vec<Cow<'_, str>> = header.iter().map(|name| String::from_utf8_lossy(name.trim_ascii())).collect();
        let places: Vec<usize> = self.places(&names)?;
        let mut row = csv::ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut row) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(vec![self.unreadable_row(&error, bytes)]),
            }
            for place in &places {
                let Ok(value) = std::str::from_utf8(&row[*place]) else {
                    let line = line_of(bytes, row.position());
                    let came = format!("other bytes in the column {:?} of line {line}", names[*place]);
                    return Err(vec![self.problem("text in UTF-8", came)]);
                };
                self.push(value).map_err(|problem| vec![problem])?;
            }
            self.rows += 1;
        }
    }

    /// Where the columns that are used stand in a header.
    fn places(&self, names: &[Cow<'_, str>]) -> Result<Vec<usize>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut places = Vec::new();
        for column in &self.set.columns {
            let mut found = (0..names.len()).filter(|place| names[*place] == column.as_str());
            match (found.next(), found.next()) {
                (Some(place), None) => places.push(place),
                (Some(_), Some(_)) => {
                    problems.push(self.problem(format!("one column {column:?}"), "several of this name in line 1"));
                }
                (None, _) => problems.push(self.no_column(column, names.iter().map(AsRef::as_ref).collect(), 1)),
            }
        }
        if problems.is_empty() { Ok(places) } else { Err(problems) }
    }

    /// The names of columns are shown, but for those of a Secret: where its header is missing, they are values.
    fn no_column(&self, column: &str, mut known: Vec<&str>, line: usize) -> Problem {
        /// More would not be read.
        const SHOWN: usize = 20;
        if matches!(self.set.source.place, Place::Secret(_)) {
            let expected = format!("a column {column:?}, which a template uses");
            let came = format!("{} others in line {line}, which a Secret's error does not name", known.len());
            return self.problem(expected, came);
        }
        known.sort_unstable();
        let listed: Vec<&str> = known.iter().copied().take(SHOWN).collect();
        let more = if known.len() > SHOWN { format!(" and {} more", known.len() - SHOWN) } else { String::new() };
        let problem = self.problem(
            format!("a column {column:?}, which a template uses"),
            format!("the columns {}{more} in line {line}", listed.join(", ")),
        );
        match did_you_mean(column, known) {
            Some(near) => problem.hint(format!("did you mean {near:?}?")),
            None => problem,
        }
    }

    fn unreadable_row(&self, error: &csv::Error, bytes: &[u8]) -> Problem {
        match error.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = line_of(bytes, pos.as_ref());
                let expected = format!("{expected_len} values on each line, as on the first");
                self.problem(expected, format!("{len} on line {line}")).hint("a value with a comma in it needs quotes")
            }
            // Its words are of positions only: the rest of what can go wrong is not with bytes in memory.
            _ => self.problem("values separated by commas", "something else"),
        }
    }

    fn read_jsonl(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let set = self.set;
        for (i, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = i + 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row: Row<'_> = serde_json::from_slice(line).map_err(|error| self.bad_json(&error, number))?;
            for column in &set.columns {
                let Some(value) = row.get(column.as_str()) else {
                    return Err(self.no_column(column, row.keys().map(AsRef::as_ref).collect(), number));
                };
                let value = value.get();
                if value.starts_with('"') {
                    let text: String = serde_json::from_str(value).map_err(|error| self.bad_json(&error, number))?;
                    self.push(&text)?;
                } else {
                    self.push(value)?;
                }
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// Never the error's own words: they may hold a value.
    fn bad_json(&self, error: &serde_json::Error, line: usize) -> Problem {
        let came = match error.classify() {
            serde_json::error::Category::Data => "something else",
            serde_json::error::Category::Eof => "one that ends too early",
            _ => "no valid JSON",
        };
        let column = error.column();
        self.problem("a JSON object on each line", format!("{came} on line {line}, column {column}"))
    }

    fn check_rows(&self) -> Result<(), Problem> {
        if self.rows == 0 {
            let hint = match self.set.format {
                Format::Csv => "the first line names the columns and is no row",
                Format::Jsonl => "each line is a row",
            };
            return Err(self.problem("at least one row", "none").hint(hint));
        }
        let needs = self.set.needs.filter(|needs| self.set.pick == Pick::Unique && *needs > self.rows as u64);
        match needs {
            Some(needs) => Err(self
                .problem(format!("{needs} rows, each to be used once"), self.rows.to_string())
                .hint("add rows, plan less, or pick Sequential or Random")),
            None => Ok(()),
        }
    }
}

/// The line that a row begins on. The reader's own count is of what it had read before the row, blank lines not counted.
fn line_of(bytes: &[u8], position: Option<&csv::Position>) -> usize {
    let mut begin = position.map_or(0, csv::Position::byte) as usize;
    while bytes.get(begin).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        begin += 1;
    }
    1 + memchr::memchr_iter(b'\n', &bytes[..begin.min(bytes.len())]).count()
}
