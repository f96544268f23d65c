//! Laws of the format, on random input.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use watchbell_journal::format::{BadFileHeader, FileHeader, FrameHeader, Invalid};
use watchbell_journal::{Disk, Journal, ModelDisk, Options, Reader};

prop_compose! {
    fn frame_headers()(
        kind: u16, flags: u16, installation: [u8; 8], epoch: u32, sequence: u64, committed: u64, time_ms: i64,
    ) -> FrameHeader {
        FrameHeader { kind, flags, installation, epoch, sequence, committed, time_ms }
    }
}

proptest! {
    #[test]
    fn a_decoded_frame_is_the_encoded_one(
        header in frame_headers(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        after in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = Vec::new();
        header.encode(&payload, &mut bytes);
        bytes.extend(after);
        prop_assert_eq!(FrameHeader::decode(&bytes), Ok((header, &payload[..])));
    }

    #[test]
    fn a_frame_with_any_changed_bit_or_any_cut_is_invalid(
        header in frame_headers(),
        payload in proptest::collection::vec(any::<u8>(), 0..100),
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let mut bytes = Vec::new();
        header.encode(&payload, &mut bytes);
        let at = at.index(bytes.len());
        prop_assert_eq!(FrameHeader::decode(&bytes[..at]), Err(Invalid::Short));
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(FrameHeader::decode(&bytes).is_err());
    }

    #[test]
    fn a_decoded_file_header_is_the_encoded_one(installation: [u8; 8], base_offset: u64, epoch: u32) {
        let header = FileHeader { installation, base_offset, epoch };
        let bytes = header.encode();
        prop_assert_eq!(FileHeader::decode(&bytes), Ok(header));
        prop_assert_eq!(FileHeader::decode(&bytes[..63]), Err(BadFileHeader::Unreadable));
    }

    /// Foreign bytes after a good header, frames among them: any answer, but no panic.
    #[test]
    fn any_segment_can_be_opened_or_is_refused(
        base_offset in prop_oneof![Just(0), any::<u64>(), Just(u64::MAX)],
        epoch in prop_oneof![Just(1), Just(u32::MAX)],
        frames in proptest::collection::vec((frame_headers(), 0..9_u8, any::<bool>()), 0..6),
        cut in 0..20_usize,
    ) {
        let (folder, installation) = (Path::new("/journal"), [1; 8]);
        let mut bytes = FileHeader { installation, base_offset, epoch }.encode().to_vec();
        for (i, (header, length, right)) in (0..).zip(frames) {
            let sequence = base_offset.wrapping_add(i);
            let right_one = FrameHeader { installation, epoch: header.epoch.max(epoch), sequence, ..header };
            let header = if right { right_one } else { header };
            header.encode(&vec![0; usize::from(length)], &mut bytes);
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let disk = ModelDisk::new();
        disk.create_folder(folder).unwrap();
        disk.set_contents(&folder.join(format!("{base_offset:020}.segment")), bytes);
        if let Ok(mut reader) = Reader::open(Arc::new(disk.clone()), folder, base_offset) {
            while let Ok(Some(_)) = reader.next() {}
        }
        let _ = Journal::open(Arc::new(disk), folder, Options::new(installation));
    }
}

#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let header = FileHeader { installation: *b"12345678", base_offset: 258, epoch: 3 };
    let mut file = header.encode().to_vec();
    let frame = FrameHeader {
        kind: 0x0102,
        flags: 0x0304,
        installation: *b"12345678",
        epoch: 3,
        sequence: 258,
        committed: 257,
        time_ms: -1,
    };
    frame.encode(b"hello", &mut file);
    assert!(file == include_bytes!("version_1.segment"), "{file:02x?}");
}
