//! From a cron expression and a zone to moments.
//!
//! Matching is croner's, on the calendar and the clock on the wall alone; what a time on the wall means when clocks are
//! changed is said here. That mapping never goes backwards, so the ticks are in order and none is lost.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use proofload_api::Problem;
use proofload_api::problem::did_you_mean;

/// When a schedule is due.
#[derive(Debug, Clone)]
pub struct Ticks {
    cron: Cron,
    zone: TimeZone,
}

/// The ticks of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The last of them.
    pub last: Timestamp,
    /// How many there are, the last among them; of more than [`Due::MOST`] so many.
    pub count: u64,
}

impl Due {
    /// More ticks are not counted: who was away for so long need not know how often exactly.
    pub const MOST: u64 = 10_000;
}

/// The fields of a cron expression, with what each of them takes.
const FIELDS: [&str; 5] = [
    "minutes from 0 to 59",
    "hours from 0 to 23",
    "days of the month from 1 to 31",
    "months from 1 to 12 or JAN to DEC",
    "days of the week from 0 to 7 or SUN to SAT",
];

impl Ticks {
    /// Reads a cron expression and the name of a zone, or says everything that is wrong with them.
    pub fn new(cron: &str, zone: &str) -> Result<Self, Vec<Problem>> {
        let known = TimeZoneDatabase::bundled().get(zone).map_err(|_| unknown_zone(zone));
        match (read(cron), known) {
            (Ok(cron), Ok(zone)) => Ok(Self { cron, zone }),
            (cron, zone) => Err(cron.err().into_iter().chain(zone.err()).collect()),
        }
    }

    /// The first tick after a moment; none where there is none any more.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let mut wall = self.zone.to_datetime(moment);
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            // Within the hour that comes twice, those on the wall are of its first time, and so may be over.
            if let Some(tick) = self.moment_of(wall).filter(|tick| *tick > moment) {
                return Some(tick);
            }
        }
    }

    /// The ticks after a moment, up to another one and with it.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> Option<Due> {
        let in_time = |tick: &Timestamp| *tick <= until;
        let mut due = Due { last: self.after(after).filter(in_time)?, count: 1 };
        while let Some(tick) = self.after(due.last).filter(in_time) {
            if due.count == Due::MOST {
                return Some(Due { last: self.last(due.last, until), ..due });
            }
            due = Due { last: tick, count: due.count + 1 };
        }
        Some(due)
    }

    /// The last tick up to a moment, of which there is one after `tick`.
    fn last(&self, tick: Timestamp, until: Timestamp) -> Timestamp {
        let mut last = tick;
        // From the shortest span that has one: the fewest to walk through.
        for hours in [1, 24, 31 * 24, 366 * 24, 8 * 366 * 24] {
            let from = until.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(tick).max(tick);
            let mut at = from;
            while let Some(next) = self.after(at).filter(|next| *next <= until) {
                (at, last) = (next, next);
            }
            if at > from {
                return last;
            }
        }
        last
    }

    /// A moment as people of this zone say it, e.g. `2026-03-29 03:00 Europe/Berlin`.
    pub fn local(&self, moment: Timestamp) -> String {
        let zoned = moment.to_zoned(self.zone.clone());
        format!("{} {}", zoned.strftime("%Y-%m-%d %H:%M"), self.zone.iana_name().unwrap_or("Etc/UTC"))
    }

    /// When the clock on the wall shows this: the first time, where it does so twice; where it never does, the first
    /// moment after what is left out.
    fn moment_of(&self, wall: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let AmbiguousOffset::Gap { before, .. } = ambiguous.offset() else { return ambiguous.earlier().ok() };
        // By the old offset it lies behind the change, or at it.
        let behind = before.to_timestamp(wall).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
        self.zone.preceding(behind).next().map(|change| change.timestamp())
    }
}

fn parsed(text: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

fn read(text: &str) -> Result<Cron, Problem> {
    const EXPECTED: &str = "minute, hour, day of the month, month, day of the week, such as 0 3 * * 1-5, or @hourly, \
                            @daily, @weekly, @monthly";
    let path = "spec.schedule";
    let wrong = |expected: &str, came: String| Problem::new(path, expected, came);
    let trimmed = text.trim();
    if trimmed.contains("TZ=") {
        return Err(wrong(EXPECTED, format!("{text:?}")).hint("the zone stands in spec.timeZone"));
    }
    if trimmed.starts_with('@') {
        let name = if trimmed == "@midnight" { "@daily" } else { trimmed };
        let known = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];
        let cron = known.contains(&name).then(|| parsed(name)).flatten();
        return cron.ok_or_else(|| {
            let problem = wrong(EXPECTED, format!("{text:?}"));
            match did_you_mean(name, known) {
                Some(meant) => problem.hint(format!("did you mean {meant}?")),
                None => problem,
            }
        });
    }
    let fields: Vec<&str> = trimmed.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(wrong(EXPECTED, format!("{} fields in {text:?}", fields.len())));
    }
    for (index, (field, meaning)) in fields.iter().zip(FIELDS).enumerate() {
        let mut alone = ["*"; 5];
        alone[index] = field;
        if parsed(&alone.join(" ")).is_none() {
            return Err(wrong(meaning, format!("{field:?} in {text:?}")));
        }
    }
    let cron = parsed(trimmed).ok_or_else(|| wrong(EXPECTED, format!("{text:?}")))?;
    // February has no 30th: most of a year's days are looked at in no time, and so are those of a leap year.
    let never = cron.find_next_occurrence(&DateTime::constant(2000, 1, 1, 0, 0, 0, 0), true).is_err();
    if never { Err(wrong("a day that exists in some year", format!("{text:?}"))) } else { Ok(cron) }
}

fn unknown_zone(zone: &str) -> Problem {
    let problem = Problem::new(
        "spec.timeZone",
        "the name of a zone in the IANA database, such as Europe/Berlin or Etc/UTC",
        format!("{zone:?}"),
    );
    let database = TimeZoneDatabase::bundled();
    let known: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let names = || known.iter().map(String::as_str);
    // People write the city alone.
    let city = names().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(zone)));
    match city.or_else(|| did_you_mean(zone, names())) {
        Some(meant) => problem.hint(format!("did you mean {meant}?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests;
