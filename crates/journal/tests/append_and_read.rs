//! Appending and reading on the real disk and on the model: one suite, both implementers.

use std::path::Path;
use std::sync::Arc;

use watchbell_journal::{
    Disk, Entry, Journal, JournalError, ModelDisk, NewEntry, Options, PAYLOAD_BYTES_MAX, Reader, RealDisk,
    copy,
};

const OPTIONS: Options = Options {
    installation: *b"installa",
    segment_bytes_max: 400,
    write_bytes: 150,
    page_bytes: 64,
    reserve_bytes: 5000,
    trusted_below: 0,
};

/// Runs a test on the model disk and in a temporary folder of the real one.
fn on_both_disks(test: impl Fn(&Arc<dyn Disk>, &Path)) {
    test(&(Arc::new(ModelDisk::new()) as Arc<dyn Disk>), Path::new("/data/journal"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    test(&(Arc::new(RealDisk) as Arc<dyn Disk>), &folder.path().join("data/journal"));
}

fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Journal {
    Journal::open(Arc::clone(disk), folder, OPTIONS).expect("the journal opens").0
}

/// Handed over in two pieces.
fn entry(payload: &[u8]) -> NewEntry<'_> {
    let (payload, rest) = payload.split_at(payload.len() / 2);
    NewEntry { kind: 7, flags: 9, time_ms: -5, payload, rest }
}

fn read_all(reader: &mut Reader) -> Vec<Entry> {
    std::iter::from_fn(|| reader.next().expect("no damage")).collect()
}

fn payloads(reader: &mut Reader) -> Vec<Vec<u8>> {
    read_all(reader).into_iter().map(|entry| entry.payload).collect()
}

#[test]
fn what_was_appended_is_read_back_in_order() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        assert_eq!(journal.append_batch(&[entry(b"a"), entry(b"")]).unwrap(), 0..2);
        assert_eq!(journal.append_batch(&[]).unwrap(), 2..2);
        assert_eq!(journal.append_batch(&[entry(b"c")]).unwrap(), 2..3);

        let entries = read_all(&mut journal.reader(0).unwrap());
        assert_eq!(entries.iter().map(|entry| entry.offset).collect::<Vec<_>>(), [0, 1, 2]);
        let last = Entry { offset: 2, time_ms: -5, epoch: 1, kind: 7, flags: 9, payload: b"c".to_vec() };
        assert_eq!(entries[2], last);
        assert_eq!(payloads(&mut journal.reader(1).unwrap()), [&b""[..], b"c"]);
    });
}

#[test]
fn a_reopened_journal_goes_on_where_it_was_with_the_next_epoch() {
    on_both_disks(|disk, folder| {
        open(disk, folder).append_batch(&[entry(b"a")]).unwrap();
        let (mut journal, recovery) = Journal::open(Arc::clone(disk), folder, OPTIONS).unwrap();
        assert_eq!((recovery.first_offset, recovery.next_offset), (0, 1));
        assert_eq!((recovery.cut_bytes, recovery.epoch), (0, 2));
        assert_eq!(journal.append_batch(&[entry(b"b")]).unwrap(), 1..2);
        assert_eq!(
            read_all(&mut journal.reader(0).unwrap()).iter().map(|entry| entry.epoch).collect::<Vec<_>>(),
            [1, 2]
        );
    });
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_dropped() {
    on_both_disks(|disk, folder| {
        let first = open(disk, folder);
        let second = Journal::open(Arc::clone(disk), folder, OPTIONS);
        assert!(matches!(second, Err(JournalError::InUse { lock }) if lock == folder.join("lock")));
        drop(first);
        open(disk, folder);
    });
}

#[test]
fn a_batch_larger_than_a_segment_rolls_on_the_way() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        let large = [b'x'; 1000];
        let batch: Vec<_> = (0..20).map(|i| entry(&large[..i * 50])).collect();
        assert_eq!(journal.append_batch(&batch).unwrap(), 0..20);
        let lengths: Vec<_> = payloads(&mut journal.reader(0).unwrap()).iter().map(Vec::len).collect();
        assert_eq!(lengths, (0..20).map(|i| i * 50).collect::<Vec<_>>());
        let segments = disk.list(folder).unwrap().iter().filter(|name| name.ends_with(".segment")).count();
        assert!(segments > 10, "{segments}");
    });
}

#[test]
fn readers_pick_up_later_appends_across_segments() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        let mut inside = journal.reader(0).unwrap();
        let mut outside = Reader::open(Arc::clone(disk), folder, 0).unwrap();
        for i in 0..100_u8 {
            assert_eq!(inside.next().unwrap(), None);
            assert_eq!(outside.next().unwrap(), None);
            let payload = vec![i; usize::from(i)];
            journal.append_batch(&[entry(&payload), entry(b"second")]).unwrap();
            assert_eq!(payloads(&mut inside), [&payload[..], b"second"]);
            assert_eq!(payloads(&mut outside), [&payload[..], b"second"]);
        }
    });
}

#[test]
fn a_reader_opened_before_the_first_writer_waits_for_it() {
    on_both_disks(|disk, folder| {
        disk.create_folder(folder).unwrap();
        let mut reader = Reader::open(Arc::clone(disk), folder, 0).unwrap();
        assert_eq!(reader.next().unwrap(), None);
        open(disk, folder).append_batch(&[entry(b"a")]).unwrap();
        assert_eq!(payloads(&mut reader), [b"a"]);
    });
}

#[test]
fn a_reader_can_begin_at_every_offset_but_not_outside() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        for i in 0..30_u8 {
            journal.append_batch(&[entry(&[i])]).unwrap();
        }
        for from in 0..=30_u8 {
            let expected: Vec<_> = (from..30).map(|i| vec![i]).collect();
            let mut reader = Reader::open(Arc::clone(disk), folder, u64::from(from)).unwrap();
            assert_eq!(payloads(&mut reader), expected);
            assert_eq!(payloads(&mut journal.readers().reader(u64::from(from)).unwrap()), expected);
        }
        let beyond = journal.reader(31).err().unwrap();
        assert!(matches!(beyond, JournalError::AfterEnd { wanted: 31, next: 30 }), "{beyond}");
    });
}

#[test]
fn segments_that_were_removed_are_named_when_asked_for() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        for i in 0..30_u8 {
            journal.append_batch(&[entry(&[i])]).unwrap();
        }
        drop(journal);
        disk.remove(&folder.join("00000000000000000000.segment")).unwrap();
        let (journal, recovery) = Journal::open(Arc::clone(disk), folder, OPTIONS).unwrap();
        let first = recovery.first_offset;
        assert!(first > 0);
        assert_eq!(payloads(&mut journal.reader(first).unwrap()).len() as u64, 30 - first);
        let error = journal.reader(0).err().unwrap();
        assert!(
            matches!(error, JournalError::BeforeFirst { wanted: 0, first: it } if it == first),
            "{error}"
        );
    });
}

#[test]
fn the_largest_payload_fits_and_one_more_byte_is_refused_without_stopping_the_journal() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        let mut payload = vec![1; PAYLOAD_BYTES_MAX + 1];
        let error = journal.append_batch(&[entry(b"a"), entry(&payload)]).unwrap_err();
        assert!(matches!(error, JournalError::TooLarge { index: 1, .. }), "{error}");
        payload.pop();
        assert_eq!(journal.append_batch(&[entry(&payload), entry(b"b")]).unwrap(), 0..2);
        assert!(payloads(&mut journal.reader(0).unwrap()) == [payload, b"b".to_vec()]);
    });
}

/// The names in the folder except the lock, which only a real disk shows.
fn names(disk: &Arc<dyn Disk>, folder: &Path) -> Vec<String> {
    let mut names = disk.list(folder).expect("the folder is there");
    names.retain(|name| name != "lock");
    names.sort();
    names
}

#[test]
fn a_released_segment_becomes_the_spare_and_then_the_next_segment() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        for i in 0..10_u8 {
            journal.append_batch(&[entry(&[i; 100])]).unwrap();
        }
        let segment = |base: u64| format!("{base:020}.segment");
        assert_eq!(names(disk, folder), [0, 2, 4, 6, 8].map(segment));
        let upkeep = journal.upkeep();
        assert_eq!(upkeep.release(3).unwrap(), 1, "the segment that holds entry 3 stays");
        assert_eq!(names(disk, folder), [segment(2), segment(4), segment(6), segment(8), "spare".into()]);
        assert_eq!((upkeep.release(6).unwrap(), journal.first_offset()), (2, 6));
        assert_eq!(names(disk, folder), [segment(6), segment(8), "spare".into()]);
        let from_gone = journal.reader(5).err().unwrap();
        assert!(matches!(from_gone, JournalError::BeforeFirst { wanted: 5, first: 6 }), "{from_gone}");

        journal.append_batch(&[entry(b"in the spare")]).unwrap();
        assert_eq!(names(disk, folder), [segment(6), segment(8), segment(10)]);
        assert_eq!(upkeep.release(u64::MAX).unwrap(), 2, "the newest one stays");
        drop(journal);
        let (mut journal, recovery) = Journal::open(Arc::clone(disk), folder, OPTIONS).unwrap();
        assert_eq!((recovery.first_offset, recovery.next_offset, recovery.cut_bytes), (10, 11, 0));
        assert_eq!(payloads(&mut journal.reader(10).unwrap()), [b"in the spare"]);
        assert_eq!(
            names(disk, folder),
            [segment(10), "spare".into()],
            "the spare of another process is used"
        );
        journal.append_batch(&[entry(&[1; 300]), entry(&[2; 300])]).unwrap();
        assert_eq!(names(disk, folder).len(), 3);
        assert!(!names(disk, folder).contains(&"spare".to_owned()));
    });
}

#[test]
fn a_spare_of_zeros_is_as_long_as_a_segment_and_is_taken_when_one_is_full() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        journal.append_batch(&[entry(b"a")]).unwrap();
        assert!(!journal.wants_spare(), "a small journal stays small");
        journal.append_batch(&[entry(&[1; 100])]).unwrap();
        assert!(journal.wants_spare());
        assert!(!journal.upkeep().prepare(&|| false).unwrap());
        assert!(!names(disk, folder).iter().any(|name| name.starts_with("spare")));
        assert!(!journal.wants_spare(), "given up for this segment");

        let mut lengths = Vec::new();
        for _ in 0..3 {
            journal.append_batch(&[entry(&[2; 250])]).unwrap();
            journal.upkeep().prepare(&|| true).unwrap();
            let spare = disk.open(&folder.join("spare"), watchbell_journal::disk::Access::Read).unwrap();
            lengths.push(spare.len().unwrap());
            assert!(!journal.wants_spare());
        }
        assert_eq!(lengths, [OPTIONS.segment_bytes_max; 3]);
        let mut reader = journal.reader(0).unwrap();
        assert_eq!(payloads(&mut reader).len(), 5);
        journal.append_batch(&[entry(b"after zeros were read")]).unwrap();
        assert_eq!(payloads(&mut reader), [b"after zeros were read"]);
        drop(journal);
        assert_eq!(Journal::open(Arc::clone(disk), folder, OPTIONS).unwrap().1.next_offset, 6);
    });
}

#[test]
fn a_reader_whose_segment_is_written_over_says_that_it_has_gone() {
    on_both_disks(|disk, folder| {
        let mut journal = open(disk, folder);
        for i in 0..4_u8 {
            journal.append_batch(&[entry(&[i; 100])]).unwrap();
        }
        let mut outside = Reader::open(Arc::clone(disk), folder, 0).unwrap();
        let mut waiting = Reader::open(Arc::clone(disk), folder, 0).unwrap();
        assert_eq!(outside.next().unwrap().unwrap().offset, 0);
        journal.upkeep().release(2).unwrap();
        for i in 0..4_u8 {
            journal.append_batch(&[entry(&[i; 120])]).unwrap();
        }
        // Read ahead before: still whole. Not read yet: gone.
        assert_eq!(outside.next().unwrap().unwrap().offset, 1);
        assert_eq!(payloads(&mut outside).len(), 6);
        let gone = waiting.next().unwrap_err();
        assert!(matches!(gone, JournalError::BeforeFirst { wanted: 0, first: 2 }), "{gone}");
    });
}

#[test]
fn a_copy_has_every_entry_as_it_stood_and_nothing_of_what_stands_behind_them() {
    let disk: Arc<dyn Disk> = Arc::new(ModelDisk::new());
    let (from, to) = (Path::new("/from"), Path::new("/to"));
    let options = Options { segment_bytes_max: 2000, ..OPTIONS };
    let (mut journal, _) = Journal::open(Arc::clone(&disk), from, options).unwrap();
    for number in 0..60_u8 {
        journal.append_batch(&[entry(&[number; 300])]).unwrap();
        if number == 30 {
            journal.upkeep().release(17).unwrap();
        }
    }
    let copied = copy(&disk, from, to).unwrap();
    assert_eq!((copied.first, copied.next), (journal.first_offset(), 60));
    let all = |folder: &Path| {
        let mut reader = Reader::open_oldest(&disk, folder).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(all(to), all(from));
    // Also for the next writer: it goes on where the other one stood.
    let (mut copy, recovery) = Journal::open(Arc::clone(&disk), to, options).unwrap();
    assert_eq!((recovery.first_offset, recovery.next_offset, recovery.cut_bytes), (copied.first, 60, 0));
    assert_eq!(copy.append_batch(&[entry(b"more")]).unwrap(), 60..61);
}
