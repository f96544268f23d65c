//! Receipt handles: what a receiver shows to delete a message or to keep it longer.

use std::fmt;
use std::str::FromStr;

use watchbell_model::{MessageId, Offset};

/// One receive of one message, as `events.17.0.3.42`. New with each receive; no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The queue.
    pub queue: String,
    /// The message.
    pub message: MessageId,
    /// Which receive of the queue it was.
    pub number: u64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Receipt { queue, message, number } = self;
        write!(f, "{queue}.{}.{}.{}.{number}", message.offset, message.first, message.last)
    }
}

impl FromStr for Receipt {
    type Err = ();

    fn from_str(text: &str) -> Result<Receipt, ()> {
        let mut parts = text.rsplitn(5, '.');
        let mut next = || parts.next().ok_or(());
        let number = next()?.parse().map_err(|_| ())?;
        let last = next()?.parse().map_err(|_| ())?;
        let first = next()?.parse().map_err(|_| ())?;
        let offset = Offset(next()?.parse().map_err(|_| ())?);
        let queue = next()?.to_owned();
        Ok(Receipt { queue, message: MessageId { offset, first, last }, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_read_back_and_other_texts_are_none() {
        let message = MessageId { offset: Offset(17), first: 0, last: 3 };
        let receipt = Receipt { queue: "events".into(), message, number: 42 };
        assert_eq!(receipt.to_string(), "events.17.0.3.42");
        assert_eq!(receipt.to_string().parse(), Ok(receipt));
        for wrong in ["", "events", "events.17.0.3", "events.17.0.3.x", "17.0.3.42"] {
            assert_eq!(wrong.parse::<Receipt>(), Err(()), "{wrong}");
        }
    }
}
