//! What can stop a tool.

use std::fmt;
use std::io;

/// An error for the person at the terminal: what was tried, and what came of it.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error in plain words.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What was tried, and the system's answer.
    pub fn io(tried: impl fmt::Display, error: &io::Error) -> Self {
        Self(format!("{tried}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
