//! Prometheus' text format, line by line.

use std::borrow::Cow;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// There is a metric of this name, whether or not it has samples.
    Announced(&'a str),
    /// A number.
    Sample(Sample<'a>),
}

/// One number.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    labels: Labels<'a>,
    pub(super) value: f64,
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

impl Sample<'_> {
    /// The value of the label `name`.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| &**value)
    }
}

/// What `text` says; a line that can't be read is an error that shows it.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, String>> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        if let Some(comment) = line.strip_prefix('#') {
            return announced(comment).map(|name| Ok(Line::Announced(name)));
        }
        let shown = || line.chars().take(80).collect::<String>();
        let unread = || format!("line {} is not Prometheus' text format: {}", at + 1, shown());
        Some(sample(line).map(Line::Sample).ok_or_else(unread))
    })
}

/// The name in `# TYPE name counter` or `# HELP name words`.
fn announced(comment: &str) -> Option<&str> {
    let mut words = comment.split_whitespace();
    let keyword = words.next()?;
    matches!(keyword, "TYPE" | "HELP").then(|| words.next())?
}

/// `name{label="value",…} number [time]`
fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, rest) = word(line, true)?;
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    // What OpenMetrics puts behind ` # ` is about one request.
    let rest = rest.split_once(" # ").map_or(rest, |(rest, _)| rest);
    let mut words = rest.split_whitespace();
    let value = words.next()?.parse().ok()?;
    let time: Option<f64> = words.next().map(|time| time.parse().ok()).unwrap_or(Some(0.0));
    (time.is_some() && words.next().is_none()).then_some(Sample { name, labels, value })
}

/// The labels up to `}`, and what comes after it.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = word(rest, false)?;
        let after = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let (value, after) = quoted(after)?;
        labels.push((name, value));
        // A comma may also stand behind the last one.
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// The name that `text` begins with, and the rest. Only those of metrics have colons.
fn word(text: &str, colon: bool) -> Option<(&str, &str)> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
    (end > 0 && begins_well).then(|| text.split_at(end))
}

/// The text up to the closing quote, and what comes after it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_owned();
    let mut characters = text[end..].char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((Cow::Owned(value), &text[end + at + 1..])),
            (_, '\\') => value.push(match characters.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            (_, c) => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Sample<'_>> {
        match lines(text).next()? {
            Ok(Line::Sample(sample)) => Some(sample),
            _ => None,
        }
    }

    #[test]
    fn reads_samples_in_all_their_forms() {
        for (text, name, value) in [
            ("up 1", "up", 1.0),
            ("a:b_c{} 1.5e3 1395066363000", "a:b_c", 1500.0),
            ("  x\t{ a = \"b\" , } -3", "x", -3.0),
            ("x +Inf", "x", f64::INFINITY),
            ("x -Inf -3982045", "x", f64::NEG_INFINITY),
            ("x{le=\"+Inf\"} 7 # {trace_id=\"abc\"} 0.67 1.5", "x", 7.0),
        ] {
            let sample = one(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((sample.name, sample.value), (name, value), "{text}");
        }
        assert!(one("x NaN").unwrap().value.is_nan());
    }

    #[test]
    fn labels_are_unescaped() {
        let sample =
            one(r#"x{path="C:\\DIR\"q\"",empty="",two="a\nb } , # ü",status="500",} 1"#).unwrap();
        assert_eq!(sample.label("path"), Some(r#"C:\DIR"q""#));
        assert_eq!(sample.label("empty"), Some(""));
        assert_eq!(sample.label("two"), Some("a\nb } , # ü"));
        assert_eq!(sample.label("status"), Some("500"));
        assert_eq!(sample.label("stat"), None);
    }

    #[test]
    fn comments_announce_and_blank_lines_say_nothing() {
        let text = "# TYPE a counter\n\n# HELP b words of it\n# a remark\n#\n# EOF\n";
        let found: Result<Vec<_>, _> = lines(text).collect();
        assert_eq!(found, Ok(vec![Line::Announced("a"), Line::Announced("b")]));
    }

    #[test]
    fn what_is_another_format_is_shown_with_its_line() {
        for bad in [
            "<html>",
            "x",
            "x{a=\"b\" 1",
            "x{a=b} 1",
            "x{a=\"b\"c=\"d\"} 1",
            "x{a=\"\\t\"} 1",
            "1x 1",
            "x one",
            "x 1 2 3",
            "x 1 soon",
            "{a=\"b\"} 1",
            "x{a=\"b",
        ] {
            let text = format!("up 1\n{bad}\n");
            let why = lines(&text).nth(1).unwrap().unwrap_err();
            assert!(why.starts_with("line 2 ") && why.ends_with(bad), "{why}");
        }
    }
}
