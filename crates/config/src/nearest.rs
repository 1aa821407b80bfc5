//! "Did you mean": the known word that is most like an unknown one.

/// The word of `known` nearest to `word`, if it is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Edit distance is quadratic: words longer than any key are not compared.
    if word.len() > 64 {
        return None;
    }
    let plain = word.to_ascii_lowercase().replace('_', "-");
    let distance =
        |k: &str| strsim::osa_distance(&plain, &k.to_ascii_lowercase().replace('_', "-"));
    let best = known.iter().copied().min_by_key(|k| distance(k))?;
    (distance(best) <= 1 + best.len() / 4).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["uid", "address", "window", "deliver_window", "max_binds"];
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("uidd", &known), Some("uid"));
        assert_eq!(nearest("deliver-window", &known), Some("deliver_window"));
        assert_eq!(nearest("MAX_BIND", &known), Some("max_binds"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &[]), None);
    }
}
