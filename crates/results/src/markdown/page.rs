//! A page of Markdown that is no longer than what GitHub takes.

/// The most bytes, and so characters, of a page. GitHub takes 65,536; whoever posts it may want to say something too.
const MOST: usize = 60_000;
/// What rows and the like leave for headings and words on what was left out.
const KEPT: usize = 5_000;
/// What those leave for the end of a folding.
const KEPT_FOR_ENDS: usize = 100;

/// A page as far as it is written.
pub(super) struct Page {
    text: String,
    /// How long rows may make it.
    end: usize,
}

impl Page {
    pub(super) const fn new() -> Self {
        Self { text: String::new(), end: MOST - KEPT }
    }

    /// A line of its own, unless the page is full.
    pub(super) fn line(&mut self, line: &str) {
        self.push(&format!("{line}\n"), MOST - KEPT_FOR_ENDS);
    }

    /// An empty line, where there is none yet.
    pub(super) fn gap(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.push("\n", MOST);
        }
    }

    /// Adds whole lines, of which there may be many, if there is room for them.
    pub(super) fn try_push(&mut self, lines: &str) -> bool {
        self.push(lines, self.end)
    }

    /// So many bytes may still come.
    pub(super) fn room(&self) -> usize {
        self.end.saturating_sub(self.text.len())
    }

    /// A part of the page, which leaves half of the room to those after it.
    pub(super) fn shared(&mut self, part: impl FnOnce(&mut Self)) {
        self.end = (self.text.len() + MOST - KEPT) / 2;
        part(self);
        self.end = MOST - KEPT;
    }

    fn push(&mut self, lines: &str, most: usize) -> bool {
        let has_room = self.text.len() + lines.len() <= most;
        if has_room {
            self.text += lines;
        }
        has_room
    }

    /// Says how much was left out, if anything was.
    pub(super) fn more(&mut self, count: usize) {
        if count > 0 {
            self.gap();
            self.line(&format!("…and {count} more"));
        }
    }

    /// A table of at most so many rows; the first columns are set to the left, those of numbers to the right.
    pub(super) fn table(
        &mut self,
        left: &[&str],
        right: &[&str],
        most: usize,
        rows: impl Iterator<Item = Vec<String>>,
    ) {
        let cells = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
        self.line(&cells([left, right].concat()));
        self.line(&cells(left.iter().map(|_| ":--").chain(right.iter().map(|_| "--:")).collect()));
        let (mut shown, mut left_out) = (0, 0);
        for row in rows {
            // Rows that came after one without room would look as if there was none before them.
            let line = cells(row.iter().map(String::as_str).collect()) + "\n";
            let is_shown = left_out == 0 && shown < most && self.try_push(&line);
            shown += usize::from(is_shown);
            left_out += usize::from(!is_shown);
        }
        self.more(left_out);
        self.gap();
    }

    /// Something that is folded until somebody wants to see it. The title is HTML.
    pub(super) fn folded(&mut self, title: &str, within: impl FnOnce(&mut Self)) {
        self.gap();
        // Without the empty line, what follows would be HTML and not Markdown.
        if !self.try_push(&format!("<details><summary>{title}</summary>\n\n")) {
            return;
        }
        within(self);
        self.gap();
        self.push("</details>\n\n", MOST);
    }

    pub(super) fn finish(self) -> String {
        self.text.trim_end().to_owned() + "\n"
    }
}
