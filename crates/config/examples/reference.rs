//! Prints the Markdown reference of every key: docs/configuration.md.

fn main() {
    print!("{}", config::reference());
}
