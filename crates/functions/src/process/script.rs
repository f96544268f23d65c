//! Programs in VRL, the Vector Remap Language. With the cargo feature `vrl`; without it a function that has a program is
//! refused.
//!
//! Promise: a program sees and changes the fields of one event, and nothing else: no environment, files, network, host or
//! log. It ends: VRL loops only over what is there, and expressions are counted.
//! Not here: reading the program's file.

use super::event::Event;

/// Bytes of a program's text.
pub const PROGRAM_BYTES_MAX: u64 = 256 * 1024;

/// Expressions that a program may come by for one event.
pub const EXPRESSIONS_MAX: u64 = 100_000;

/// What a program makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It goes on.
    Event,
    /// The program has aborted: the event ends here, and has not failed.
    #[cfg_attr(not(feature = "vrl"), expect(dead_code, reason = "only programs abort"))]
    Nothing,
}

#[cfg(feature = "vrl")]
pub(super) use with::Script;
#[cfg(not(feature = "vrl"))]
pub(super) use without::Script;

#[cfg(feature = "vrl")]
mod with {
    use std::ops::ControlFlow;

    use vrl::compiler::runtime::{Runtime, Terminate};
    use vrl::compiler::{Function, Program, TargetValue, TimeZone, compile};
    use vrl::diagnostic::Formatter;
    use vrl::value::{Secrets, Value};

    use super::super::value;
    use super::{EXPRESSIONS_MAX, Event, Left};

    /// Functions that do something beside the event: what they print would stand in Watchbell's own log.
    const LEFT_OUT: [&str; 1] = ["log"];

    /// A program, compiled.
    pub(in crate::process) struct Script(Program);

    impl Script {
        /// Compiles a text.
        ///
        /// # Errors
        /// What is wrong, each with its place drawn.
        pub(in crate::process) fn compile(source: &str) -> Result<Script, String> {
            let functions: Vec<Box<dyn Function>> =
                vrl::stdlib::all().into_iter().filter(|it| !LEFT_OUT.contains(&it.identifier())).collect();
            match compile(source, &functions) {
                Ok(compiled) => Ok(Script(compiled.program)),
                Err(diagnostics) => Err(Formatter::new(source, diagnostics).to_string().trim().to_owned()),
            }
        }

        /// Runs it over the fields of an event.
        ///
        /// # Errors
        /// Why it failed.
        pub(in crate::process) fn run(&self, event: &mut Event<'_>) -> Result<Left, String> {
            let fields = std::mem::take(event.fields_mut());
            let mut target = TargetValue {
                value: Value::from(serde_json::Value::from(value::Value::Object(fields))),
                metadata: Value::Object(std::collections::BTreeMap::new()),
                secrets: Secrets::default(),
            };
            let mut left = EXPRESSIONS_MAX;
            let mut control = || match left.checked_sub(1) {
                Some(fewer) => {
                    left = fewer;
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(()),
            };
            let zone = TimeZone::parse("UTC").expect("the zone is known");
            let outcome = Runtime::default().resolve_with_control(&mut target, &self.0, &zone, &mut control);
            match outcome {
                Ok(_) => {}
                Err(Terminate::Abort(_)) => return Ok(Left::Nothing),
                Err(Terminate::Error(error)) => return Err(error.to_string()),
                Err(Terminate::Interrupted) => {
                    return Err(format!("it came by more than {EXPRESSIONS_MAX} expressions"));
                }
            }
            let value: Result<serde_json::Value, _> = target.value.try_into();
            match value {
                Ok(serde_json::Value::Object(fields)) => {
                    *event.fields_mut() = fields.into();
                    Ok(Left::Event)
                }
                Ok(_) => Err("it leaves \".\" as something else than an object".to_owned()),
                Err(_) => Err("it leaves something that JSON does not have".to_owned()),
            }
        }
    }
}

#[cfg(not(feature = "vrl"))]
mod without {
    use super::{Event, Left};

    /// There is none.
    pub(in crate::process) enum Script {}

    impl Script {
        pub(in crate::process) fn compile(_source: &str) -> Result<Script, String> {
            let reason = "this watchbell was built without VRL; build it with --features vrl, or write steps";
            Err(reason.to_owned())
        }

        pub(in crate::process) fn run(&self, _event: &mut Event<'_>) -> Result<Left, String> {
            match *self {}
        }
    }
}
