//! CloudWatch Logs: putting events into log streams, and looking which are there.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::http::HttpResponse;
use aws_sdk_cloudwatchlogs::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, RejectedLogEventsInfo};

use super::error::{AwsError, innermost, wrong};

/// How long an answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Pages that are looked at for one call: each has up to 10,000 events or 1 MiB.
const PAGES_MAX: usize = 200;

/// Something that does not exist.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// It exists already.
const EXISTS: &str = "ResourceAlreadyExistsException";

/// The client. It makes each call once: whoever calls must know what became of it.
#[derive(Clone)]
pub(crate) struct Logs {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
}

/// Which events of a call were not taken, as places in it: before, before, and from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// Before this: they happened more than 14 days ago.
    pub(crate) too_old_end: usize,
    /// Before this: they happened longer ago than the group keeps events.
    pub(crate) expired_end: usize,
    /// From this on: they are more than 2 hours ahead.
    pub(crate) too_new_start: Option<usize>,
}

/// Why a call did not put anything, or may have.
#[derive(Debug)]
pub(crate) enum PutError {
    /// There is no such stream, or no such group.
    NoStream,
    /// Nothing was stored.
    NotStored(AwsError),
    /// Nobody knows whether it was stored.
    Unknown(AwsError),
}

/// What is in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// These times and messages.
    Events(Vec<(i64, String)>),
    /// The stream does not exist.
    NoStream,
    /// More than is looked at.
    TooMany,
}

impl Logs {
    /// In the account and region of `config`.
    pub(crate) fn new(config: &SdkConfig) -> Logs {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_PATIENCE)
            .operation_attempt_timeout(ANSWER_PATIENCE)
            .build();
        let once = aws_sdk_cloudwatchlogs::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        Logs { client: Client::from_conf(once.build()), credentials: config.credentials_provider() }
    }

    /// Puts events, in the order of time, into a stream: all of them, but for those that are rejected, or none.
    pub(crate) async fn put(
        &self,
        group: &str,
        stream: &str,
        events: &[(i64, String)],
    ) -> Result<Rejected, PutError> {
        let events = events.iter().map(|(at, message)| {
            let event = InputLogEvent::builder().timestamp(*at).message(message).build();
            event.expect("it has a time and a message")
        });
        let call = self.client.put_log_events().log_group_name(group).log_stream_name(stream);
        match call.set_log_events(Some(events.collect())).send().await {
            Ok(put) => Ok(put.rejected_log_events_info().map(rejected).unwrap_or_default()),
            Err(error) => Err(self.put_error(&error).await),
        }
    }

    async fn put_error<E>(&self, error: &SdkError<E, HttpResponse>) -> PutError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let is_known = match error {
            // What failed inside the service may have come after it was stored.
            SdkError::ServiceError(answer) => answer.raw().status().is_client_error(),
            SdkError::ConstructionFailure(_) => true,
            _ => false,
        };
        if code(error) == Some(NOT_FOUND) {
            PutError::NoStream
        } else if is_known {
            PutError::NotStored(wrong("PutLogEvents", error))
        } else {
            PutError::Unknown(self.why("PutLogEvents", error).await)
        }
    }

    /// Makes a stream; one that is there already is as good. `None`: there is no such group.
    pub(crate) async fn create_stream(&self, group: &str, stream: &str) -> Result<Option<()>, AwsError> {
        let call = self.client.create_log_stream().log_group_name(group).log_stream_name(stream);
        match call.send().await {
            Ok(_) => Ok(Some(())),
            Err(error) if code(&error) == Some(EXISTS) => Ok(Some(())),
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(None),
            Err(error) => Err(self.why("CreateLogStream", &error).await),
        }
    }

    /// Whether there is a group of this name.
    pub(crate) async fn has_group(&self, group: &str) -> Result<bool, AwsError> {
        match self.client.describe_log_streams().log_group_name(group).limit(1).send().await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(false),
            Err(error) => Err(self.why("DescribeLogStreams", &error).await),
        }
    }

    /// What is in a stream, from one time to another, both included.
    pub(crate) async fn look(
        &self,
        group: &str,
        stream: &str,
        (first, last): (i64, i64),
    ) -> Result<Looked, AwsError> {
        let mut events = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let call = self.client.get_log_events().log_group_name(group).log_stream_name(stream);
            let call = call.start_time(first).end_time(last + 1).start_from_head(true);
            let page = match call.set_next_token(token.clone()).send().await {
                Ok(page) => page,
                Err(error) if code(&error) == Some(NOT_FOUND) => return Ok(Looked::NoStream),
                Err(error) => return Err(self.why("GetLogEvents", &error).await),
            };
            events.extend(page.events().iter().filter_map(|event| {
                Some((event.timestamp()?, event.message().unwrap_or_default().to_owned()))
            }));
            // At its end a stream gives the token that it was asked with. Source: API Reference, `GetLogEvents`.
            let next = page.next_forward_token().map(str::to_owned);
            if next.is_none() || next == token {
                return Ok(Looked::Events(events));
            }
            token = next;
        }
        Ok(Looked::TooMany)
    }

    /// What is wrong. The error of a call that found no credentials does not say so, so they are asked for.
    async fn why<E, R>(&self, call: &str, error: &SdkError<E, R>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + 'static,
    {
        if let (SdkError::DispatchFailure(_), Some(credentials)) = (error, &self.credentials)
            && let Err(error) = credentials.provide_credentials().await
        {
            return AwsError::NoCredentials { reason: innermost(&error) };
        }
        wrong(call, error)
    }
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn rejected(info: &RejectedLogEventsInfo) -> Rejected {
    let place = |place: i32| usize::try_from(place).unwrap_or(0);
    Rejected {
        too_old_end: info.too_old_log_event_end_index().map_or(0, place),
        expired_end: info.expired_log_event_end_index().map_or(0, place),
        too_new_start: info.too_new_log_event_start_index().map(place),
    }
}
