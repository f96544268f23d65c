//! The tree of an expression.

/// What a part of an expression gives. Known when it is read: no value decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One number for all slots.
    Scalar,
    /// One value for each slot.
    Series,
    /// Several series.
    List,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Finite and not negative: a sign is a `Negate`.
    Number(f64),
    Id(String),
    /// `METRICS()`, with the ids it stands for.
    Metrics {
        containing: Option<String>,
        ids: Vec<String>,
    },
    List(Vec<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    If {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    Fill(Box<Node>, Filler),
    Call(Function, Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filler {
    With(Box<Node>),
    Repeat,
    Linear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    Plus,
    Minus,
    Times,
    Divide,
    Power,
}

impl Operator {
    /// Every operator as it is printed. Longer ones come before those they begin with.
    pub(super) const ALL: [(&str, Operator); 13] = [
        ("OR", Operator::Or),
        ("AND", Operator::And),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("+", Operator::Plus),
        ("-", Operator::Minus),
        ("*", Operator::Times),
        ("/", Operator::Divide),
        ("^", Operator::Power),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).expect("ALL has every operator").0
    }

    /// The higher, the tighter. Negation stands between `*` and `^`.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Operator::Or => 1,
            Operator::And => 2,
            Operator::Equal
            | Operator::NotEqual
            | Operator::LessOrEqual
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::Greater => 3,
            Operator::Plus | Operator::Minus => 4,
            Operator::Times | Operator::Divide => 5,
            Operator::Power => 7,
        }
    }

    pub(super) fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// Whether it computes rather than judges.
    pub(super) fn is_arithmetic(self) -> bool {
        self.precedence() > 3
    }
}

/// Binds tighter than `*`, less than `^`.
pub(super) const NEGATE_PRECEDENCE: u8 = 6;

/// The functions of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Avg,
    Ceil,
    DatapointCount,
    Diff,
    DiffTime,
    First,
    Floor,
    Last,
    Log,
    Log10,
    Max,
    MetricCount,
    Min,
    Period,
    Rate,
    RunningSum,
    Sum,
    TimeSeries,
}

impl Function {
    pub(super) const ALL: [(&str, Function); 19] = [
        ("ABS", Function::Abs),
        ("AVG", Function::Avg),
        ("CEIL", Function::Ceil),
        ("DATAPOINT_COUNT", Function::DatapointCount),
        ("DIFF", Function::Diff),
        ("DIFF_TIME", Function::DiffTime),
        ("FIRST", Function::First),
        ("FLOOR", Function::Floor),
        ("LAST", Function::Last),
        ("LOG", Function::Log),
        ("LOG10", Function::Log10),
        ("MAX", Function::Max),
        ("METRIC_COUNT", Function::MetricCount),
        ("MIN", Function::Min),
        ("PERIOD", Function::Period),
        ("RATE", Function::Rate),
        ("RUNNING_SUM", Function::RunningSum),
        ("SUM", Function::Sum),
        ("TIME_SERIES", Function::TimeSeries),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, function)| *function == self).expect("ALL has every function").0
    }

    /// What it gives for an argument of `kind`; `None` if it takes no such argument.
    pub(super) fn result(self, kind: Kind) -> Option<Kind> {
        match self {
            Function::TimeSeries => (kind == Kind::Scalar).then_some(Kind::Series),
            Function::First | Function::Last => (kind == Kind::List).then_some(Kind::Series),
            Function::MetricCount => (kind == Kind::List).then_some(Kind::Scalar),
            Function::Period => (kind == Kind::Series).then_some(Kind::Scalar),
            Function::Avg | Function::DatapointCount | Function::Max | Function::Min | Function::Sum => {
                match kind {
                    Kind::Scalar => None,
                    Kind::Series => Some(Kind::Scalar),
                    Kind::List => Some(Kind::Series),
                }
            }
            Function::Abs
            | Function::Ceil
            | Function::Diff
            | Function::DiffTime
            | Function::Floor
            | Function::Log
            | Function::Log10
            | Function::Rate
            | Function::RunningSum => (kind != Kind::Scalar).then_some(kind),
        }
    }
}

/// Functions of CloudWatch that are not available here, and what helps instead.
pub(super) const NOT_AVAILABLE: [(&str, &str); 16] = [
    ("ANOMALY_DETECTION_BAND", "compare with a number, or with the series' own AVG"),
    ("DATE", WHEN),
    ("DAY", WHEN),
    ("DB_PERF_INSIGHTS", "there is no database to ask; name the metric"),
    ("EPOCH", WHEN),
    ("HOUR", WHEN),
    ("INSIGHT_RULE_METRIC", "name the metric"),
    ("MINUTE", WHEN),
    ("MONTH", WHEN),
    ("REMOVE_EMPTY", "SUM, AVG, MIN and MAX of a list pass over a series that has no value"),
    ("SEARCH", "name each metric and its id; METRICS(\"text\") takes those whose id contains a text"),
    ("SERVICE_QUOTA", "write the quota as a number"),
    ("SLICE", "name the series wanted: [m1, m2]"),
    ("SORT", "MAX and MIN of a list give the largest and smallest value of each slot"),
    ("STDDEV", "compare with a number, or with the series' own AVG"),
    ("YEAR", WHEN),
];

const WHEN: &str = "say when an alarm is silent with a schedule beside it";
