//! The values of secrets, read once when a plan comes into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchbell_intake::Redactor;
use watchbell_model::{Agent, Channel, Plan, SecretRef, Timestamp, Url};
use watchbell_notify::{Client, Console, Notifier, SendError, Slack, Webhook, WriteText};
use watchbell_server::AccessInForce;

use super::clock::Clock;
use super::dispatcher::Address;

/// Why a secret has no value, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{user}: {reason}", .secret.as_ref().map(|secret| format!("secret \"{secret}\", needed by ")).unwrap_or_default())]
pub struct SecretError {
    /// Its name; `None` for an address that stands in the file.
    pub secret: Option<SecretRef>,
    /// What needs it.
    pub user: String,
    /// Why.
    pub reason: String,
}

/// Everything that needs a secret, made ready.
pub struct Unlocked {
    /// Who may call.
    pub access: AccessInForce,
    /// Who can be told.
    pub notifiers: BTreeMap<Address, Arc<dyn Notifier>>,
    /// The web addresses that functions post to, by function.
    pub hooks: BTreeMap<String, Arc<Webhook>>,
    /// Which secrets were read, and for what.
    pub read: Vec<(SecretRef, String)>,
    /// Takes their values, and what else the plan says, out of lines.
    pub redactor: Arc<Redactor>,
}

/// Some secrets could not be had or used; others were read all the same.
#[derive(Debug)]
pub struct Locked {
    /// Every one that could not.
    pub errors: Vec<SecretError>,
    /// Those that were read, and for what.
    pub read: Vec<(SecretRef, String)>,
}

/// Makes a new writer to the console.
pub type NewConsole = dyn Fn() -> WriteText + Send + Sync;

/// Reads every secret that the plan mentions and makes ready what needs them.
///
/// # Errors
/// [`Locked`] if a secret has no value, or one that cannot be used.
pub fn unlock(
    plan: &Plan,
    client: &Client,
    clock: &Arc<dyn Clock>,
    colour: bool,
    console: &NewConsole,
) -> Result<Unlocked, Locked> {
    let mut reader = Reader { read: Vec::new(), values: Vec::new(), errors: Vec::new() };
    let mut values = BTreeMap::new();
    for (name, token) in &plan.access.tokens {
        if let Some(value) = reader.value(&token.value, format!("token \"{name}\"")) {
            values.insert(name.clone(), value.into_bytes());
        }
    }
    let mut notifiers: BTreeMap<Address, Arc<dyn Notifier>> = BTreeMap::new();
    for (name, topic) in &plan.topics {
        for subscription in &topic.subscriptions {
            let user = format!("topic \"{name}\", {}", subscription.name);
            if let Some(notifier) =
                reader.notifier(&subscription.channel, &user, client, clock, colour, console)
            {
                notifiers.insert((name.clone(), subscription.name.clone()), notifier);
            }
        }
    }
    let mut hooks = BTreeMap::new();
    for (name, function) in &plan.functions {
        let Some(hook) = &function.webhook else { continue };
        let user = format!("function \"{name}\", webhook");
        let made = reader.webhook(&hook.url, hook.signing_key.as_ref(), &user, client, clock);
        hooks.extend(made.map(|made| (name.clone(), Arc::new(made))));
    }
    let Reader { read, values: secrets, errors } = reader;
    if errors.is_empty() {
        let redactor = Redactor::new(&plan.redaction, &secrets).expect("the plan was checked");
        let (access, redactor) = (AccessInForce::new(plan.access.clone(), values), Arc::new(redactor));
        Ok(Unlocked { access, notifiers, hooks, read, redactor })
    } else {
        Err(Locked { errors, read })
    }
}

/// What an agent needs that is secret, or made of secrets.
pub struct AgentUnlocked {
    /// What it shows to the other side.
    pub token: Option<String>,
    /// Which secrets were read, and for what.
    pub read: Vec<(SecretRef, String)>,
    /// Takes their values, and what else the plan says, out of lines.
    pub redactor: Arc<Redactor>,
}

/// Reads the secrets that an agent needs.
///
/// # Errors
/// [`Locked`] if one has no value.
pub fn unlock_agent(plan: &Plan, agent: &Agent) -> Result<AgentUnlocked, Locked> {
    let mut reader = Reader { read: Vec::new(), values: Vec::new(), errors: Vec::new() };
    let token = agent.token.as_ref().and_then(|token| reader.value(token, "agent token".to_owned()));
    let Reader { read, values, errors } = reader;
    if !errors.is_empty() {
        return Err(Locked { errors, read });
    }
    let redactor = Arc::new(Redactor::new(&plan.redaction, &values).expect("the plan was checked"));
    Ok(AgentUnlocked { token, read, redactor })
}

struct Reader {
    /// Every value that was read.
    values: Vec<String>,
    read: Vec<(SecretRef, String)>,
    errors: Vec<SecretError>,
}

impl Reader {
    /// The value; a missing or empty one is an error that is remembered.
    fn value(&mut self, secret: &SecretRef, user: String) -> Option<String> {
        let value = match secret {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(value) => Ok(value),
                Err(std::env::VarError::NotPresent) => Err("the environment variable is not set".to_owned()),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err("the environment variable is not UTF-8".to_owned())
                }
            },
            SecretRef::File(path) => std::fs::read_to_string(path).map_err(|error| error.to_string()),
            SecretRef::Store(_) => {
                Err("this version has no store of secrets beside AWS: use { env = … } or { file = … }"
                    .to_owned())
            }
        };
        let trimmed = value.map(|value| {
            let value = value.strip_suffix('\n').unwrap_or(&value);
            value.strip_suffix('\r').unwrap_or(value).to_owned()
        });
        match trimmed
            .and_then(|value| if value.is_empty() { Err("it is empty".to_owned()) } else { Ok(value) })
        {
            Ok(value) => {
                self.read.push((secret.clone(), user));
                self.values.push(value.clone());
                Some(value)
            }
            Err(reason) => {
                self.errors.push(SecretError { secret: Some(secret.clone()), user, reason });
                None
            }
        }
    }

    fn notifier(
        &mut self,
        channel: &Channel,
        user: &str,
        client: &Client,
        clock: &Arc<dyn Clock>,
        colour: bool,
        console: &NewConsole,
    ) -> Option<Arc<dyn Notifier>> {
        match channel {
            Channel::Console => Some(Arc::new(Console::new(colour, console()))),
            Channel::Webhook { url, signing_key } => {
                let made = self.webhook(url, signing_key.as_ref(), user, client, clock)?;
                Some(Arc::new(made))
            }
            Channel::Slack { webhook_url } => {
                let address = self.value(webhook_url, format!("{user} webhook_url"))?;
                self.usable(Slack::new(client.clone(), &address), Some(webhook_url), user)
            }
            // The engine names nobody who is told through these.
            Channel::Email(_) | Channel::Sms { .. } => None,
        }
    }

    fn webhook(
        &mut self,
        url: &Url,
        signing_key: Option<&SecretRef>,
        user: &str,
        client: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Option<Webhook> {
        let address = match url {
            Url::Literal(address) => Some(address.clone()),
            Url::Secret(secret) => self.value(secret, format!("{user} url")),
        };
        let key = signing_key.map(|secret| self.value(secret, format!("{user} signing_key")));
        let key = key.map_or(Some(None), |value| value.map(Some));
        let (address, key) = (address?, key?);
        let clock = Arc::clone(clock);
        let now: watchbell_notify::Clock = Arc::new(move || -> Timestamp { clock.now() });
        let named = if let Url::Secret(secret) = url { Some(secret) } else { None };
        let unsigned =
            self.made(Webhook::new(client.clone(), &address, None, Arc::clone(&now)), named, user)?;
        let Some(key) = key else { return Some(unsigned) };
        self.made(Webhook::new(client.clone(), &address, Some(&key), now), signing_key, user)
    }

    fn usable<N: Notifier + 'static>(
        &mut self,
        made: Result<N, SendError>,
        secret: Option<&SecretRef>,
        user: &str,
    ) -> Option<Arc<dyn Notifier>> {
        Some(Arc::new(self.made(made, secret, user)?))
    }

    fn made<N>(&mut self, made: Result<N, SendError>, secret: Option<&SecretRef>, user: &str) -> Option<N> {
        let refused = |error: SendError| {
            let (secret, user) = (secret.cloned(), user.to_owned());
            self.errors.push(SecretError { secret, user, reason: error.to_string() });
        };
        made.map_err(refused).ok()
    }
}
