//! Exchanges that the target cuts short, at any point: `/close-at/POINT` and `/reset-at/POINT`.

/// Where an exchange is cut short, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) point: Point,
    /// By TCP reset, else after what was written.
    pub(crate) is_reset: bool,
}

/// A point of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The request's first line has come.
    Line,
    /// Its head has come.
    Headers,
    /// Half of its body has come; or its first byte, where it does not say how long it is.
    Body,
    /// So many bytes of the answer are written.
    Answer(usize),
}

impl Cut {
    /// What a path's words ask for.
    pub(crate) fn of(words: &[&str]) -> Option<Self> {
        let [how @ ("close-at" | "reset-at"), point] = words else { return None };
        let point = match *point {
            "line" => Point::Line,
            "headers" => Point::Headers,
            "body" => Point::Body,
            number => Point::Answer(number.parse().ok()?),
        };
        Some(Self { point, is_reset: *how == "reset-at" })
    }

    /// What a path, without its query, asks for.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        if !path.starts_with("/close-at/") && !path.starts_with("/reset-at/") {
            return None;
        }
        Self::of(&path[1..].split('/').collect::<Vec<_>>())
    }

    /// The name under which it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match (self.is_reset, self.point) {
            (false, Point::Line) => "close-at-line",
            (false, Point::Headers) => "close-at-headers",
            (false, Point::Body) => "close-at-body",
            (false, Point::Answer(_)) => "close-at-answer",
            (true, Point::Line) => "reset-at-line",
            (true, Point::Headers) => "reset-at-headers",
            (true, Point::Body) => "reset-at-body",
            (true, Point::Answer(_)) => "reset-at-answer",
        }
    }
}
