//! `[roles.NAME]` and `[tokens.NAME]`

use watchbell_model::{Access, Action, Role, Statement, Token};

use crate::names::Names;
use crate::problem::{Problem, quote};
use crate::reader::{Field, Table, Text};
use crate::{keys, name, secret};

pub(crate) fn read<'a>(root: &mut Table<'a>, role_names: &Names<'a>) -> Access {
    let mut access = Access::default();
    for (name, entry) in root.named("roles", "role") {
        name::check(entry.context, &name::ROLE, name.value, name.span.clone());
        let statements = entry.entries(&name).into_iter().filter_map(statement).collect();
        access.roles.insert(name.value.to_owned(), Role { statements });
    }
    for (name, entry) in root.named("tokens", "token") {
        name::check(entry.context, &name::TOKEN, name.value, name.span.clone());
        let token = entry.entry(&name).and_then(|table| token(table, role_names));
        access.tokens.extend(token.map(|token| (name.value.to_owned(), token)));
    }
    access
}

fn statement(mut table: Table<'_>) -> Option<Statement> {
    let allow = table.need("allow").map(|field| {
        let texts = not_empty(&field);
        texts.iter().filter_map(|text| action(&field, text)).collect()
    });
    let on =
        table.need("on").map(|field| not_empty(&field).iter().map(|text| text.value.to_owned()).collect());
    table.finish();
    Some(Statement { allow: allow?, on: on? })
}

/// The strings of a field that must have some.
fn not_empty<'a>(field: &Field<'a>) -> Vec<Text<'a>> {
    let texts = field.texts();
    let is_empty_array = field.value().as_array().is_some_and(|items| items.is_empty());
    if is_empty_array || texts.iter().any(|text| text.value.is_empty()) {
        field.refuse(format!("{} is empty", field.title()), "name at least one, or remove the table");
    }
    texts
}

fn action(field: &Field<'_>, text: &Text<'_>) -> Option<Action> {
    let names = Action::ALL.map(Action::as_str);
    let action = Action::ALL.into_iter().find(|action| action.as_str() == text.value);
    if action.is_none() {
        let help = match field.context.suggest(text.value, names) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("the actions are {}", keys::quoted(&names)),
        };
        let message = format!("unknown action {} in {}", quote(text.value), field.owner());
        field.context.report(Problem::error(text.span.clone(), message).help(help));
    }
    action
}

fn token(mut table: Table<'_>, role_names: &Names<'_>) -> Option<Token> {
    let value = table.need("value").and_then(|field| secret::read(&field));
    let roles = table.need("roles").map(|field| {
        let texts = not_empty(&field);
        texts
            .iter()
            .filter(|text| role_names.resolve(field.context, text, field.owner()))
            .map(|text| text.value.to_owned())
            .collect()
    });
    table.finish();
    Some(Token { value: value?, roles: roles? })
}
