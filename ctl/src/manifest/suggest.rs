//! "Did you mean …?"

/// The word of `known` that is most like `word`, if any is like it at all.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace(['-', ' '], "_");
    let likeness = |known: &&str| strsim::jaro_winkler(&word, known);
    known
        .iter()
        .copied()
        .map(|k| (likeness(&k), k))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// `` `a`, `b` or `c` ``
pub(crate) fn listed(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["max_parallel", "max_failures", "canary"];
        assert_eq!(nearest("max_paralel", &known), Some("max_parallel"));
        assert_eq!(nearest("maxParallel", &known), Some("max_parallel"));
        assert_eq!(nearest("max-failures", &known), Some("max_failures"));
        assert_eq!(nearest("colour", &known), None);
    }
}
