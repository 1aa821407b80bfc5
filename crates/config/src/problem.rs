//! What is wrong with a file, and where.

use std::fmt;

/// One thing that is wrong, or doubtful, in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Path of the key or section: `vserver[main].group[default].server[s1].uid`; may be empty.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Collects the problems of one file.
pub(crate) struct Problems<'t> {
    file: &'t str,
    line_starts: Vec<usize>,
    errors: Vec<(usize, Problem)>,
    warnings: Vec<(usize, Problem)>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(file: &'t str, text: &str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { file, line_starts, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Notes an error at octet `at` of the text.
    pub(crate) fn error(&mut self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let problem = self.problem(at, key.into(), message.into());
        self.errors.push((at, problem));
    }

    /// Notes something that works but is hardly meant.
    pub(crate) fn warn(&mut self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let problem = self.problem(at, key.into(), message.into());
        self.warnings.push((at, problem));
    }

    /// The line of octet `at`, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at) + 1
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Errors in the order of the file.
    pub(crate) fn into_errors(self) -> Vec<Problem> {
        in_file_order(self.errors)
    }

    /// Warnings in the order of the file.
    pub(crate) fn into_warnings(self) -> Vec<Problem> {
        in_file_order(self.warnings)
    }

    fn problem(&self, at: usize, key: String, message: String) -> Problem {
        Problem { file: self.file.into(), line: self.line(at), key, message }
    }
}

fn in_file_order(mut problems: Vec<(usize, Problem)>) -> Vec<Problem> {
    problems.sort_by_key(|(at, _)| *at);
    problems.into_iter().map(|(_, problem)| problem).collect()
}
