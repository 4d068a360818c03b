//! A test's known beginning.
