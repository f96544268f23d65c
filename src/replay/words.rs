//! How replays say times, lengths and sizes to people.

use watchbell_model::Timestamp;

use super::{Comparison, Difference, Episode};

/// `2026-11-22 21:11:52 UTC`, with milliseconds if there are some.
pub fn time(at: Timestamp) -> String {
    let ms = at.0.rem_euclid(1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{} {}{fraction} UTC", at.utc_date(), at.utc_clock())
}

/// A length of time, its two largest units: `3 d 2 h`, `4 min 10 s`, `250 ms`.
pub fn duration(ms: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)];
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let largest = units.iter().position(|(_, unit_ms)| ms >= *unit_ms).expect("a second is one of them");
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit, unit_ms) in &units[largest..units.len().min(largest + 2)] {
        if rest >= *unit_ms {
            parts.push(format!("{} {unit}", rest / unit_ms));
        }
        rest %= unit_ms;
    }
    parts.join(" ")
}

/// `812 B`, `14.2 kB`, `1.5 GB`.
pub fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// A value, short.
pub fn number(value: f64) -> String {
    if value.abs() >= 1e15 || (value != 0.0 && value.abs() < 1e-3) {
        return format!("{value:.2e}");
    }
    let rounded = format!("{value:.3}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2026-11-22 21:11:52 UTC, for 4 min 10 s`.
pub fn stay(episode: &Episode) -> String {
    match episode.until {
        Some(until) => format!("{}, for {}", time(episode.from), duration(until.ms_since(episode.from))),
        None => format!("{}, to the end", time(episode.from)),
    }
}

/// `3 gained, 1 lost, 2 moved, 40 the same`.
pub fn comparison(comparison: &Comparison) -> String {
    let (mut gained, mut lost, mut moved) = (0, 0, 0);
    for difference in &comparison.differences {
        match difference {
            Difference::Gained { .. } => gained += 1,
            Difference::Lost { .. } => lost += 1,
            Difference::Moved { .. } => moved += 1,
        }
    }
    format!("{gained} gained, {lost} lost, {moved} moved, {} the same", comparison.same)
}

/// How a stay has moved: `begins 40 s earlier, ends 2 min later`.
pub fn moved(old: &Episode, new: &Episode) -> String {
    let shift = |verb: &str, ms: i64| match ms {
        0 => None,
        1.. => Some(format!("{verb} {} later", duration(ms))),
        _ => Some(format!("{verb} {} earlier", duration(-ms))),
    };
    let begins = shift("begins", new.from.ms_since(old.from));
    let ends = match (old.until, new.until) {
        (Some(old), Some(new)) => shift("ends", new.ms_since(old)),
        (None, Some(_)) => Some("ends now".to_owned()),
        (Some(_), None) => Some("does not end any more".to_owned()),
        (None, None) => None,
    };
    begins.into_iter().chain(ends).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_at_most_two_units() {
        let said =
            [0, 999, 1000, 61_000, 3_600_000, 3_605_000, 90_061_000, 2 * 86_400_000 + 5000].map(duration);
        assert_eq!(said, ["0 ms", "999 ms", "1 s", "1 min 1 s", "1 h", "1 h", "1 d 1 h", "2 d"]);
    }

    #[test]
    fn sizes_and_numbers_are_short() {
        assert_eq!([812, 14_250, 2_000_000_000].map(size), ["812 B", "14.2 kB", "2.0 GB"]);
        assert_eq!([0.0, 5.0, 0.25, 1e16, 0.000_01].map(number), ["0", "5", "0.25", "1.00e16", "1.00e-5"]);
    }

    #[test]
    fn a_stay_moves_at_either_end() {
        let episode = |from: i64, until: Option<i64>| Episode {
            from: Timestamp(from),
            until: until.map(Timestamp),
            summary: String::new(),
        };
        assert_eq!(
            moved(&episode(5000, Some(9000)), &episode(1000, Some(10_000))),
            "begins 4 s earlier, ends 1 s later"
        );
        assert_eq!(moved(&episode(0, None), &episode(0, Some(1))), "ends now");
    }
}
