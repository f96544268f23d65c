//! What can go wrong with AWS, in words.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// Nobody says who is calling.
    #[error("no credentials for AWS: {reason}")]
    NoCredentials {
        /// What the chain of credentials says.
        reason: String,
    },
    /// Somebody says it, and AWS does not believe it.
    #[error("{call}: AWS does not accept the credentials: {message}")]
    Credentials {
        /// What was asked.
        call: String,
        /// What AWS says.
        message: String,
    },
    /// The caller may not do it.
    #[error("{call}: AWS denies it: {message}")]
    Denied {
        /// What was asked.
        call: String,
        /// What AWS says.
        message: String,
    },
    /// AWS had too much to do, every time.
    #[error("{call}: AWS asks for fewer calls, and did so each time it was tried again: {message}")]
    Throttled {
        /// What was asked.
        call: String,
        /// What AWS says.
        message: String,
    },
    /// Nothing came back.
    #[error("{call}: no answer: {reason}")]
    NoAnswer {
        /// What was asked.
        call: String,
        /// What happened.
        reason: String,
    },
    /// AWS says no.
    #[error("{call}: {message} ({code})")]
    Refused {
        /// What was asked.
        call: String,
        /// The code of the error.
        code: String,
        /// What AWS says.
        message: String,
    },
    /// Somebody else is changing the stack.
    #[error("stack {stack} is being changed by somebody else: {status}")]
    Busy {
        /// The stack.
        stack: String,
        /// What it is doing.
        status: String,
    },
    /// A stack of the name is there, and was not made by Watchbell for this plan.
    #[error("stack {stack} is there, and Watchbell has not made it")]
    Foreign {
        /// The stack.
        stack: String,
    },
    /// It is in a state that needs a person.
    #[error("stack {stack} is {status}{}", .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Stuck {
        /// The stack.
        stack: String,
        /// Its status.
        status: String,
        /// What AWS says about it.
        reason: Option<String>,
    },
    /// The template does not fit into a call, and there is no bucket that it could be sent through.
    #[error("the template of {stack} has {bytes} bytes, and a call takes {max}")]
    NoBucket {
        /// The stack.
        stack: String,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// CloudFormation cannot make a change set of the template.
    #[error("stack {stack}: CloudFormation does not take the template: {reason}")]
    ChangeSet {
        /// The stack.
        stack: String,
        /// What it says.
        reason: String,
    },
    /// Now it would lose or replace what was not shown before.
    #[error("stack {stack}: more would be replaced or removed than was shown: {}", .resources.join(", "))]
    MoreThanShown {
        /// The stack.
        stack: String,
        /// What.
        resources: Vec<String>,
    },
    /// A change was begun and did not succeed.
    #[error("stack {stack} is {status}: {resource}: {reason}")]
    Failed {
        /// The stack.
        stack: String,
        /// Its status now.
        status: String,
        /// The resource that failed first, with its type.
        resource: String,
        /// What AWS says about that.
        reason: String,
    },
}

impl AwsError {
    /// The way out.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            AwsError::NoCredentials { .. } => {
                "log in with `aws sso login` or `aws configure`, set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            }
            AwsError::Credentials { .. } => "they may have expired: log in again",
            AwsError::Denied { .. } => "the message names the action that the caller's policies must allow",
            AwsError::Throttled { .. } => "run it again in a minute: what is done already stays done",
            AwsError::NoAnswer { .. } => "check the network, and `region` and `endpoint` in [aws]",
            AwsError::Busy { .. } => "run it again when that is over; `watchbell aws status` says so",
            AwsError::Foreign { .. } => "choose another `name` in [aws]",
            AwsError::Stuck { status, .. } if status == "UPDATE_ROLLBACK_FAILED" => {
                "mend what its events name, then continue the rollback in the console of CloudFormation"
            }
            AwsError::Stuck { .. } => {
                "its events in the console of CloudFormation say why; `watchbell aws destroy` removes it"
            }
            AwsError::NoBucket { .. } => {
                "name a bucket in [aws.artifacts]: large templates are put there under `templates/`"
            }
            AwsError::MoreThanShown { .. } => "run it again to see all of it",
            AwsError::Failed { status, .. } if status == "ROLLBACK_COMPLETE" => {
                "nothing of it is left but what is retained; the next `watchbell aws deploy` makes it anew"
            }
            AwsError::Failed { status, .. } if status == "UPDATE_ROLLBACK_COMPLETE" => {
                "it is as it was before; stacks before it in the plan keep what they got"
            }
            AwsError::Refused { .. } | AwsError::ChangeSet { .. } | AwsError::Failed { .. } => return None,
        };
        Some(help.to_owned())
    }
}

/// What a call's error is.
pub(super) fn wrong<E, R>(call: impl Into<String>, error: &SdkError<E, R>) -> AwsError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Debug + 'static,
{
    let call = call.into();
    let Some(answer) = error.as_service_error() else {
        return AwsError::NoAnswer { call, reason: innermost(error) };
    };
    let code = answer.code().unwrap_or("no code").to_owned();
    let message = answer.message().unwrap_or("no message").to_owned();
    match code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            AwsError::Denied { call, message }
        }
        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => AwsError::Credentials { call, message },
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "TooManyRequestsException" => {
            AwsError::Throttled { call, message }
        }
        _ => AwsError::Refused { call, code, message },
    }
}

/// The cause of causes: the outer ones say no more than that something did not work.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
