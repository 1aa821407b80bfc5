//! Replays the fuzz corpus, so that what the fuzzer once found stays found without it.

#[path = "../../../tests/fuzz/src/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs = 0;
    for file in files {
        let path = file.unwrap().path();
        let input = fs::read(&path).unwrap();
        // Captured by the test harness; shown when the check below fails.
        println!("{}", path.display());
        check(&input);
        inputs += 1;
    }
    assert!(inputs > 0, "no corpus in {}", folder.display());
}

#[test]
fn frame() {
    replay("frame", checks::frame);
}

#[test]
fn bodies() {
    replay("bodies", checks::bodies);
}

#[test]
fn edit() {
    replay("edit", checks::edit);
}
