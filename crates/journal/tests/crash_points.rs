//! A history of appends, rolls, reopenings, released and prepared segments is cut off after each of its disk
//! operations, with each choice of what the disk kept, and with each write or sync failing. Afterwards everything
//! acknowledged and not released must be there, what was under way may follow without holes, and the journal must go
//! on. What is let go is said by an entry first, and nothing goes before that is on the disk. Random histories do the same at random points: more of them with `WATCHBELL_HISTORIES=100000`.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use watchbell_journal::{Disk, Journal, JournalError, ModelDisk, NewEntry, Options, Reader};

const FOLDER: &str = "/data/journal";
const OPTIONS: Options = Options {
    installation: *b"crashing",
    segment_bytes_max: 3000,
    write_bytes: 600,
    page_bytes: 128,
    reserve_bytes: 5000,
    trusted_below: 0,
};
/// Payload lengths, in batches; an empty batch stands for closing and opening the journal. [`steps`] puts upkeep between.
const HISTORY: [&[usize]; 60] = [
    &[10],
    &[20, 0, 30],
    &[],
    &[700],
    &[1, 2, 3],
    &[500, 500],
    &[900],
    &[40],
    &[],
    &[],
    &[5],
    &[2900],
    &[3500],
    &[0],
    &[0, 0],
    &[100, 200, 300],
    &[1000, 1000, 1000],
    &[],
    &[8],
    &[450],
    &[456],
    &[457],
    &[400, 600, 800],
    &[12],
    &[],
    &[2000, 2000],
    &[30],
    &[31],
    &[32],
    &[600, 5, 600],
    &[],
    &[1],
    &[1],
    &[1],
    &[3000],
    &[],
    &[3000, 10],
    &[2],
    &[250, 250, 250, 250],
    &[70],
    &[],
    &[80, 90],
    &[1500],
    &[1500],
    &[1500],
    &[3],
    &[],
    &[4, 4, 4, 4, 4, 4],
    &[900, 100],
    &[17],
    &[18],
    &[],
    &[1100],
    &[1200],
    &[0],
    &[2048],
    &[512 - 56],
    &[512],
    &[],
    &[9],
];

/// Histories that are made up and run to a random point, unless the environment asks for more.
const RANDOM_HISTORIES: u64 = 300;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Reopen,
    /// Say that what is below this many entries before the end goes, then let it go.
    Release(u64),
    /// Make a spare of zeros.
    Prepare,
    /// Make a reserve, if there is room.
    Replenish,
    /// From now on the disk is full, or no longer.
    Full(bool),
}

/// The history: the table, with upkeep in between.
fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for (number, lengths) in HISTORY.iter().enumerate() {
        steps.push(if lengths.is_empty() { Step::Reopen } else { Step::Append(lengths.to_vec()) });
        // In the first third nothing is let go, in the last third much.
        match (number * 3 / HISTORY.len(), number % 5) {
            (0, 4) | (1, 3) => steps.push(Step::Prepare),
            (0, 1) => steps.extend([Step::Replenish, Step::Full(true)]),
            (0, 2) => steps.push(Step::Full(false)),
            (1, 1) => steps.push(Step::Release(6)),
            (2, 0) => steps.push(Step::Release(2)),
            (2, 2) => steps.push(Step::Release(0)),
            _ => {}
        }
    }
    steps
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn length(&mut self) -> usize {
        let bound = [1, 20, 600, 3500][usize::try_from(self.below(4)).expect("below 4")];
        usize::try_from(self.below(bound)).expect("small")
    }
}

fn random_steps(random: &mut Random) -> Vec<Step> {
    let step = |random: &mut Random| match random.below(14) {
        0 => Step::Reopen,
        1 => Step::Prepare,
        2 => Step::Replenish,
        3 => Step::Full(random.below(2) == 0),
        4 | 5 => Step::Release(random.below(8)),
        _ => Step::Append((0..=random.below(4)).map(|_| random.length()).collect()),
    };
    (0..=random.below(40)).map(|_| step(random)).collect()
}

fn open(disk: &ModelDisk) -> Result<Journal, JournalError> {
    Journal::open(Arc::new(disk.clone()), Path::new(FOLDER), OPTIONS).map(|(journal, _)| journal)
}

/// Payloads that tell batches and entries apart.
fn batch(number: usize, lengths: &[usize]) -> Vec<Vec<u8>> {
    let payload = |(i, length): (usize, &usize)| {
        (0..*length).map(|at| u8::try_from((number + i * 7 + at) % 256).expect("below 256")).collect()
    };
    lengths.iter().enumerate().map(payload).collect()
}

/// The entry that says that what is below goes; the tests' stand-in for the caller's own.
fn says_released(before: u64) -> Vec<u8> {
    format!("released before {before}").into_bytes()
}

/// What the newest such entry says.
fn said_released(payloads: &[Vec<u8>]) -> u64 {
    let said =
        |payload: &Vec<u8>| std::str::from_utf8(payload).ok()?.strip_prefix("released before ")?.parse().ok();
    payloads.iter().filter_map(said).max().unwrap_or(0)
}

fn append(journal: &mut Journal, payloads: &[Vec<u8>]) -> Result<std::ops::Range<u64>, JournalError> {
    // Long ones in two pieces, so that all ways to write are gone.
    let halves = payloads.iter().map(|payload| payload.split_at(payload.len() / 8));
    let entry = |(payload, rest)| NewEntry { kind: 1, flags: 0, time_ms: 0, payload, rest };
    journal.append_batch(&halves.map(entry).collect::<Vec<_>>())
}

/// What a run of a history came to.
#[derive(Default)]
struct Outcome {
    acknowledged: Vec<Vec<u8>>,
    in_flight: Vec<Vec<u8>>,
    /// What is below may be gone.
    released: u64,
    error: Option<JournalError>,
}

impl Outcome {
    /// What of the write under way got to the disk is there from now on.
    fn go_on_from(&mut self, disk: &ModelDisk) {
        let journal = open(disk).expect("it was checked");
        let first = journal.first_offset();
        let found = read_all(journal.reader(first).expect("the oldest entry, or the end"));
        self.acknowledged.truncate(usize::try_from(first).expect("small"));
        self.acknowledged.extend(found);
        self.in_flight.clear();
    }
}

/// Runs the history until the first error; what is in flight then was not acknowledged.
fn run(disk: &ModelDisk, steps: &[Step]) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.error = run_into(disk, steps, &mut outcome).err();
    outcome
}

fn run_into(disk: &ModelDisk, steps: &[Step], outcome: &mut Outcome) -> Result<(), JournalError> {
    let mut journal = open(disk)?;
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Reopen => {
                drop(journal);
                journal = open(disk)?;
            }
            Step::Release(back) => {
                let before = outcome.released.max(journal.next_offset().saturating_sub(*back));
                outcome.in_flight = vec![says_released(before)];
                append(&mut journal, &outcome.in_flight)?;
                outcome.acknowledged.append(&mut outcome.in_flight);
                outcome.released = before;
                journal.upkeep().release(before)?;
            }
            Step::Full(is_full) => disk.set_full(*is_full),
            // A full disk is no reason to stop, an injected failure is.
            Step::Prepare => go_on_if_full(journal.upkeep().prepare(&|| true).map(drop))?,
            Step::Replenish => go_on_if_full(journal.upkeep().replenish())?,
            Step::Append(lengths) => {
                outcome.in_flight = batch(number, lengths);
                let result = append(&mut journal, &outcome.in_flight);
                if result.is_err() {
                    let again = append(&mut journal, &[vec![1]]);
                    assert!(
                        matches!(again, Err(JournalError::Stopped { .. })),
                        "a failed writer stays stopped"
                    );
                }
                assert_eq!(result?.start, outcome.acknowledged.len() as u64);
                outcome.acknowledged.append(&mut outcome.in_flight);
            }
        }
    }
    Ok(())
}

fn go_on_if_full(result: Result<(), JournalError>) -> Result<(), JournalError> {
    match result {
        Err(JournalError::Io { source, .. }) if source.to_string() == "the disk is nearly full" => Ok(()),
        result => result,
    }
}

fn read_all(mut reader: Reader) -> Vec<Vec<u8>> {
    let first = reader.next_offset();
    let mut payloads = Vec::new();
    while let Some(entry) = reader.next().expect("nothing is damaged") {
        assert_eq!(entry.offset, first + payloads.len() as u64);
        payloads.push(entry.payload);
    }
    payloads
}

/// Checks one state of the disk; `disk` is used up.
fn check(disk: &ModelDisk, outcome: &Outcome, state: &str) {
    let since = |first: u64| {
        assert!(first <= outcome.released, "{state}: entries before {first} are gone, nobody let them go");
        &outcome.acknowledged[usize::try_from(first).expect("small")..]
    };
    if let Ok(reader) = Reader::open_oldest(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Path::new(FOLDER)) {
        let first = reader.next_offset();
        let seen = read_all(reader);
        assert!(seen.starts_with(since(first)), "{state}: a reader sees all before the next open");
    }
    let mut journal = open(disk).unwrap_or_else(|error| panic!("{state}: {error}"));
    let first = journal.first_offset();
    let mut found = read_all(journal.reader(first).expect("the oldest entry, or the end"));
    let more = found.strip_prefix(since(first));
    let more = more.unwrap_or_else(|| panic!("{state}: an acknowledged entry is gone"));
    assert!(outcome.in_flight.starts_with(more), "{state}: what was in flight has holes");
    assert!(first <= said_released(&found), "{state}: entries before {first} are gone, and no entry says so");

    // Enough to go on into the spare, if there is one.
    let new = vec![vec![255; 700], vec![254; 3], vec![253; 2500], vec![252; 900]];
    let range = append(&mut journal, &new).unwrap_or_else(|error| panic!("{state}: {error}"));
    assert_eq!(range.start, first + found.len() as u64, "{state}: the sequence goes on");
    drop(journal);
    found.extend(new);
    disk.crash(|_| false);
    let journal = open(disk).unwrap_or_else(|error| panic!("{state}, second crash: {error}"));
    assert!(
        read_all(journal.reader(first).expect("the oldest entry")) == found,
        "{state}: lost in a second crash"
    );
}

/// Checks every state the disk can be in after the program stopped where it is now.
fn check_all_crashes(disk: &ModelDisk, outcome: &Outcome, state: &str) {
    check(&disk.fork(), outcome, &format!("{state}, killed"));
    let waiting = disk.waiting();
    for kept in 0..=waiting {
        let crashed = disk.fork();
        crashed.crash(|i| i < kept);
        check(&crashed, outcome, &format!("{state}, first {kept} of {waiting} kept"));
    }
    for lost in 0..waiting {
        let crashed = disk.fork();
        crashed.crash(|i| i != lost);
        check(&crashed, outcome, &format!("{state}, {lost} of {waiting} lost"));
        let crashed = disk.fork();
        crashed.crash(|i| i == lost);
        check(&crashed, outcome, &format!("{state}, only {lost} of {waiting} kept"));
    }
}

/// Runs the history with each fault in turn, until one comes too late to matter.
fn for_every_fault(arm: impl Fn(&ModelDisk, usize), check: impl Fn(&ModelDisk, &Outcome, usize)) -> usize {
    let steps = steps();
    for number in 0.. {
        let disk = ModelDisk::new();
        arm(&disk, number);
        let outcome = run(&disk, &steps);
        // Before the checks write to the disk.
        disk.set_full(false);
        assert!(number < 3000, "the history itself fails: {:?}", outcome.error);
        if outcome.error.is_none() {
            return number;
        }
        check(&disk, &outcome, number);
    }
    unreachable!("the history ends")
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_after_every_disk_operation() {
    let operations = for_every_fault(ModelDisk::halt_after, |disk, outcome, number| {
        check_all_crashes(disk, outcome, &format!("halted after operation {number}"));
    });
    assert!(operations > 200, "{operations}");
}

#[test]
fn whatever_was_acknowledged_survives_a_crash_in_the_middle_of_recovery() {
    for_every_fault(ModelDisk::halt_after, |disk, outcome, number| {
        // Half of what waits is kept, so that most recoveries have something to cut or remove.
        let kept = disk.waiting() / 2;
        for operation in 0.. {
            let crashed = disk.fork();
            crashed.crash(|i| i < kept);
            crashed.halt_after(operation);
            if open(&crashed).is_ok() {
                break;
            }
            let state = format!("halted after operation {number}, then after {operation} of the recovery");
            check_all_crashes(&crashed, outcome, &state);
        }
    });
}

#[test]
fn a_write_that_fails_leaves_a_journal_that_opens_again() {
    let writes = for_every_fault(
        |disk, number| disk.fail_write(number, ErrorKind::Other),
        |disk, outcome, number| {
            check_all_crashes(disk, outcome, &format!("write {number} failed"));
        },
    );
    assert!(writes > 60, "{writes}");
}

#[test]
fn what_is_acknowledged_after_a_failed_sync_and_a_restart_is_really_on_the_disk() {
    let syncs = for_every_fault(
        |disk, number| disk.fail_sync(number, ErrorKind::Other),
        |disk, outcome, number| check_all_crashes(disk, outcome, &format!("sync {number} failed")),
    );
    assert!(syncs > 60, "{syncs}");
}

#[test]
fn whatever_was_acknowledged_survives_in_random_histories() {
    let histories = std::env::var("WATCHBELL_HISTORIES")
        .map_or(RANDOM_HISTORIES, |number| number.parse().expect("WATCHBELL_HISTORIES is a number"));
    for seed in 0..histories {
        let mut random = Random(seed);
        let disk = ModelDisk::new();
        let mut outcome = Outcome::default();
        // One crash after another: what the first leaves behind must not come back after the second.
        for crash in 0..=random.below(4) {
            let steps = random_steps(&mut random);
            match random.below(4) {
                0 => disk.fail_sync(usize::try_from(random.below(60)).expect("small"), ErrorKind::Other),
                1 => {
                    disk.fail_write(
                        usize::try_from(random.below(60)).expect("small"),
                        ErrorKind::StorageFull,
                    );
                }
                _ => disk.halt_after(usize::try_from(random.below(150)).expect("small")),
            }
            // The error is the fault that was asked for, or there is none.
            let _ = run_into(&disk, &steps, &mut outcome);
            let waiting = disk.waiting();
            let kept_of_8 = random.below(9);
            disk.crash(|_| random.below(8) < kept_of_8);
            let state = format!("seed {seed}, crash {crash}, {kept_of_8}/8 of {waiting} kept");
            check(&disk.fork(), &outcome, &state);
            outcome.go_on_from(&disk);
        }
    }
}

#[test]
fn a_full_disk_is_met_with_the_reserve_and_nothing_is_lost_in_between() {
    let disk = ModelDisk::new();
    let mut journal = open(&disk).unwrap();
    assert!(journal.is_short(), "no reserve was made yet");
    journal.upkeep().replenish().unwrap();
    append(&mut journal, &[vec![1; 100]]).unwrap();
    disk.set_full(true);
    // Half of it gets into the old segment before the disk is full.
    assert_eq!(append(&mut journal, &[vec![2; 1500], vec![3; 800]]).unwrap(), 1..3);
    assert!(journal.is_short());
    assert_eq!(append(&mut journal, &[vec![4; 10]]).unwrap(), 3..4);
    journal.upkeep().replenish().unwrap_err();
    disk.set_full(false);
    journal.upkeep().replenish().unwrap();
    assert!(!journal.is_short());
    assert_eq!(append(&mut journal, &[vec![5; 2500]]).unwrap(), 4..5);
    disk.crash(|_| false);
    let journal = open(&disk).unwrap();
    let lengths: Vec<_> = read_all(journal.reader(0).unwrap()).iter().map(Vec::len).collect();
    assert_eq!(lengths, [100, 1500, 800, 10, 2500]);
    assert!(!journal.is_short(), "the reserve outlives the process");
}

#[test]
fn a_full_disk_without_a_reserve_stops_the_writer_and_leaves_a_journal_that_opens_again() {
    let disk = ModelDisk::new();
    let mut journal = open(&disk).unwrap();
    journal.upkeep().replenish().unwrap();
    disk.set_full(true);
    let mut acknowledged = 0;
    let error = loop {
        match append(&mut journal, &[vec![7; 300]]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(acknowledged > 5, "{acknowledged}");
    let is_full =
        matches!(&error, JournalError::Io { source, .. } if source.kind() == ErrorKind::StorageFull);
    assert!(is_full, "{error}");
    assert!(matches!(append(&mut journal, &[vec![1]]), Err(JournalError::Stopped { .. })));
    drop(journal);
    // Opening needs no room either.
    assert_eq!(open(&disk).unwrap().next_offset(), acknowledged);
}

#[test]
fn a_stopped_writer_names_the_first_failure_every_time() {
    let disk = ModelDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, &[vec![1]]).unwrap();
    disk.fail_sync(0, ErrorKind::StorageFull);
    let first = append(&mut journal, &[vec![2]]).unwrap_err().to_string();
    assert!(first.starts_with("cannot sync \"/data/journal/00000000000000000000.segment\""), "{first}");
    for _ in 0..2 {
        let error = append(&mut journal, &[vec![3]]).unwrap_err();
        assert!(matches!(&error, JournalError::Stopped { cause } if *cause == first), "{error}");
    }
    let mut reader = journal.reader(0).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().payload, [1]);
    assert_eq!(reader.next().unwrap(), None, "an entry that is not durable is not shown");
}

#[test]
fn the_lock_ends_with_the_machine() {
    let disk = ModelDisk::new();
    let journal = open(&disk).unwrap();
    disk.crash(|_| false);
    assert!(Disk::list(&disk, Path::new(FOLDER)).is_ok());
    open(&disk).unwrap();
    drop(journal);
}
