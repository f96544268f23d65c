//! What functions need beside the file: the files that they look things up in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use watchbell_functions::process::{PROGRAM_BYTES_MAX, Program, Table};
use watchbell_model::{Function, Plan};

/// Bytes that a file for lookups may have.
pub const LOOKUP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A function that is ready.
pub struct Loaded {
    /// As planned.
    pub function: Function,
    /// What it does.
    pub program: Program,
}

/// Functions by name.
pub type Functions = BTreeMap<String, Arc<Loaded>>;

/// Why a function cannot be made ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("function \"{function}\": {reason}")]
pub struct LoadError {
    /// The function.
    pub function: String,
    /// Why, with the file.
    pub reason: String,
}

/// Makes every function of a plan ready.
///
/// # Errors
/// Every one that cannot be, and why.
pub fn load(plan: &Plan) -> Result<Functions, Vec<LoadError>> {
    let (mut functions, mut errors) = (Functions::new(), Vec::new());
    for (name, function) in &plan.functions {
        match load_one(function) {
            Ok(program) => {
                let loaded = Loaded { function: function.clone(), program };
                functions.insert(name.clone(), Arc::new(loaded));
            }
            Err(reason) => errors.push(LoadError { function: name.clone(), reason }),
        }
    }
    if errors.is_empty() { Ok(functions) } else { Err(errors) }
}

fn load_one(function: &Function) -> Result<Program, String> {
    let mut tables = BTreeMap::new();
    for lookup in function.lookups() {
        let content =
            read(&lookup.file, LOOKUP_BYTES_MAX).map_err(|reason| format!("{}: {reason}", lookup.file))?;
        let table = Table::read(&content, &lookup.column);
        let table = table.map_err(|error| format!("{}: {error}", lookup.file))?;
        tables.insert((lookup.file.clone(), lookup.column.clone()), Arc::new(table));
    }
    let read_program =
        |path: &String| read(path, PROGRAM_BYTES_MAX).map_err(|reason| format!("{path}: {reason}"));
    let source = function.program.as_ref().map(read_program).transpose()?;
    Program::new(function, &tables, source.as_deref()).map_err(|error| error.to_string())
}

fn read(path: &str, bytes_max: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("more than {bytes_max} bytes"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}
