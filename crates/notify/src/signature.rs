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

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0f00000000000001-12.0";
    const BODY: &[u8] = b"{\"type\":\"alarm.state_change\"}";

    // Expected values from Python's standard library:
    // python3 -c "import hmac,hashlib,base64; print(base64.b64encode(hmac.new(KEY, b'0f00000000000001-12.0.1795381912.'
    //   + b'{\"type\":\"alarm.state_change\"}', hashlib.sha256).digest()).decode())"

    #[test]
    fn a_key_in_base64_signs_with_the_bytes_it_stands_for() {
        // KEY = b'watchbell-test-signing-key-0001'
        let expected = "v1,b5jNLTYrpMbviyB0XfwisEBrewHwjX+4wiIvDLXYmqM=";
        for text in [
            "whsec_d2F0Y2hiZWxsLXRlc3Qtc2lnbmluZy1rZXktMDAwMQ==",
            "whsec_d2F0Y2hiZWxsLXRlc3Qtc2lnbmluZy1rZXktMDAwMQ\n",
            "watchbell-test-signing-key-0001",
        ] {
            assert_eq!(SigningKey::new(text).unwrap().sign(ID, 1_795_381_912, BODY), expected, "{text:?}");
        }
    }

    #[test]
    fn any_other_key_signs_with_its_own_bytes() {
        // KEY = b'open sesame'
        let signature = SigningKey::new("open sesame").unwrap().sign(ID, 1_795_381_912, BODY);
        assert_eq!(signature, "v1,HjJlH8AtWGpPttVKAtAJsXOChnB9GkMT632jvOQGVA4=");
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_named() {
        for malformed in ["", "  ", "whsec_", "whsec_s3cr3t!"] {
            let Err(SendError::Never { reason }) = SigningKey::new(malformed) else {
                panic!("{malformed:?} passed")
            };
            assert!(!reason.contains("s3cr3t"), "{reason}");
        }
    }
}
