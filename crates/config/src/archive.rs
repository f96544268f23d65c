//! `[archive]`

use watchbell_model::Archive;

use crate::plan;
use crate::problem::quote;
use crate::reader::{Field, Table};

/// The archive's folder in the data folder, if the file names no other.
const FOLDER_DEFAULT: &str = "archive";

/// The archive; every accepted line lands in one, so there is always one. `None` if it is wrong, which is noted.
pub(crate) fn read(root: &mut Table<'_>, data_dir: Option<&str>) -> Option<Archive> {
    let mut folder = None;
    if let Some(field) = root.field("archive") {
        let mut table = field.table("[archive]".into())?;
        folder = table.field("url").map(|field| read_url(&field));
        table.finish();
    }
    let folder = match folder {
        Some(folder) => folder?,
        None => format!("{}/{FOLDER_DEFAULT}", data_dir?.trim_end_matches('/')),
    };
    Some(Archive { folder, lifecycle: Vec::new() })
}

fn read_url(field: &Field<'_>) -> Option<String> {
    let text = field.text()?.value;
    let help = "write a folder: \"./data/archive\" or \"file:///var/lib/watchbell/archive\"";
    if let Some(path) = text.strip_prefix("file://") {
        if !path.starts_with('/') || path.contains(['%', '?', '#']) {
            field.refuse(format!("{} is not a plain file:///path", field.title()), help);
            return None;
        }
        return plan::absolute_path(field, path);
    }
    match text.split_once("://") {
        Some((scheme @ ("s3" | "gs" | "az"), _)) => {
            field.refuse(format!("{}: {scheme}:// is not available in this version", field.title()), help);
            None
        }
        Some((scheme, _)) => {
            field.refuse(format!("{}: unknown kind of address {}", field.title(), quote(scheme)), help);
            None
        }
        None => plan::absolute_path(field, text),
    }
}
