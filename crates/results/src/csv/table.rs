//! A file of comma-separated values, as Python's `csv` writes it.

use csv::{Terminator, Writer, WriterBuilder};

use crate::words::safe;

/// A file with a header.
pub(super) struct Table(Writer<Vec<u8>>);

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut table = Self(WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new()));
        table.row(columns);
        table
    }

    pub(super) fn row<T: AsRef<[u8]>>(&mut self, fields: &[T]) {
        self.0.write_record(fields).expect("a vector takes any number of bytes, and rows are of one length");
    }

    pub(super) fn finish(self) -> String {
        let bytes = self.0.into_inner().expect("a vector takes any number of bytes");
        String::from_utf8(bytes).expect("what was written is text")
    }
}

/// Foreign text in a field: in one line, and no formula to any spreadsheet, in wide characters neither.
pub(super) fn foreign(text: &str) -> String {
    let text = safe(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text }
}
