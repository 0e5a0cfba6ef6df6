//! Numbers of a page. Each one that stands in the report says where, so that a test can hold the page against it.

use std::fmt::Display;

use maud::{Markup, html};
use proofload_api::Size;
use proofload_api::units::{short_share, short_time};

use crate::report::LoadLevel;
use crate::shown::short_rate;
use crate::words::grouped;

/// A place in the report: a JSON pointer.
#[derive(Debug, Clone, Default)]
pub(super) struct At(String);

impl At {
    /// The report itself.
    pub(super) fn report() -> Self {
        Self::default()
    }

    /// A field or an item of what is here.
    pub(super) fn at(&self, key: impl Display) -> Self {
        let key = key.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{key}", self.0))
    }
}

/// A number of the report.
#[derive(Debug, Clone)]
pub(super) struct Number {
    at: At,
    /// As in the report.
    raw: String,
    /// How the text is to be read.
    unit: &'static str,
    /// For people.
    text: String,
}

impl Number {
    /// A number of things.
    pub(super) fn count(at: At, count: u64) -> Self {
        Self { at, raw: count.to_string(), unit: "count", text: grouped(count) }
    }

    /// Microseconds.
    pub(super) fn time(at: At, micros: u64) -> Self {
        Self { at, raw: micros.to_string(), unit: "time", text: short_time(micros as f64) }
    }

    /// Microseconds that are a mean.
    pub(super) fn mean(at: At, micros: f64) -> Self {
        Self { at, raw: micros.to_string(), unit: "time", text: short_time(micros) }
    }

    /// 0..=1.
    pub(super) fn share(at: At, share: f64) -> Self {
        Self { at, raw: share.to_string(), unit: "share", text: short_share(share) }
    }

    /// In a second.
    pub(super) fn rate(at: At, rate: f64) -> Self {
        Self { at, raw: rate.to_string(), unit: "rate", text: format!("{}/s", short_rate(rate)) }
    }

    /// Bytes.
    pub(super) fn size(at: At, bytes: u64) -> Self {
        Self { at, raw: bytes.to_string(), unit: "size", text: Size(bytes).to_string() }
    }

    /// What a criterion saw, in its own unit.
    pub(super) fn observed(at: At, amount: f64, text: String) -> Self {
        Self { at, raw: amount.to_string(), unit: "own", text }
    }

    /// In running text.
    pub(super) fn inline(&self) -> Markup {
        html! { span data-value=(self.raw) data-path=(self.at.0) data-unit=(self.unit) { (self.text) } }
    }

    /// At the begin of a row.
    pub(super) fn head(&self) -> Markup {
        html! { th scope="row" data-value=(self.raw) data-path=(self.at.0) data-unit=(self.unit) { (self.text) } }
    }

    /// As a cell of a table.
    pub(super) fn cell(&self) -> Markup {
        self.marked_cell(false)
    }

    /// As a cell of a table that stands out where `is_bad`.
    pub(super) fn marked_cell(&self, is_bad: bool) -> Markup {
        let class = if is_bad { "n bad" } else { "n" };
        html! { td class=(class) data-value=(self.raw) data-path=(self.at.0) data-unit=(self.unit) { (self.text) } }
    }
}

/// A cell of a number that there may be none of.
pub(super) fn cell(number: Option<Number>) -> Markup {
    number.map_or_else(|| html! { td.n { "–" } }, |number| number.cell())
}

/// An amount of load: `40 users`, `437.5/s`.
pub(super) fn level(at: &At, level: LoadLevel) -> Markup {
    match (level.users, level.rate) {
        (Some(users), _) => {
            let noun = if users == 1 { "user" } else { "users" };
            html! { (Number::count(at.at("users"), users.into()).inline()) " " (noun) }
        }
        (None, Some(rate)) => Number::rate(at.at("rate"), rate).inline(),
        (None, None) => html! { "–" },
    }
}
