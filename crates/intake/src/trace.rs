//! Stack traces: which lines belong to one, language by language.
//!
//! A line that is indented belongs to the line before it. What stands at the left margin belongs to a trace if the language
//! writes it there. A trace belongs to the log line right before it, if that line says that something is wrong; after any
//! other line it is an event of its own.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};
use watchbell_model::{ParseKind, Severity};

/// How much of a line is kept to tell how grave it is, in bytes.
const HEAD_BYTES_MAX: usize = 256;

/// What traces of a language look like at the left margin.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The first line of a trace.
    opens: Regex,
    /// Lines within one.
    goes_on: Regex,
    /// Lines that say what the trace was of; then only a chained one follows.
    ends: Option<Regex>,
    /// Lines that belong to a trace although a blank line stands before them.
    after_blank: Option<Regex>,
    /// Lines after which the next one belongs to the trace whatever it is.
    takes_next: Option<Regex>,
}

/// Where a run of lines stands.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    state: State,
    /// The beginning of the event's first line.
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first line.
    #[default]
    Nothing,
    /// After an ordinary line.
    Line,
    /// After a blank line that is in no trace.
    Gap,
    /// Within a trace.
    Trace,
    /// After a line of it that takes the next one.
    Next,
    /// After its last line.
    Ended,
    /// After a blank line in it.
    Blank,
    /// After a line that announces one more.
    Chained,
}

impl Trace {
    /// Whether `line` belongs to the one before it.
    pub(crate) fn see(&mut self, rules: &Rules, line: &[u8]) -> bool {
        let (state, continues) = self.next(rules, line);
        if !continues {
            self.head.clear();
            self.head.extend_from_slice(&line[..line.len().min(HEAD_BYTES_MAX)]);
        }
        self.state = state;
        continues
    }

    fn next(&self, rules: &Rules, line: &[u8]) -> (State, bool) {
        use State::{Blank, Chained, Ended, Gap, Line, Next, Nothing, Trace};
        let fits = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(line));
        let within = if fits(&rules.takes_next) { Next } else { Trace };
        let in_trace = !matches!(self.state, Nothing | Line | Gap);
        match self.state {
            Next | Chained if line.is_empty() => return (Chained, true),
            Next => return (within, true),
            _ if line.is_empty() && in_trace && rules.after_blank.is_some() => return (Blank, true),
            _ if line.is_empty() => return (Gap, false),
            Blank if fits(&rules.after_blank) => return (Chained, true),
            _ => {}
        }
        if rules.opens.is_match(line) {
            let belongs = self.state == Chained || self.state == Line && self.is_grave();
            return (within, belongs);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return match self.state {
                // Of the first line it is not known what it continues: that was taken before.
                Nothing | Line => (Line, true),
                Gap | Blank => (Line, false),
                _ => (within, true),
            };
        }
        match self.state {
            Trace | Chained if fits(&rules.ends) => (Ended, true),
            Trace | Chained | Ended if rules.goes_on.is_match(line) => (within, true),
            _ => (Line, false),
        }
    }

    /// Whether the event's first line says that something is wrong.
    fn is_grave(&self) -> bool {
        let head = String::from_utf8_lossy(&self.head);
        watchbell_parse::parse(ParseKind::Plain, &head).severity >= Severity::Warn
    }
}

fn regex(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("a pattern of ours")
}

impl Rules {
    pub(crate) fn java() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(
                r#"^(?:Exception in thread "|(?:[A-Za-z_$][\w$]*\.)+(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable|Failure|Fault)(?::|$|\s))"#,
            ),
            goes_on: regex(r"^(?:Caused by: |Suppressed: |Wrapped by: |\.\.\. \d+ )"),
            ends: None,
            after_blank: None,
            takes_next: None,
        });
        &RULES
    }

    pub(crate) fn python() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(r"^ *(?:\+ Exception Group )?Traceback \(most recent call last\):"),
            goes_on: regex(r"^Traceback \(most recent call last\):"),
            ends: Some(regex(r"^[\w.]*[a-z]\w*(?:: |:?$)")),
            after_blank: Some(regex(
                r"^(?:During handling of the above exception|The above exception was the direct cause)",
            )),
            takes_next: None,
        });
        &RULES
    }

    pub(crate) fn go() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(r"^(?:panic: |fatal error: |.{0,64}http: panic serving )"),
            goes_on: regex(
                r"^(?:goroutine \d+ |created by |exit status \d|\[signal |panic: |runtime stack:|[\w./*()\[\]~\-]+\(.*\)$|r\w{1,2} +0x|\.\.\.additional frames)",
            ),
            ends: None,
            after_blank: Some(regex(r"^(?:goroutine \d+ |runtime stack:|\[signal |rax +0x|exit status \d)")),
            takes_next: None,
        });
        &RULES
    }

    pub(crate) fn node() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(
                r"^(?:(?:Uncaught )?[A-Za-z$_][\w$]*(?:Error|Exception)(?: \[\w+\])?(?::|$)|(?:Uncaught )?Error(?: \[\w+\])?(?::|$)|(?:/|file://|node:|[A-Z]:\\)\S+:\d+$|\(node:\d+\) )",
            ),
            goes_on: regex(r"^(?:[}\]]|\^+\s*$|Node\.js v\d)"),
            ends: None,
            after_blank: Some(regex(r"^(?:Node\.js v\d|Thrown at:|    at )")),
            takes_next: Some(regex(r"^(?:(?:/|file://|node:|[A-Z]:\\)\S+:\d+|\s*\^+\s*)$")),
        });
        &RULES
    }

    pub(crate) fn rust() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(r"^(?:thread '[^']*'(?: \(\d+\))? panicked at |Error: )"),
            goes_on: regex(r"^(?:note: |[Ss]tack backtrace:|Caused by:|Location:)"),
            ends: None,
            after_blank: Some(regex(r"^(?:[Ss]tack backtrace:|Caused by:|Location:|note: )")),
            takes_next: Some(regex(r"^thread '[^']*'(?: \(\d+\))? panicked at .*:\d+:\d+:$")),
        });
        &RULES
    }

    pub(crate) fn dotnet() -> &'static Rules {
        static RULES: LazyLock<Rules> = LazyLock::new(|| Rules {
            opens: regex(
                r"^(?:Unhandled exception[.:]|(?:[A-Za-z_]\w*\.)+(?:[A-Z]\w*)?(?:Exception|Error)(?::|$|\s))",
            ),
            goes_on: regex(r"^(?:--- End of |---> )"),
            ends: None,
            after_blank: None,
            takes_next: None,
        });
        &RULES
    }
}
