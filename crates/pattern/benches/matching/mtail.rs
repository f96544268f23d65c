//! `mtail` on the same text patterns and lines, as a yardstick from outside: one program that counts all matches.

#![expect(clippy::cast_precision_loss, reason = "ticks of a bench are few")]

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Command;

use watchbell_corpus::Corpus;

/// What `mtail` made of some lines.
pub(crate) struct Run {
    pub(crate) matches: u64,
    /// Processor time, without that of a run on an empty file.
    pub(crate) seconds: f64,
}

/// Runs the installed `mtail` with patterns as [`watchbell_corpus::rules::text`] makes them; `None` if there is none.
pub(crate) fn run(patterns: &[String], corpus: &Corpus) -> io::Result<Option<Run>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mtail");
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs)?;
    std::fs::write(programs.join("matches.mtail"), program(patterns))?;
    let (lines, empty) = (folder.join("lines.log"), folder.join("empty.log"));
    let text: String = corpus.batches.iter().map(|batch| batch.text.as_str()).collect();
    std::fs::write(&lines, text.trim_end_matches('\n').to_owned() + "\n")?;
    std::fs::write(&empty, "")?;
    let mut runs = Vec::new();
    for log in [&empty, &lines] {
        match once(&folder, &programs, log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            run => runs.push(run?),
        }
    }
    let [idle, busy] = <[Run; 2]>::try_from(runs).unwrap_or_else(|_| unreachable!("there are two files"));
    Ok(Some(Run { matches: busy.matches, seconds: busy.seconds - idle.seconds }))
}

fn once(folder: &Path, programs: &Path, log: &Path) -> io::Result<Run> {
    let mut mtail = Command::new("mtail");
    mtail.args(["--one_shot", "--one_shot_format", "prometheus"]);
    mtail.arg("--log_dir").arg(folder).arg("--progs").arg(programs).arg("--logs").arg(log);
    let before = seconds_of_children()?;
    let output = mtail.output()?;
    let seconds = seconds_of_children()? - before;
    let said = String::from_utf8_lossy(&output.stdout);
    let matches =
        said.lines().find_map(|line| line.strip_prefix("matches{")?.split(' ').nth(1)?.parse().ok());
    let matches = matches.ok_or_else(|| {
        io::Error::other(format!("mtail counted nothing: {}", String::from_utf8_lossy(&output.stderr)))
    })?;
    Ok(Run { matches, seconds })
}

fn program(patterns: &[String]) -> String {
    let mut program = String::from("counter matches\n");
    for pattern in patterns {
        let quoted: Vec<&str> = pattern.split('"').collect();
        let block = match quoted[..] {
            [_, term, _] => format!("/{}/ {{\n  matches++\n}}", regex(term)),
            [_, term, " -", other, _] => format!(
                "/{}/ {{\n  /{}/ {{\n  }} else {{\n    matches++\n  }}\n}}",
                regex(term),
                regex(other)
            ),
            [_, term, _, other, _] => {
                format!("/{}/ {{\n  /{}/ {{\n    matches++\n  }}\n}}", regex(term), regex(other))
            }
            _ => format!("/{}/ {{\n  matches++\n}}", pattern.trim_matches('%')),
        };
        writeln!(program, "{block}").expect("a string takes all");
    }
    program
}

/// The regex between slashes that finds a text.
fn regex(text: &str) -> String {
    regex_syntax::escape(text).replace('/', "\\/")
}

/// Processor time of the children that ended, as Linux tells it (proc(5): `cutime` and `cstime`).
fn seconds_of_children() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        behind_name.split_whitespace().skip(13).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
