//! Aligned columns of text.

use anstyle::{AnsiColor, Style};

/// A piece of text and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    text: String,
    style: Style,
}

impl Piece {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    pub(crate) fn bold(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new().bold() }
    }

    pub(crate) fn dim(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new().dimmed() }
    }

    pub(crate) fn colored(text: impl Into<String>, color: AnsiColor) -> Self {
        Self { text: text.into(), style: Style::new().fg_color(Some(color.into())) }
    }

    pub(crate) fn strong(text: impl Into<String>, color: AnsiColor) -> Self {
        Self { text: text.into(), style: Style::new().bold().fg_color(Some(color.into())) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    pub(crate) fn paint(&self, color: bool) -> String {
        let is_plain = !color || self.style == Style::new() || self.text.is_empty();
        if is_plain { self.text.clone() } else { format!("{}{}{}", self.style, self.text, self.style.render_reset()) }
    }
}

/// Rows of columns; the first `left` columns are set to the left, the others to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    left: usize,
    rows: Vec<Vec<Piece>>,
}

impl Table {
    pub(crate) fn new(left: usize) -> Self {
        Self { left, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        self.rows.push(pieces.into_iter().collect());
    }

    /// The lines, each indented by so much, with two spaces between columns and none at the end.
    pub(crate) fn lines(&self, indent: usize, color: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(Piece::width).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (column, piece) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column] - piece.width());
                let painted = piece.paint(color);
                let between = if column == 0 { "" } else { "  " };
                line += between;
                line += &if column < self.left { painted + &gap } else { gap + &painted };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}
