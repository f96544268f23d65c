//! What goes into an archive comes out of it, from memory and from a folder.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod rows;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use rows::{Event, event};
use watchbell_archive::{ArchiveError, Collector, Object, StoredEvent, list, open_folder, put, read};
use watchbell_model::{EventFlags, Severity, Timestamp};

fn objects(events: &[Event]) -> Vec<Object> {
    let mut collector = Collector::default();
    for event in events {
        collector.push(&event.row()).unwrap();
    }
    collector.finish().unwrap()
}

async fn read_all(store: &dyn ObjectStore) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    for object in list(store).await.unwrap() {
        let found = read(store, &object.path).await.unwrap();
        assert_eq!(found.len() as u64, object.events, "{}", object.path);
        assert!(found.is_sorted_by_key(|event| event.event_id), "{}", object.path);
        assert!(found.iter().all(|event| event.severity == object.severity && event.app == object.app));
        events.extend(found);
    }
    events.sort_by_key(|event| event.event_id);
    events
}

/// Puts the events into a store and expects to read the same from it.
async fn survives(store: &dyn ObjectStore, events: &[Event]) {
    let written = put(store, objects(events)).await.unwrap();
    let listed: Vec<_> = list(store).await.unwrap();
    assert_eq!(listed.len(), written.len());
    for object in written {
        let same = listed.iter().find(|listed| listed.path == object.path).expect("what was put is listed");
        assert_eq!((same.events, same.bytes), (object.events, object.bytes));
    }
    let expected: Vec<StoredEvent> = events.iter().map(Event::stored).collect();
    assert_eq!(read_all(store).await, expected);
}

/// In memory and in a folder.
async fn survives_everywhere(events: &[Event]) {
    survives(&InMemory::new(), events).await;
    let folder = tempfile::tempdir().unwrap();
    survives(&open_folder(&folder.path().join("a/b")).unwrap(), events).await;
}

#[tokio::test]
async fn every_part_of_an_event_comes_back() {
    let mut events: Vec<Event> = (0..9).map(event).collect();
    events[1].fields = Some(r#"{"status":503}"#.into());
    events[2].flags = EventFlags::CUT.with(EventFlags::REPAIRED);
    events[3].severity = Severity::Critical;
    events[4].app = "bank".into();
    events[5].stream = "another stream".into();
    events[6].message = String::new();
    events[7].fields = Some(String::new());
    events[8].flags = EventFlags::CONTINUED;
    survives_everywhere(&events).await;
}

#[tokio::test]
async fn odd_texts_come_back() {
    let texts = ["\0", "a\0b\n\r\t", "käse ☃ 🦀", "\u{feff}x", "\"quoted\\\"", "'; DROP TABLE x; --"];
    let mut events: Vec<Event> = (0..texts.len()).map(event).collect();
    for (event, text) in events.iter_mut().zip(texts) {
        event.message = text.into();
        event.stream = text.into();
        event.log_group = text.into();
    }
    survives_everywhere(&events).await;
}

#[tokio::test]
async fn messages_of_a_mebibyte_come_back() {
    let mut events: Vec<Event> = (0..3).map(event).collect();
    events[0].message = "x".repeat(1024 * 1024);
    events[2].message = "é🦀\0".repeat(150_000);
    survives_everywhere(&events).await;
}

#[tokio::test]
async fn more_rows_than_a_row_group_come_back() {
    const ROWS: u32 = 262_144 + 5;
    const FIRST_LINE: u32 = 900_000; // lines of six and of seven digits
    let mut event = event(0);
    let mut collector = Collector::default();
    for line in 0..ROWS {
        event.id.line = FIRST_LINE + line;
        event.fields = (line % 3 == 0).then(|| line.to_string());
        collector.push(&event.row()).unwrap();
    }
    let store = InMemory::new();
    let written = put(&store, collector.finish().unwrap()).await.unwrap();
    let found = read(&store, &written[0].path).await.unwrap();
    assert_eq!((written.len(), found.len()), (1, ROWS as usize));
    for (line, found) in (0..).zip(&found) {
        let fields = (line % 3 == 0).then(|| line.to_string());
        assert_eq!((found.event_id.line, &found.fields), (FIRST_LINE + line, &fields));
    }
}

#[tokio::test]
async fn partitions_that_grow_together_come_back() {
    // More rows in each than are compressed at once; names that come, go and come again.
    let change = |number: usize| Event {
        severity: if number.is_multiple_of(2) { Severity::Info } else { Severity::Error },
        stream: format!("stream {}", number / 3000 % 5),
        fields: number.is_multiple_of(7).then(|| format!("{{\"n\":{number}}}")),
        flags: if number.is_multiple_of(11) { EventFlags::CUT } else { EventFlags::default() },
        ..event(number)
    };
    let events: Vec<Event> = (0..18_000).map(change).collect();
    survives(&InMemory::new(), &events).await;
}

#[tokio::test]
async fn hostile_app_names_stay_in_their_folder() {
    let names = [
        "..",
        ".",
        "",
        "../../../escape",
        "/etc/passwd",
        "a=b",
        "a%2Fb",
        "käse",
        "a\0b",
        "__HIVE_DEFAULT_PARTITION__",
    ];
    let mut events: Vec<Event> = (0..names.len() + 2).map(event).collect();
    for (event, name) in events.iter_mut().zip(names) {
        event.app = name.into();
    }
    events[names.len()].app = "/".repeat(400);
    events[names.len() + 1].app = format!("{}é", "/".repeat(400));
    survives_everywhere(&events).await;

    for object in objects(&events) {
        let parts: Vec<_> = object.path.split('/').collect();
        assert_eq!(parts.len(), 4, "{}", object.path);
        assert!(parts[1].starts_with("app=") && parts[1].matches('=').count() == 1, "{}", object.path);
        assert!(parts.iter().all(|part| part.len() < 255), "{}", object.path);
    }
}

#[tokio::test]
async fn nothing_is_written_outside_the_folder() {
    let around = tempfile::tempdir().unwrap();
    let store = open_folder(&around.path().join("archive")).unwrap();
    let mut hostile = event(0);
    hostile.app = "../../escape".into();
    put(&store, objects(&[hostile])).await.unwrap();
    let names: Vec<_> = around.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["archive"]);
    assert!(around.path().join("archive/date=2026-11-22/app=%2E.%2F..%2Fescape/severity=info").is_dir());
}

#[tokio::test]
async fn every_time_has_a_folder() {
    let midnight = 1_795_392_000_000;
    let times = [
        (midnight - 1, "2026-11-22"),
        (midnight, "2026-11-23"),
        (-1, "1969-12-31"),
        (i64::MIN, "0001-01-01"),
        (i64::MAX, "9999-12-30"),
        (253_402_300_799_999, "9999-12-30"),
    ];
    let mut events: Vec<Event> = (0..times.len()).map(event).collect();
    for (event, (timestamp, _)) in events.iter_mut().zip(times) {
        event.timestamp = Timestamp(timestamp);
    }
    survives_everywhere(&events).await;
    let dates: Vec<_> = objects(&events).iter().map(|object| object.path[5..15].to_owned()).collect();
    assert_eq!(dates, ["0001-01-01", "1969-12-31", "2026-11-22", "2026-11-23", "9999-12-30"]);
}

#[tokio::test]
async fn no_rows_give_no_objects() {
    let store = InMemory::new();
    assert!(Collector::default().is_empty());
    assert_eq!(put(&store, objects(&[])).await.unwrap(), []);
    assert_eq!(list(&store).await.unwrap(), []);
}

#[test]
fn the_same_rows_give_the_same_objects() {
    let events: Vec<Event> = (0..5000).map(event).collect();
    let (once, again) = (objects(&events), objects(&events));
    assert_eq!(once, again);
    let names: Vec<_> = once.iter().map(|object| object.path.as_str()).collect();
    let only = "date=2026-11-22/app=shop/severity=info/\
        0102030405060708-000000000000-000000_000000000004-000999.parquet";
    assert_eq!(names, [only]);
}

#[tokio::test]
async fn putting_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_folder(folder.path()).unwrap();
    let events: Vec<Event> = (0..10).map(event).collect();
    survives(&store, &events).await;
    survives(&store, &events).await;
}

#[test]
#[should_panic(expected = "rows come in journal order")]
fn a_row_out_of_order_stops_the_program() {
    let mut collector = Collector::default();
    collector.push(&event(1).row()).unwrap();
    collector.push(&event(1).row()).unwrap();
}

#[tokio::test]
async fn other_files_are_passed_over_and_damaged_objects_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_folder(folder.path()).unwrap();
    let object = put(&store, objects(&[event(0)])).await.unwrap().remove(0);
    std::fs::write(folder.path().join("README.txt"), "x").unwrap();
    std::fs::write(folder.path().join("stray.parquet"), "x").unwrap();
    std::fs::write(folder.path().join(format!("{}#1", object.path)), "half an object").unwrap();
    assert_eq!(list(&store).await.unwrap().len(), 1);

    let file = folder.path().join(&object.path);
    let whole = std::fs::read(&file).unwrap();
    for damage in damages(&whole) {
        std::fs::write(&file, damage).unwrap();
        for error in [list(&store).await.unwrap_err(), read(&store, &object.path).await.unwrap_err()] {
            assert!(
                matches!(&error, ArchiveError::Malformed { path, .. } if *path == object.path),
                "{error}"
            );
        }
    }
}

/// A file of every kind of damage that the footer shows.
fn damages(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut long_footer = whole.to_vec();
    let length_at = whole.len() - 8;
    long_footer[length_at..length_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let other_format = replaced(whole, b"watchbell.format", b"watchbell.farmat");
    vec![Vec::new(), b"PAR1".to_vec(), whole[..whole.len() - 1].to_vec(), long_footer, other_format]
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[tokio::test]
async fn a_missing_object_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(&open_folder(folder.path()).unwrap(), "date=x/gone.parquet").await.unwrap_err();
    assert!(error.to_string().contains("moved or unmounted"), "{error}");
}

#[test]
fn a_file_in_the_way_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("archive")] {
        let error = open_folder(&path).unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        assert!(error.contains("a part of the path is a file"), "{error}");
    }
}

#[tokio::test]
async fn a_file_in_the_way_of_a_partition_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_folder(folder.path()).unwrap();
    std::fs::write(folder.path().join("date=2026-11-22"), "x").unwrap();
    let error = put(&store, objects(&[event(0)])).await.unwrap_err().to_string();
    assert!(error.contains("date=2026-11-22/app=shop"), "{error}");
    assert!(error.contains("a part of the path is a file"), "{error}");
}

fn any_event() -> impl Strategy<Value = (u8, String, Option<String>, i64, u8, u8)> {
    let time = prop_oneof![any::<i64>(), 1_795_300_000_000..1_795_400_000_000_i64];
    (0..4_u8, any::<String>(), any::<Option<String>>(), time, 0..7_u8, 0..8_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_events_come_back(parts in prop::collection::vec(any_event(), 0..30)) {
        let events: Vec<Event> = parts
            .into_iter()
            .enumerate()
            .map(|(number, (app, message, fields, timestamp, severity, flags))| {
                let severity = rows::SEVERITIES[usize::from(severity)];
                let app = format!("app/{app}");
                let (timestamp, flags) = (Timestamp(timestamp), EventFlags(flags));
                Event { timestamp, app, severity, message, fields, flags, ..event(number) }
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(survives(&InMemory::new(), &events));
    }

    #[test]
    fn foreign_bytes_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let object = objects(&[event(0), event(1)]).remove(0);
        let mut bytes = object.bytes.to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let bytes = bytes[..cut.index(bytes.len() * 3).min(bytes.len())].to_vec();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = InMemory::new();
            put(&store, vec![Object { bytes: bytes.into(), ..object.clone() }]).await.unwrap();
            let _ = list(&store).await;
            let _ = read(&store, &object.path).await;
        });
    }
}
