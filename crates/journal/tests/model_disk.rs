//! The model disk loses what a real disk may lose, and nothing else.

use std::io::ErrorKind;
use std::path::Path;

use watchbell_journal::disk::{Access, Disk, DiskFile};
use watchbell_journal::model_disk::ModelDisk;

/// A disk with a file `/a/file` that holds 1500 durable zeros.
fn disk_with_file() -> (ModelDisk, Box<dyn DiskFile>) {
    let disk = ModelDisk::new();
    disk.create_folder(Path::new("/a")).expect("no failure is injected");
    disk.set_contents(Path::new("/a/file"), vec![0; 1500]);
    let file = disk.open(Path::new("/a/file"), Access::Write).expect("it was just made");
    (disk, file)
}

fn contents(disk: &ModelDisk) -> Vec<u8> {
    disk.contents(Path::new("/a/file")).expect("the file exists")
}

#[test]
fn a_synced_write_stays_and_an_unsynced_one_goes() {
    let (disk, file) = disk_with_file();
    file.write_at(b"stays", 0).unwrap();
    file.sync_data().unwrap();
    file.write_at(b"goes!", 0).unwrap();
    assert_eq!(contents(&disk)[..5], *b"goes!");
    disk.crash(|_| false);
    assert_eq!(contents(&disk)[..5], *b"stays");
}

#[test]
fn a_write_is_torn_at_sectors_only() {
    let (disk, file) = disk_with_file();
    file.write_at(&[1; 1000], 100).unwrap();
    assert_eq!(disk.waiting(), 3);
    disk.crash(|i| i != 1);
    let bytes = contents(&disk);
    let ones: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == 1).collect();
    assert_eq!(ones, (100..512).chain(1024..1100).collect::<Vec<_>>());
}

#[test]
fn a_name_without_a_folder_sync_goes() {
    let (disk, file) = disk_with_file();
    file.sync_data().unwrap();
    disk.rename(Path::new("/a/file"), Path::new("/a/other")).unwrap();
    assert_eq!(disk.list(Path::new("/a")).unwrap(), ["other"]);
    disk.crash(|_| false);
    assert_eq!(disk.list(Path::new("/a")).unwrap(), ["file"]);
    disk.remove(Path::new("/a/file")).unwrap();
    disk.sync_folder(Path::new("/a")).unwrap();
    disk.crash(|_| false);
    assert!(disk.list(Path::new("/a")).unwrap().is_empty());
}

#[test]
fn after_a_failed_sync_only_writing_again_saves_the_data() {
    for writes_again in [false, true] {
        let (disk, file) = disk_with_file();
        file.write_at(b"data", 0).unwrap();
        disk.fail_sync(0, ErrorKind::Other);
        file.sync_data().unwrap_err();
        if writes_again {
            file.write_at(b"data", 0).unwrap();
        }
        file.sync_data().unwrap();
        assert_eq!(contents(&disk)[..4], *b"data", "readable in any case");
        disk.crash(|_| true);
        assert_eq!(contents(&disk)[..4] == *b"data", writes_again);
    }
}

#[test]
fn a_full_disk_takes_half_of_the_write() {
    let (disk, file) = disk_with_file();
    disk.fail_write(1, ErrorKind::StorageFull);
    file.write_at(b"whole", 0).unwrap();
    assert_eq!(file.write_at(b"half", 10).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(contents(&disk)[..14], *b"whole\0\0\0\0\0ha\0\0");
    file.write_at(b"half", 10).unwrap();
}

#[test]
fn a_fork_goes_its_own_way() {
    let (disk, file) = disk_with_file();
    let fork = disk.fork();
    file.write_at(b"x", 0).unwrap();
    assert_eq!((contents(&disk)[0], contents(&fork)[0]), (b'x', 0));
}
