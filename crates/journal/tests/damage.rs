//! Damaged, foreign, newer and stale files: what is refused, and what is cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchbell_journal::format::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, FrameHeader};
use watchbell_journal::{Disk, Journal, JournalError, ModelDisk, NewEntry, Options, Reader, Recovery};

const FOLDER: &str = "/data/journal";
const INSTALLATION: [u8; 8] = *b"damaged!";
const PAYLOAD: &[u8] = b"0123456789";
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAYLOAD.len();
/// Four frames fit.
const OPTIONS: Options = Options {
    installation: INSTALLATION,
    segment_bytes_max: (FILE_HEADER_BYTES + 4 * FRAME_BYTES) as u64,
    write_bytes: 2 * FRAME_BYTES,
    page_bytes: 1,
    reserve_bytes: 500,
    trusted_below: 0,
};

fn try_open(disk: &ModelDisk) -> Result<(Journal, Recovery), JournalError> {
    Journal::open(Arc::new(disk.clone()), Path::new(FOLDER), OPTIONS)
}

fn append(journal: &mut Journal, payload: &[u8]) {
    let entry = NewEntry { kind: 1, flags: 0, time_ms: 0, payload, rest: &[] };
    journal.append_batch(&[entry]).expect("the disk works");
}

/// A closed journal of this many entries, one write each.
fn journal_of(entries: usize) -> ModelDisk {
    let disk = ModelDisk::new();
    let (mut journal, _) = try_open(&disk).expect("an empty disk");
    (0..entries).for_each(|_| append(&mut journal, PAYLOAD));
    disk
}

fn segment(base: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{base:020}.segment"))
}

fn contents(disk: &ModelDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list(Path::new(FOLDER)).expect("the folder exists").into_iter();
    names.map(|name| (name.clone(), disk.contents(&Path::new(FOLDER).join(name)).expect("listed"))).collect()
}

fn change(disk: &ModelDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.contents(path).expect("the segment exists");
    change(&mut bytes);
    disk.set_contents(path, bytes);
}

/// Opening must fail with damage at this place, and leave every file as it is.
fn assert_damaged(disk: &ModelDisk, path: &Path, at: usize) {
    let before = contents(disk);
    match try_open(disk).map(|(_, recovery)| recovery) {
        Err(JournalError::Damaged { file, position, .. }) => {
            assert_eq!((file.as_path(), position), (path, at as u64));
        }
        other => panic!("{other:?} instead of damage at byte {at} of {}", path.display()),
    }
    assert!(contents(disk) == before, "a damaged journal is not touched");
}

fn read_until_none(reader: &mut Reader) -> Result<usize, JournalError> {
    let mut count = 0;
    while reader.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn every_flipped_bit_before_the_last_write_is_named_with_file_and_position() {
    // Segments of entries 0..4, 4..8 and 8..11; entry 10 is the last write.
    let whole = journal_of(11);
    for (base, frames) in [(0, 4), (4, 4), (8, 2)] {
        for at in 0..FILE_HEADER_BYTES + frames * FRAME_BYTES {
            let disk = whole.fork();
            change(&disk, &segment(base), |bytes| bytes[at] ^= 1 << (at % 8));
            let position = match at.checked_sub(FILE_HEADER_BYTES) {
                None => 0,
                Some(after) => FILE_HEADER_BYTES + after / FRAME_BYTES * FRAME_BYTES,
            };
            assert_damaged(&disk, &segment(base), position);

            let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(FOLDER), 0);
            let read = reader.as_mut().map(read_until_none);
            let is_damage =
                matches!(read, Err(JournalError::Damaged { .. }) | Ok(Err(JournalError::Damaged { .. })));
            assert!(is_damage, "a reader does not pass byte {at} of segment {base}");
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_write_is_cut_off_as_a_torn_write() {
    let whole = journal_of(11);
    for at in 0..FRAME_BYTES {
        let disk = whole.fork();
        change(&disk, &segment(8), |bytes| bytes[FILE_HEADER_BYTES + 2 * FRAME_BYTES + at] ^= 1);
        let (journal, recovery) = try_open(&disk).unwrap();
        assert_eq!(recovery.next_offset, 10);
        assert_eq!(read_until_none(&mut journal.reader(0).unwrap()).unwrap(), 10);
        // Bytes that do not even say that they are a frame are like what a former life of the file left.
        let says_who_it_is = ![0..4, 7..8].iter().any(|place| place.contains(&at));
        if says_who_it_is {
            assert_eq!(recovery.cut_bytes, FRAME_BYTES as u64, "byte {at}");
            let bytes = disk.contents(&segment(8)).unwrap();
            let is_cut = bytes[FILE_HEADER_BYTES + 2 * FRAME_BYTES..].iter().all(|byte| *byte == 0);
            assert!(is_cut, "the cut is on the disk");
        }
    }
}

#[test]
fn a_last_segment_cut_at_any_byte_loses_only_what_is_cut() {
    let whole = journal_of(11);
    for length in FILE_HEADER_BYTES..FILE_HEADER_BYTES + 3 * FRAME_BYTES {
        let disk = whole.fork();
        change(&disk, &segment(8), |bytes| bytes.truncate(length));
        let (journal, _) = try_open(&disk).unwrap();
        assert_eq!(journal.next_offset(), 8 + ((length - FILE_HEADER_BYTES) / FRAME_BYTES) as u64);
    }
}

#[test]
fn an_earlier_segment_cut_at_any_byte_is_damage() {
    let whole = journal_of(11);
    for length in FILE_HEADER_BYTES..FILE_HEADER_BYTES + 4 * FRAME_BYTES {
        let disk = whole.fork();
        change(&disk, &segment(4), |bytes| bytes.truncate(length));
        let frames = (length - FILE_HEADER_BYTES) / FRAME_BYTES;
        assert_damaged(&disk, &segment(4), FILE_HEADER_BYTES + frames * FRAME_BYTES);

        let mut reader = Reader::open(Arc::new(disk), Path::new(FOLDER), 0).unwrap();
        let error = read_until_none(&mut reader).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert_eq!(reader.next_offset(), 4 + frames as u64, "the reader stays before the damage");
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_damage_at_the_end_of_the_one_before() {
    let disk = journal_of(11);
    disk.remove(&segment(4)).unwrap();
    assert_damaged(&disk, &segment(0), FILE_HEADER_BYTES + 4 * FRAME_BYTES);
    let mut reader = Reader::open(Arc::new(disk), Path::new(FOLDER), 0).unwrap();
    assert!(matches!(read_until_none(&mut reader), Err(JournalError::Damaged { .. })));
}

#[test]
fn bytes_behind_the_frames_of_an_earlier_segment_do_not_count() {
    for behind in [vec![0], vec![1; 100], journal_of(1).contents(&segment(0)).unwrap()] {
        let disk = journal_of(11);
        change(&disk, &segment(4), |bytes| bytes.extend(&behind));
        let (journal, recovery) = try_open(&disk).unwrap();
        assert_eq!(recovery.next_offset, 11);
        assert_eq!(read_until_none(&mut journal.reader(0).unwrap()).unwrap(), 11);
    }
}

#[test]
fn an_unfinished_segment_is_removed_and_its_place_used_again() {
    for length in 0..=FILE_HEADER_BYTES {
        let disk = journal_of(4);
        disk.set_contents(&segment(4), vec![0; length]);
        let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(FOLDER), 0).unwrap();
        assert_eq!(read_until_none(&mut reader).unwrap(), 4, "for a reader it is not there yet");
        let (mut journal, recovery) = try_open(&disk).unwrap();
        assert_eq!((recovery.next_offset, recovery.cut_bytes), (4, 0));
        append(&mut journal, PAYLOAD);
        assert_eq!(read_until_none(&mut reader).unwrap(), 1);
    }
}

#[test]
fn an_unfinished_segment_proves_that_the_one_before_was_whole() {
    let disk = journal_of(4);
    disk.set_contents(&segment(4), Vec::new());
    change(&disk, &segment(0), |bytes| bytes.truncate(FILE_HEADER_BYTES + 3 * FRAME_BYTES + 1));
    assert_damaged(&disk, &segment(0), FILE_HEADER_BYTES + 3 * FRAME_BYTES);
}

#[test]
fn a_segment_of_a_newer_release_is_named_and_nothing_is_cut() {
    let disk = journal_of(11);
    change(&disk, &segment(4), |bytes| bytes.truncate(100));
    change(&disk, &segment(8), |bytes| {
        bytes[24] = 3;
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        bytes.truncate(100);
    });
    let before = contents(&disk);
    let error = try_open(&disk).err().unwrap();
    assert!(matches!(&error, JournalError::Newer { version: 3, file } if *file == segment(8)), "{error}");
    assert!(error.to_string().ends_with("use a release that reads version 3"), "{error}");
    assert!(contents(&disk) == before);
}

#[test]
fn a_segment_of_another_installation_is_refused_by_writer_and_reader() {
    let disk = journal_of(11);
    let foreign = FileHeader { installation: *b"foreign!", base_offset: 8, epoch: 1 };
    change(&disk, &segment(8), |bytes| bytes[..FILE_HEADER_BYTES].copy_from_slice(&foreign.encode()));
    let before = contents(&disk);
    let error = try_open(&disk).err().unwrap();
    assert!(matches!(&error, JournalError::OtherInstallation { file, .. } if *file == segment(8)), "{error}");
    assert!(contents(&disk) == before);

    let mut reader = Reader::open(Arc::new(disk), Path::new(FOLDER), 0).unwrap();
    assert!(matches!(read_until_none(&mut reader), Err(JournalError::OtherInstallation { .. })));
}

#[test]
fn stale_frames_of_an_earlier_epoch_after_the_end_do_not_count() {
    let disk = journal_of(1);
    let (mut journal, recovery) = try_open(&disk).unwrap();
    assert_eq!(recovery.epoch, 2);
    append(&mut journal, PAYLOAD);
    drop(journal);
    // What a recycled file would hold: the next sequences, intact, as an earlier writer left them.
    let stale = |sequence| FrameHeader {
        kind: 1,
        flags: 0,
        installation: INSTALLATION,
        epoch: 1,
        sequence,
        committed: sequence,
        time_ms: 0,
    };
    change(&disk, &segment(0), |bytes| (2..4).for_each(|sequence| stale(sequence).encode(PAYLOAD, bytes)));

    let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(FOLDER), 0).unwrap();
    assert_eq!(read_until_none(&mut reader).unwrap(), 2);
    let (mut journal, recovery) = try_open(&disk).unwrap();
    assert_eq!((recovery.next_offset, recovery.cut_bytes), (2, 0));
    // As long as the stale one, so that the next stale one stands right behind it.
    append(&mut journal, b"9876543210");
    assert_eq!(reader.next().unwrap().unwrap().payload, b"9876543210");
    assert_eq!(reader.next().unwrap(), None);
    drop(journal);
    assert_eq!(try_open(&disk).unwrap().1.next_offset, 3);
}

#[test]
fn what_is_cut_off_is_gone_even_if_two_writers_in_a_row_have_the_same_epoch() {
    let disk = journal_of(1);
    let (mut journal, first) = try_open(&disk).unwrap();
    let entries = [NewEntry { kind: 1, flags: 0, time_ms: 0, payload: PAYLOAD, rest: &[] }; 2];
    journal.append_batch(&entries).unwrap();
    drop(journal);
    // Of the last write only the second half reached the disk.
    let torn = FILE_HEADER_BYTES + FRAME_BYTES;
    change(&disk, &segment(0), |bytes| bytes[torn + 60] ^= 1);
    let (mut journal, second) = try_open(&disk).unwrap();
    assert_eq!((second.next_offset, second.cut_bytes), (1, 2 * FRAME_BYTES as u64));
    assert_eq!(second.epoch, first.epoch, "no frame of the first one is left to tell");
    append(&mut journal, b"9876543210");
    drop(journal);
    assert_eq!(try_open(&disk).unwrap().1.next_offset, 2, "the second half is not taken for a new entry");
}

#[test]
fn a_payload_that_looks_like_frames_is_only_a_payload() {
    let disk = journal_of(0);
    let (mut journal, _) = try_open(&disk).unwrap();
    let mut payload = Vec::new();
    let inside = |sequence| FrameHeader {
        kind: 0,
        flags: 0,
        installation: INSTALLATION,
        epoch: 1,
        sequence,
        committed: sequence,
        time_ms: 0,
    };
    (0..3).for_each(|sequence| inside(sequence).encode(b"", &mut payload));
    append(&mut journal, &payload);
    drop(journal);
    let (journal, _) = try_open(&disk).unwrap();
    assert_eq!(read_until_none(&mut journal.reader(0).unwrap()).unwrap(), 1);
}

#[test]
fn a_reader_takes_a_partial_frame_as_nothing_more_yet_and_reads_it_when_it_is_whole() {
    let whole = journal_of(3);
    let bytes = whole.contents(&segment(0)).unwrap();
    for length in FILE_HEADER_BYTES + FRAME_BYTES..bytes.len() {
        let disk = ModelDisk::new();
        disk.create_folder(Path::new(FOLDER)).unwrap();
        disk.set_contents(&segment(0), bytes[..length].to_vec());
        let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(FOLDER), 0).unwrap();
        let before = read_until_none(&mut reader).unwrap();
        assert_eq!(before, (length - FILE_HEADER_BYTES) / FRAME_BYTES);
        let file = disk.open(&segment(0), watchbell_journal::disk::Access::Write).unwrap();
        file.write_at(&bytes[length..], length as u64).unwrap();
        assert_eq!(read_until_none(&mut reader).unwrap(), 3 - before);
    }
}

#[test]
fn a_reader_does_not_mix_a_cut_frame_with_the_one_written_in_its_place() {
    let disk = journal_of(2);
    change(&disk, &segment(0), |bytes| bytes.truncate(FILE_HEADER_BYTES + FRAME_BYTES + 40));
    let mut reader = Reader::open(Arc::new(disk.clone()), Path::new(FOLDER), 0).unwrap();
    assert_eq!(read_until_none(&mut reader).unwrap(), 1);
    let (mut journal, _) = try_open(&disk).unwrap();
    append(&mut journal, b"other");
    assert_eq!(reader.next().unwrap().unwrap().payload, b"other");
}

#[test]
fn offsets_go_beyond_32_bits() {
    let disk = ModelDisk::new();
    disk.create_folder(Path::new(FOLDER)).unwrap();
    let base = u64::from(u32::MAX) * 5;
    let header = FileHeader { installation: INSTALLATION, base_offset: base, epoch: 1 };
    disk.set_contents(&segment(base), header.encode().to_vec());
    let (mut journal, recovery) = try_open(&disk).unwrap();
    assert_eq!((recovery.first_offset, recovery.next_offset), (base, base));
    (0..9).for_each(|_| append(&mut journal, PAYLOAD));
    drop(journal);
    let (journal, _) = try_open(&disk).unwrap();
    assert_eq!(journal.next_offset(), base + 9);
    assert_eq!(journal.reader(base + 7).unwrap().next().unwrap().unwrap().offset, base + 7);
}

#[test]
fn files_that_are_not_segments_are_left_alone() {
    let disk = journal_of(2);
    for name in ["notes.txt", "1.segment", "99999999999999999999.segment", "+0000000000000000001.segment"] {
        disk.set_contents(&Path::new(FOLDER).join(name), b"mine".to_vec());
    }
    let (journal, _) = try_open(&disk).unwrap();
    assert_eq!(journal.next_offset(), 2);
    assert_eq!(disk.contents(&Path::new(FOLDER).join("1.segment")).unwrap(), b"mine");
}

#[test]
fn a_spare_that_is_not_known_to_be_stale_is_not_used() {
    let spare = Path::new(FOLDER).join("spare");
    let header = |installation: &[u8; 8], base_offset| {
        FileHeader { installation: *installation, base_offset, epoch: 1 }.encode().to_vec()
    };
    let disk = journal_of(11);
    try_open(&disk).unwrap().0.upkeep().release(4).unwrap();
    let cases = [
        (header(&INSTALLATION, 0), true),
        (vec![0; 500], true),
        // From a journal that was longer than this one.
        (header(&INSTALLATION, 4), false),
        (header(&INSTALLATION, 20), false),
        (header(b"foreign!", 0), false),
        (b"notes".to_vec(), false),
        (Vec::new(), false),
    ];
    for (bytes, is_usable) in cases {
        let disk = disk.fork();
        disk.set_contents(&spare, bytes);
        disk.set_contents(&Path::new(FOLDER).join("spare.unfinished"), vec![7]);
        let (mut journal, _) = try_open(&disk).unwrap();
        assert_eq!(disk.contents(&spare).is_ok(), is_usable);
        assert!(disk.contents(&Path::new(FOLDER).join("spare.unfinished")).is_err());
        (0..4).for_each(|_| append(&mut journal, PAYLOAD));
        drop(journal);
        assert_eq!(try_open(&disk).unwrap().1.next_offset, 15);
    }
}

#[test]
fn damage_in_a_segment_that_a_snapshot_stands_for_does_not_keep_the_journal_from_opening() {
    let disk = journal_of(11);
    change(&disk, &segment(0), |bytes| bytes[FILE_HEADER_BYTES + 60] ^= 1);
    assert_damaged(&disk, &segment(0), FILE_HEADER_BYTES);
    let open_trusting = |trusted_below| {
        let options = Options { trusted_below, ..OPTIONS };
        Journal::open(Arc::new(disk.clone()), Path::new(FOLDER), options)
    };
    assert!(matches!(open_trusting(3), Err(JournalError::Damaged { .. })));
    let (journal, recovery) = open_trusting(4).unwrap();
    assert_eq!((recovery.first_offset, recovery.next_offset, recovery.epoch), (0, 11, 2));
    assert_eq!(read_until_none(&mut journal.reader(4).unwrap()).unwrap(), 7);
    // Whoever reads it all the same is told.
    assert!(matches!(read_until_none(&mut journal.reader(0).unwrap()), Err(JournalError::Damaged { .. })));
}
