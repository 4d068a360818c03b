//! Finds a text however it is written: as it is, or with any of its characters as a URL, a form, HTML or
//! JSON would have them.

/// Whether `secret` is in `text`.
pub(super) fn contains(text: &str, secret: &str) -> bool {
    find(text.as_bytes(), secret.as_bytes()).is_some()
}

/// `text` with `instead` for each `secret` in it.
pub(super) fn replace(text: &str, secret: &str, instead: &str) -> String {
    let (mut replaced, mut rest) = (String::new(), text);
    while let Some((start, end)) = find(rest.as_bytes(), secret.as_bytes()) {
        replaced.push_str(&rest[..start]);
        replaced.push_str(instead);
        rest = &rest[end..];
    }
    replaced + rest
}

/// Where it begins and ends. Both are ends of characters: a disguise is ASCII, all else is `secret` itself.
fn find(text: &[u8], secret: &[u8]) -> Option<(usize, usize)> {
    if secret.is_empty() {
        return None;
    }
    (0..text.len()).find_map(|start| Some((start, start + length(&text[start..], secret)?)))
}

/// How much of the beginning of `text` is `secret`, if it is.
fn length(text: &[u8], secret: &[u8]) -> Option<usize> {
    let Some(&first) = secret.first() else { return Some(0) };
    // What stands there may stand for something else, or be meant as it is.
    if let Some((meant, used)) = undisguised(text)
        && let Some(rest) = secret.strip_prefix(&*meant)
        && let Some(more) = length(&text[used..], rest)
    {
        return Some(used + more);
    }
    if text.first() == Some(&first) { Some(1 + length(&text[1..], &secret[1..])?) } else { None }
}

/// The character that the beginning of `text` stands for, and how much of `text` that takes.
fn undisguised(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    match text {
        [b'+', ..] => Some((vec![b' '], 1)),
        [b'%', high, low, ..] => {
            let digits = [*high, *low];
            let byte = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
            Some((vec![byte], 3))
        }
        [b'&', rest @ ..] => {
            let end = rest.iter().take(12).position(|&b| b == b';')?;
            let name = std::str::from_utf8(&rest[..end]).ok()?;
            Some((entity(name)?.to_string().into_bytes(), end + 2))
        }
        [b'\\', b'u', rest @ ..] => {
            let digits = std::str::from_utf8(rest.get(..4)?).ok()?;
            let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((character.to_string().into_bytes(), 6))
        }
        [b'\\', b'n', ..] => Some((vec![b'\n'], 2)),
        [b'\\', b't', ..] => Some((vec![b'\t'], 2)),
        [b'\\', other @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((vec![*other], 2)),
        _ => None,
    }
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(number);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}
