//! Which fields are left out when an entry is written down.

/// Whether a field that is usually false may be left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
