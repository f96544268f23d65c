//! Filter patterns.
