//! A small file to spoil.
#![allow(dead_code, reason = "each test file uses its part")]

/// The least that loads, one key a line.
pub const LEAST: &str = "\
[[vserver]]
name = \"main\"
tag_secret = \"0123456789abcdef\"

[[vserver.listener]]
address = \"127.0.0.1:2775\"

[[vserver.account]]
system_id = \"alpha\"
password_plain = \"secret\"

[[vserver.group]]
name = \"default\"
[[vserver.group.server]]
name = \"s1\"
address = \"127.0.0.1:2776\"
uid = \"01\"
system_id = \"rh\"
max_binds = 2
";

/// `LEAST` with the line that starts with `from` (the `nth`, from 0) replaced.
pub fn spoil(from: &str, nth: usize, to: &str) -> String {
    let mut seen = 0;
    let mut lines = Vec::new();
    for line in LEAST.lines() {
        if line.starts_with(from) {
            lines.push(if seen == nth { to } else { line });
            seen += 1;
        } else {
            lines.push(line);
        }
    }
    assert!(seen > nth, "no line starts with {from:?}");
    lines.join("\n") + "\n"
}

/// The messages that `text` gives, without the path of the test.
pub fn errors(text: &str) -> Vec<String> {
    let problems = config::load("roundhouse.toml", text).map(|_| ()).expect_err("it loads");
    problems.iter().map(ToString::to_string).collect()
}

/// The warnings that `text` gives; it must load.
pub fn warnings(text: &str) -> Vec<String> {
    let loaded = config::load("roundhouse.toml", text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
    });
    loaded.warnings.iter().map(ToString::to_string).collect()
}
