//! Signatures of webhooks, after the Standard Webhooks scheme with a shared key.
//!
//! Source: Standard Webhooks specification, "Signature scheme" and "Webhook headers".

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ring::hmac;

use crate::SendError;

/// Keys are handed around with and without `=` at their end.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that signs.
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    /// `whsec_` and base64, or any other text, which is taken as its bytes.
    ///
    /// # Errors
    /// [`SendError::Never`] if it is empty, or has the prefix but no base64.
    pub(crate) fn new(text: &str) -> Result<SigningKey, SendError> {
        let never = |reason: &str| SendError::Never { reason: reason.to_owned() };
        let bytes = match text.trim().strip_prefix("whsec_") {
            Some(encoded) => KEY_BASE64
                .decode(encoded)
                .map_err(|_| never("the signing key starts with whsec_ but the rest is not base64"))?,
            None => text.trim().as_bytes().to_vec(),
        };
        if bytes.is_empty() {
            return Err(never("the signing key is empty"));
        }
        Ok(SigningKey(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of the header `webhook-signature`. `timestamp_s` is the attempt's time in seconds since 1970.
    ///
    /// `id` must not be for others to choose: it is not told apart from the timestamp.
    pub(crate) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp_s}.").into_bytes();
        signed.extend(body);
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed)))
    }
}
