//! Logs that never were: written by rules and a seed, so that every run reads the same.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use watchbell_model::Timestamp;

/// 2026-11-22T00:00:00Z.
pub(crate) const DAY: Timestamp = Timestamp(1_795_305_600_000);

/// One line of a JSON log.
pub(crate) fn json_line(at: Timestamp, level: &str, text: &str) -> String {
    format!("{{\"time\":\"{at}\",\"level\":\"{level}\",\"message\":\"{text}\"}}\n")
}

/// `count` JSON lines with this level, `step_ms` apart from `start` on.
pub(crate) fn json_lines(start: Timestamp, step_ms: i64, count: i64, level: &str) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let line = json_line(start.plus_ms(number * step_ms), level, &format!("number {number}"));
        write!(text, "{line}").unwrap();
        text
    })
}

/// Seconds after [`DAY`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    DAY.plus_ms(seconds * 1000)
}

/// The samples of the guides: four days of a web server's access log and of a machine's sshd, from Monday, 2026-11-16.
///
/// On Wednesday at 02:10 the web server answers half of all requests with 502 for twelve minutes, and each day around
/// noon there are a few 500s. Somebody guesses passwords on Tuesday at 03:30 and on Thursday at 14:05; now and then
/// somebody mistypes one.
pub(crate) fn write_samples(folder: &Path) {
    const MONDAY: Timestamp = Timestamp(1_794_787_200_000);
    const DAY_S: i64 = 86_400;
    let mut dice = Dice(0x5eed);
    let (mut access, mut auth) = (Vec::new(), Vec::new());
    let mut second = 0;
    while second < 4 * DAY_S {
        second += 3 + dice.throw(16);
        let (day, clock) = (second / DAY_S, second % DAY_S);
        let outage = day == 2 && (7800..8520).contains(&clock);
        let hiccup = (43_200..43_500).contains(&clock);
        let status = match dice.throw(100) {
            0..50 if outage => 502,
            0..9 if hiccup => 500,
            0..4 => 404,
            _ => 200,
        };
        let path =
            ["/", "/cart", "/search?q=lamp", "/login", "/style.css"][usize::try_from(dice.throw(5)).unwrap()];
        let at = MONDAY.plus_ms(second * 1000);
        let (address, bytes) = (dice.throw(200), dice.throw(30_000));
        access.push((
            at,
            format!(
                "198.51.100.{address} - - [{}] \"GET {path} HTTP/1.1\" {status} {bytes}",
                access_time(at)
            ),
        ));
    }
    let mut login = |second: i64, address: &str, user: &str, port: i64| {
        let at = MONDAY.plus_ms(second * 1000);
        let text = format!("Failed password for {user} from {address} port {port} ssh2");
        auth.push((at, format!("{} gate sshd[{}]: {text}", syslog_time(at), 4000 + port % 900)));
    };
    for (start, count) in [(DAY_S + 12_600, 46), (3 * DAY_S + 50_700, 31)] {
        for attempt in 0..count {
            login(start + attempt * 4, "203.0.113.9", "invalid user admin", 40_000 + attempt);
        }
    }
    for typo in 0..30 {
        login(20_000 + typo * 11_003, "192.0.2.17", "dana", 50_000 + typo);
    }
    for (name, mut lines) in [("access.log", access), ("auth.log", auth)] {
        lines.sort();
        let text: String = lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
        fs::write(folder.join(name), text).unwrap();
        // Syslog's times have no year: it is that of the file's last change.
        let written = UNIX_EPOCH + Duration::from_millis((MONDAY.0 + 4 * DAY_S * 1000).unsigned_abs());
        File::options().write(true).open(folder.join(name)).unwrap().set_modified(written).unwrap();
    }
}

fn access_time(at: Timestamp) -> String {
    let date = at.utc_date();
    format!("{}/Nov/{}:{} +0000", &date[8..], &date[..4], at.utc_clock())
}

fn syslog_time(at: Timestamp) -> String {
    format!("Nov {} {}", &at.utc_date()[8..], at.utc_clock())
}

/// Numbers that look thrown and are the same every time (a linear congruence, Knuth's MMIX).
struct Dice(u64);

impl Dice {
    /// From 0 to below `sides`.
    fn throw(&mut self, sides: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % sides).unwrap()
    }
}
