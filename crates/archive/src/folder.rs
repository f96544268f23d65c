//! A folder as object store.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use object_store::local::LocalFileSystem;

use crate::ArchiveError;

/// The folder as an object store that syncs what it writes; makes the folder if it is not there.
///
/// # Errors
/// [`ArchiveError::Folder`] if it cannot be made, is a file, or cannot be written to.
pub fn open_folder(folder: &Path) -> Result<LocalFileSystem, ArchiveError> {
    let refused = |source: io::Error| ArchiveError::Folder { folder: folder.to_owned(), source };
    create_durably(folder).map_err(refused)?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| refused(io::Error::other(error)))?;
    Ok(store.with_fsync(true))
}

/// Makes the folder and its missing parents; their names are on disk afterwards.
fn create_durably(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
