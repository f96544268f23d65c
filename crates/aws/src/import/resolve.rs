//! What the functions and references of a template give, as far as the template and `--parameter` tell.
//!
//! Promise: no template makes this run out of stack or time; what is not told is [`Node::Unknown`] with the way out.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::document::DOCUMENT_DEPTH_MAX;
use super::node::{Map, Node};

/// How much resolving may make of one template, in bytes of text and values.
const RESOLVED_WEIGHT_MAX: usize = 64 * 1024 * 1024;

/// What `AWS::…` stands for if `--parameter` does not say, so that a text that holds it can be read at all.
pub(super) const PLACEHOLDERS: [(&str, &str); 2] =
    [("AWS::AccountId", "123456789012"), ("AWS::Region", "us-east-1")];

/// The property that `Ref` of a resource gives, if the template has it.
const NAMED_BY: [(&str, &str); 16] = [
    ("AWS::ApiGateway::RestApi", "Name"),
    ("AWS::CloudWatch::Alarm", "AlarmName"),
    ("AWS::CloudWatch::CompositeAlarm", "AlarmName"),
    ("AWS::CloudWatch::AlarmMuteRule", "Name"),
    ("AWS::DynamoDB::Table", "TableName"),
    ("AWS::ECS::Cluster", "ClusterName"),
    ("AWS::Kinesis::Stream", "Name"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::Logs::LogGroup", "LogGroupName"),
    ("AWS::Logs::MetricFilter", "FilterName"),
    ("AWS::RDS::DBInstance", "DBInstanceIdentifier"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::SSM::Parameter", "Name"),
    ("AWS::Serverless::Function", "FunctionName"),
    ("AWS::StepFunctions::StateMachine", "StateMachineName"),
];

/// Those of them that stand in what is imported: without a name of their own they are called after their logical ids.
const CALLED_AFTER_ID: [&str; 6] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::AlarmMuteRule",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::SNS::Topic",
];

/// Those before whose names `watchbell aws` puts the name of its stacks.
const HAS_PREFIX: [&str; 2] = ["AWS::CloudWatch::AlarmMuteRule", "AWS::SNS::Topic"];

/// Values from outside of a template, by the name of a parameter, of an `AWS::…` or of a resource.
pub type Parameters = BTreeMap<String, String>;

/// A template, and what is known beside it.
pub(super) struct Scope<'a> {
    template: &'a Node,
    given: &'a Parameters,
    /// Names of `given` that something asked for.
    asked: RefCell<BTreeSet<&'a str>>,
    /// What `AWS::StackName` is if nobody says.
    stack: &'a str,
    left: Cell<usize>,
    names: RefCell<BTreeMap<String, (Node, BTreeSet<&'static str>)>>,
    truths: RefCell<BTreeMap<String, Result<bool, String>>>,
    /// Placeholders that were used since they were last asked for.
    assumed: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(template: &'a Node, given: &'a Parameters, stack: &'a str) -> Scope<'a> {
        Scope {
            template,
            given,
            asked: RefCell::default(),
            stack,
            left: Cell::new(RESOLVED_WEIGHT_MAX),
            names: RefCell::default(),
            truths: RefCell::default(),
            assumed: RefCell::default(),
        }
    }

    /// The resources, by their logical ids.
    pub(super) fn resources(&self) -> Option<&'a Map> {
        self.template.get("Resources")?.as_map()
    }

    /// The value, with nothing left to resolve.
    pub(super) fn resolve(&self, node: &Node) -> Node {
        self.value(node, 0)
    }

    /// Whether the condition of that name holds; else why that is not known.
    pub(super) fn holds(&self, condition: &str) -> Result<bool, String> {
        self.condition(condition, 0)
    }

    /// What a resource is called, and whether the template says so itself.
    pub(super) fn name_of(&self, id: &str) -> Node {
        self.name(id, 0)
    }

    /// Values that were given for something that the template declares or refers to.
    pub(super) fn asked(&self) -> BTreeSet<&'a str> {
        let declared = self.template.get("Parameters").and_then(Node::as_map);
        let of_template = self.given.keys().filter(|name| declared.is_some_and(|it| it.contains_key(*name)));
        self.asked.borrow().iter().copied().chain(of_template.map(String::as_str)).collect()
    }

    /// What is given from outside.
    fn given(&self, name: &str) -> Option<&'a str> {
        let (name, value) = self.given.get_key_value(name)?;
        self.asked.borrow_mut().insert(name);
        Some(value)
    }

    /// Placeholders that were used since this was last asked.
    pub(super) fn take_assumed(&self) -> BTreeSet<&'static str> {
        self.assumed.take()
    }

    fn value(&self, node: &Node, depth: usize) -> Node {
        if depth > DOCUMENT_DEPTH_MAX {
            return Node::Unknown("what it refers to is nested too deep".to_owned());
        }
        let depth = depth + 1;
        match node {
            Node::Null => Node::Null,
            Node::Unknown(_) => node.clone(),
            Node::Text(text) => self.text(text.clone()),
            Node::List(items) => {
                let items = items.iter().map(|item| self.value(item, depth));
                Node::List(items.filter(|item| *item != Node::Null).collect())
            }
            Node::Map(map) => {
                if let Some((name, argument)) = node.function() {
                    return self.call(name, argument, depth);
                }
                let entries = map.iter().map(|(key, value)| (key.clone(), self.value(value, depth)));
                Node::Map(entries.filter(|(_, value)| *value != Node::Null).collect())
            }
        }
    }

    /// The text, as long as there is room.
    fn text(&self, text: String) -> Node {
        if self.has_room(text.len()) {
            return Node::Text(text);
        }
        Node::Unknown(format!("the template becomes longer than {RESOLVED_WEIGHT_MAX} bytes"))
    }

    fn has_room(&self, weight: usize) -> bool {
        let left = self.left.get().checked_sub(weight + 1);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    fn call(&self, name: &str, argument: &Node, depth: usize) -> Node {
        match name {
            "Ref" => match argument.as_text() {
                Some(name) => self.reference(name, depth),
                None => Node::Unknown("Ref without a name".to_owned()),
            },
            "Fn::GetAtt" => self.attribute(argument, depth),
            "Fn::Sub" => self.substitute(argument, depth),
            "Fn::Join" => self.join(argument, depth),
            "Fn::Split" => self.split(argument, depth),
            "Fn::Select" => self.select(argument, depth),
            "Fn::FindInMap" => self.find_in_map(argument, depth),
            "Fn::If" => self.choose(argument, depth),
            "Fn::ImportValue" => match self.value(argument, depth) {
                Node::Text(export) => match self.given(&export) {
                    Some(value) => self.text(value.to_owned()),
                    None => Node::Unknown(format!(
                        "{export} comes from another stack; --parameter {export}=VALUE gives it"
                    )),
                },
                other => unknown(other, "Fn::ImportValue without a name"),
            },
            _ => Node::Unknown(format!("{name} is not worked out here")),
        }
    }

    fn reference(&self, name: &str, depth: usize) -> Node {
        if let Some(given) = self.given(name) {
            let declared = self.template.get("Parameters").and_then(|parameters| parameters.get(name));
            return self.listed(given, declared);
        }
        match name {
            "AWS::NoValue" => return Node::Null,
            "AWS::Partition" => return self.text("aws".to_owned()),
            "AWS::URLSuffix" => return self.text("amazonaws.com".to_owned()),
            "AWS::StackName" => {
                self.assumed.borrow_mut().insert("AWS::StackName");
                return self.text(self.stack.to_owned());
            }
            _ => {}
        }
        if let Some((known, value)) = PLACEHOLDERS.iter().find(|(known, _)| *known == name) {
            self.assumed.borrow_mut().insert(known);
            return self.text((*value).to_owned());
        }
        if let Some(parameter) = self.template.get("Parameters").and_then(|parameters| parameters.get(name)) {
            return self.parameter(name, parameter);
        }
        if let Some(resource) = self.resources().and_then(|resources| resources.get(name)) {
            let called = self.name(name, depth);
            let is_topic = resource.get("Type").and_then(Node::as_text) == Some("AWS::SNS::Topic");
            return if is_topic { self.arn("sns", &called) } else { called };
        }
        Node::Unknown(format!("there is no parameter or resource {name}; --parameter {name}=VALUE gives it"))
    }

    fn parameter(&self, name: &str, parameter: &Node) -> Node {
        let way_out = format!("--parameter {name}=VALUE gives it");
        let kind = parameter.get("Type").and_then(Node::as_text).unwrap_or("String");
        if parameter.get("NoEcho").and_then(Node::as_text) == Some("true") {
            return Node::Unknown(format!("parameter {name} is secret (NoEcho); {way_out}"));
        }
        if kind.starts_with("AWS::SSM::Parameter::Value") {
            return Node::Unknown(format!("parameter {name} stands in Systems Manager; {way_out}"));
        }
        match parameter.get("Default").and_then(Node::as_text) {
            Some(default) => self.listed(default, Some(parameter)),
            None => Node::Unknown(format!("parameter {name} has no default; {way_out}")),
        }
    }

    /// A parameter's value: a list if it is declared as one.
    fn listed(&self, value: &str, declared: Option<&Node>) -> Node {
        let kind = declared.and_then(|parameter| parameter.get("Type")).and_then(Node::as_text).unwrap_or("");
        if kind == "CommaDelimitedList" || kind.starts_with("List<") {
            return Node::List(value.split(',').map(|item| self.text(item.trim().to_owned())).collect());
        }
        self.text(value.to_owned())
    }

    /// What a resource is called; each is worked out once.
    fn name(&self, id: &str, depth: usize) -> Node {
        if let Some((name, assumed)) = self.names.borrow().get(id) {
            self.assumed.borrow_mut().extend(assumed);
            let fits = self.has_room(name.weight());
            return if fits { name.clone() } else { self.text(String::new()) };
        }
        let circle = Node::Unknown(format!("the name of {id} refers to itself"));
        self.names.borrow_mut().insert(id.to_owned(), (circle, BTreeSet::new()));
        let before = self.assumed.take();
        let name = self.name_anew(id, depth);
        let assumed = self.assumed.replace(before);
        self.assumed.borrow_mut().extend(&assumed);
        self.names.borrow_mut().insert(id.to_owned(), (name.clone(), assumed));
        name
    }

    fn name_anew(&self, id: &str, depth: usize) -> Node {
        let made_up = || {
            Node::Unknown(format!(
                "CloudFormation makes up the name of {id}; --parameter {id}=VALUE gives it"
            ))
        };
        let Some(resource) = self.resources().and_then(|resources| resources.get(id)) else {
            return made_up();
        };
        let kind = resource.get("Type").and_then(Node::as_text).unwrap_or("");
        let property = NAMED_BY.iter().find(|(known, _)| *known == kind).map(|(_, property)| property);
        let written = property.and_then(|property| resource.get("Properties")?.get(property));
        match written.map_or(Node::Null, |written| self.value(written, depth)) {
            Node::Text(name) if HAS_PREFIX.contains(&kind) => match self.own_prefix() {
                Some(prefix) => Node::Text(name.strip_prefix(&prefix).unwrap_or(&name).to_owned()),
                None => Node::Text(name),
            },
            Node::Null if CALLED_AFTER_ID.contains(&kind) => self.text(id.to_owned()),
            Node::Null => made_up(),
            name => name,
        }
    }

    /// What `watchbell aws` puts before some names, if it made this template.
    fn own_prefix(&self) -> Option<String> {
        let description = self.template.get("Description")?.as_text()?;
        description.strip_suffix(": pipeline").map(|name| format!("{name}-"))
    }

    fn arn(&self, service: &str, name: &Node) -> Node {
        let [account, region] = PLACEHOLDERS.map(|(known, value)| self.given(known).unwrap_or(value));
        match name {
            Node::Text(name) => self.text(format!("arn:aws:{service}:{region}:{account}:{name}")),
            other => other.clone(),
        }
    }

    fn attribute(&self, argument: &Node, depth: usize) -> Node {
        let parts: Vec<&str> = match argument {
            Node::Text(path) => path.splitn(2, '.').collect(),
            other => other.items().iter().filter_map(Node::as_text).collect(),
        };
        let [id, attribute] = parts[..] else { return Node::Unknown("Fn::GetAtt without a name".to_owned()) };
        let resource = self.resources().and_then(|resources| resources.get(id));
        let kind = resource.and_then(|resource| resource.get("Type")).and_then(Node::as_text).unwrap_or("");
        let called = |prefix: &str| match self.name(id, depth) {
            Node::Text(name) => Node::Text(prefix.to_owned() + &name),
            other => other,
        };
        match (kind, attribute) {
            ("AWS::SNS::Topic", "TopicName") => called(""),
            ("AWS::SNS::Topic", "TopicArn") => self.arn("sns", &called("")),
            ("AWS::CloudWatch::Alarm" | "AWS::CloudWatch::CompositeAlarm", "Arn") => {
                self.arn("cloudwatch", &called("alarm:"))
            }
            ("AWS::Logs::LogGroup", "Arn") => match self.arn("logs", &called("log-group:")) {
                Node::Text(arn) => self.text(arn + ":*"),
                other => other,
            },
            _ => match self.given(&format!("{id}.{attribute}")) {
                Some(value) => self.text(value.to_owned()),
                None => Node::Unknown(format!(
                    "{id}.{attribute} is known only on AWS; --parameter {id}.{attribute}=VALUE gives it"
                )),
            },
        }
    }

    fn substitute(&self, argument: &Node, depth: usize) -> Node {
        let (text, own) = match argument {
            Node::List(parts) => (parts.first(), parts.get(1).and_then(Node::as_map)),
            other => (Some(other), None),
        };
        let Some(text) = text.and_then(Node::as_text) else {
            return Node::Unknown("Fn::Sub without a text".to_owned());
        };
        let mut result = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let Some(end) = from.find('}') else { break };
            let name = &from[2..end];
            result += before;
            rest = &from[end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                result.extend(["${", literal, "}"]);
                continue;
            }
            let name = name.trim();
            let value = match own.and_then(|own| own.get(name)) {
                Some(own) => self.value(own, depth),
                None if name.contains('.') => self.attribute(&Node::Text(name.to_owned()), depth),
                None => self.reference(name, depth),
            };
            match value {
                Node::Text(value) => result += &value,
                other => return unknown(other, &format!("${{{name}}} is no text")),
            }
        }
        self.text(result + rest)
    }

    fn join(&self, argument: &Node, depth: usize) -> Node {
        let [Node::Text(separator), items] = argument.items() else {
            return Node::Unknown("Fn::Join without a separator and a list".to_owned());
        };
        let items = self.value(items, depth);
        if matches!(items, Node::Unknown(_)) {
            return items;
        }
        let mut texts = Vec::new();
        for item in items.items() {
            match item {
                Node::Text(text) => texts.push(text.as_str()),
                other => return unknown(other.clone(), "Fn::Join of what is no text"),
            }
        }
        if !self.has_room(separator.len().saturating_mul(texts.len())) {
            return self.text(String::new());
        }
        self.text(texts.join(separator))
    }

    fn split(&self, argument: &Node, depth: usize) -> Node {
        let [Node::Text(separator), text] = argument.items() else {
            return Node::Unknown("Fn::Split without a separator and a text".to_owned());
        };
        match self.value(text, depth) {
            Node::Text(text) if !separator.is_empty() => {
                Node::List(text.split(separator).map(|part| self.text(part.to_owned())).collect())
            }
            other => unknown(other, "Fn::Split of what is no text"),
        }
    }

    fn select(&self, argument: &Node, depth: usize) -> Node {
        let [index, list] = argument.items() else {
            return Node::Unknown("Fn::Select without an index and a list".to_owned());
        };
        let (index, list) = (self.value(index, depth), self.value(list, depth));
        let at = index.as_text().and_then(|index| index.parse::<usize>().ok());
        match (at, list) {
            (_, Node::Unknown(reason)) => Node::Unknown(reason),
            (Some(at), Node::List(mut items)) if at < items.len() => items.swap_remove(at),
            _ => unknown(index, "Fn::Select beyond the list"),
        }
    }

    fn find_in_map(&self, argument: &Node, depth: usize) -> Node {
        let [map, first, second, ..] = argument.items() else {
            return Node::Unknown("Fn::FindInMap without a map and two keys".to_owned());
        };
        let mut found = self.template.get("Mappings");
        for key in [map, first, second] {
            match self.value(key, depth) {
                Node::Text(key) => found = found.and_then(|found| found.get(&key)),
                other => return unknown(other, "Fn::FindInMap with a key that is no text"),
            }
        }
        match found {
            Some(found) => self.value(found, depth),
            None => Node::Unknown("Fn::FindInMap finds nothing".to_owned()),
        }
    }

    fn choose(&self, argument: &Node, depth: usize) -> Node {
        let [Node::Text(condition), yes, no] = argument.items() else {
            return Node::Unknown("Fn::If without a condition and two values".to_owned());
        };
        match self.condition(condition, depth) {
            Ok(holds) => self.value(if holds { yes } else { no }, depth),
            Err(reason) => Node::Unknown(reason),
        }
    }

    /// Whether a condition holds; each is worked out once.
    fn condition(&self, name: &str, depth: usize) -> Result<bool, String> {
        if let Some(truth) = self.truths.borrow().get(name) {
            return truth.clone();
        }
        let circle = Err(format!("condition {name} refers to itself"));
        self.truths.borrow_mut().insert(name.to_owned(), circle);
        let written = self.template.get("Conditions").and_then(|conditions| conditions.get(name));
        let truth = match written {
            Some(written) => self
                .truth(written, depth)
                .map_err(|reason| format!("whether condition {name} holds is not known: {reason}")),
            None => Err(format!("there is no condition {name}")),
        };
        self.truths.borrow_mut().insert(name.to_owned(), truth.clone());
        truth
    }

    fn truth(&self, node: &Node, depth: usize) -> Result<bool, String> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Err("it is nested too deep".to_owned());
        }
        let depth = depth + 1;
        if let Some(name) = node.get("Condition").and_then(Node::as_text) {
            return self.condition(name, depth);
        }
        let Some((name, argument)) = node.function() else {
            return Err("it is no function of conditions".to_owned());
        };
        let truths = || argument.items().iter().map(|item| self.truth(item, depth));
        match name {
            "Fn::Equals" => match argument.items() {
                [left, right] => match (self.value(left, depth), self.value(right, depth)) {
                    (Node::Unknown(reason), _) | (_, Node::Unknown(reason)) => Err(reason),
                    (left, right) => Ok(left == right),
                },
                _ => Err("Fn::Equals without two values".to_owned()),
            },
            "Fn::Not" => {
                truths().next().unwrap_or(Err("Fn::Not without a condition".to_owned())).map(|it| !it)
            }
            // One part may decide although another is not known.
            "Fn::And" => decided(truths(), false),
            "Fn::Or" => decided(truths(), true),
            _ => Err(format!("{name} is not worked out here")),
        }
    }
}

/// `deciding` if one of the truths is that; else the opposite, if all are known.
fn decided(truths: impl Iterator<Item = Result<bool, String>>, deciding: bool) -> Result<bool, String> {
    let mut result = Ok(!deciding);
    for truth in truths {
        match truth {
            Ok(truth) if truth == deciding => return Ok(deciding),
            Ok(_) => {}
            Err(reason) => result = Err(reason),
        }
    }
    result
}

/// The reason that the value has, or that it is of the wrong kind.
fn unknown(value: Node, otherwise: &str) -> Node {
    match value {
        Node::Unknown(_) => value,
        _ => Node::Unknown(otherwise.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Env: {Type: String, Default: prod}
  Limit: {Type: Number}
  Hosts: {Type: CommaDelimitedList, Default: 'a, b'}
  Key: {Type: String, NoEcho: true, Default: hunter2}
Mappings: {Levels: {prod: {high: 10}}}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  IsLarge: !Equals [!Ref Limit, '5']
  Either: !Or [!Condition IsLarge, !Condition IsProd]
  Both: !And [!Condition IsLarge, !Not [!Condition IsProd]]
  Round: !Not [!Condition Round]
Resources:
  Ops: {Type: 'AWS::SNS::Topic', Properties: {TopicName: !Sub 'ops-${Env}'}}
  Bare: {Type: 'AWS::SNS::Topic'}
  Fn: {Type: 'AWS::Lambda::Function'}
  Named: {Type: 'AWS::Lambda::Function', Properties: {FunctionName: !Join ['-', [shop, !Ref Env]]}}
  A: {Type: 'AWS::Logs::LogGroup', Properties: {LogGroupName: !Ref B}}
  B: {Type: 'AWS::Logs::LogGroup', Properties: {LogGroupName: !Ref A}}
";

    fn resolved(given: &[(&str, &str)], expression: &str) -> Node {
        let template = yaml::read(TEMPLATE).unwrap();
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let scope = Scope::new(&template, &given, "shop");
        scope.resolve(yaml::read(&format!("x: {expression}")).unwrap().get("x").unwrap())
    }

    #[track_caller]
    fn gives(expression: &str, expected: &str) {
        assert_eq!(resolved(&[], expression), Node::Text(expected.to_owned()), "{expression}");
    }

    #[track_caller]
    fn fails(expression: &str, expected: &str) {
        let Node::Unknown(reason) = resolved(&[], expression) else { panic!("{expression} is known") };
        assert!(reason.contains(expected), "{expression}: {reason}");
    }

    #[test]
    fn what_the_template_tells_is_found() {
        gives("!Ref Env", "prod");
        gives("!Sub '/${AWS::StackName}/${Env}-${!x}-${AWS::Region}'", "/shop/prod-${x}-us-east-1");
        gives("!Sub ['${a}${Env}', {a: !Ref Env}]", "prodprod");
        gives("!Ref Ops", "arn:aws:sns:us-east-1:123456789012:ops-prod");
        gives("!GetAtt Bare.TopicName", "Bare");
        gives("!Sub '/aws/lambda/${Named}'", "/aws/lambda/shop-prod");
        gives("!FindInMap [Levels, !Ref Env, high]", "10");
        gives("!Select [1, !Ref Hosts]", "b");
        gives("!Select [2, !Split ['/', 'a/b/c']]", "c");
        gives("!If [IsProd, a, b]", "a");
        gives("!If [Either, a, b]", "a");
        gives("!If [Both, a, b]", "b");
        assert_eq!(resolved(&[("Limit", "5")], "!If [IsLarge, a, b]"), Node::Text("a".to_owned()));
        assert_eq!(
            resolved(&[("AWS::Region", "eu-west-1")], "!Ref AWS::Region"),
            Node::Text("eu-west-1".to_owned())
        );
        assert_eq!(resolved(&[("Fn", "f")], "!Sub '${Fn}'"), Node::Text("f".to_owned()));
        assert_eq!(resolved(&[], "[!If [IsProd, !Ref 'AWS::NoValue', b]]"), Node::List(Vec::new()));
    }

    #[test]
    fn what_it_does_not_tell_comes_with_the_way_out() {
        fails("!Ref Limit", "--parameter Limit=VALUE");
        fails("!Sub '${Limit}'", "parameter Limit has no default");
        fails("!Ref Key", "secret");
        fails("!Sub '/aws/lambda/${Fn}'", "--parameter Fn=VALUE");
        fails("!GetAtt Fn.Arn", "--parameter Fn.Arn=VALUE");
        fails("!If [IsLarge, a, b]", "condition IsLarge");
        fails("!If [Round, a, b]", "refers to itself");
        fails("!Ref A", "refers to itself");
        fails("!Ref Nobody", "no parameter or resource Nobody");
        fails("!ImportValue net", "--parameter net=VALUE");
        fails("!Cidr [a]", "Fn::Cidr is not worked out here");
    }

    #[test]
    fn names_that_double_each_other_end() {
        let group = |n: usize, name: &str| {
            format!("  G{n}: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: !Sub '{name}'}}}}")
        };
        let mut lines = vec!["Resources:".to_owned(), group(60, "x")];
        lines.extend((0..60).map(|n| group(n, &format!("${{G{next}}}${{G{next}}}", next = n + 1))));
        let text = lines.join("\n");
        let template = yaml::read(&text).unwrap();
        let given = Parameters::new();
        let scope = Scope::new(&template, &given, "shop");
        assert!(matches!(scope.name_of("G0"), Node::Unknown(_)));
    }
}
