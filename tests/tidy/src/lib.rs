//! The shape of the repository, held by the tests of this package.
