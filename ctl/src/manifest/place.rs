//! Where in a YAML text a path like `steps[2].image.tag` stands.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// How many characters to point at.
    pub(crate) length: usize,
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        let at_least_1 = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
        Self {
            line: at_least_1(location.line()),
            column: at_least_1(location.column()),
            length: at_least_1(location.span().len()),
        }
    }
}

/// A YAML document, with the place of each of its parts.
#[derive(Debug)]
pub(crate) struct Tree(Node);

impl Tree {
    /// Reads the text; nothing where it is no YAML.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_saphyr::from_str::<Node>(text).ok().map(Self)
    }

    /// Whether the document has this key at its top.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(&self.0, Node::Map(entries) if entries.iter().any(|(k, _)| k.value == key))
    }

    /// The place of what `path` leads to, or of the last part of it that is there.
    pub(crate) fn place(&self, path: &str) -> Place {
        let mut node = &self.0;
        let mut place = Place { line: 1, column: 1, length: 1 };
        for part in parts(path) {
            let next = match (node, part) {
                (Node::Map(entries), Part::Key(key)) => {
                    entries.iter().find(|(k, _)| k.value == key).map(|(k, v)| match v.value {
                        // A whole block would be much to point at: its key says it.
                        Node::Map(_) | Node::Seq(_) => (&v.value, Place::from(k.referenced)),
                        Node::Scalar => (&v.value, Place::from(v.referenced)),
                    })
                }
                (Node::Seq(items), Part::Index(index)) => {
                    items.get(index).map(|item| (&item.value, Place::from(item.referenced)))
                }
                _ => None,
            };
            let Some((next, at)) = next else { break };
            (node, place) = (next, at);
        }
        place
    }

    /// The first key of the mapping that has a key at `place`.
    pub(crate) fn first_key_beside(&self, place: Place) -> Option<Place> {
        fn search(node: &Node, place: Place) -> Option<Place> {
            match node {
                Node::Scalar => None,
                Node::Seq(items) => items.iter().find_map(|item| search(&item.value, place)),
                Node::Map(entries) => {
                    let at = |key: &Spanned<String>| Place::from(key.referenced);
                    let here = |at: Place| (at.line, at.column) == (place.line, place.column);
                    if entries.iter().any(|(key, _)| here(at(key))) {
                        return entries.first().map(|(key, _)| at(key));
                    }
                    entries.iter().find_map(|(_, value)| search(&value.value, place))
                }
            }
        }
        search(&self.0, place)
    }

    /// The first step that is not one kind with its keys, and what it is instead.
    pub(crate) fn odd_step(&self) -> Option<(Place, &'static str)> {
        let Node::Map(top) = &self.0 else { return None };
        let (_, steps) = top.iter().find(|(key, _)| key.value == "steps")?;
        let Node::Seq(steps) = &steps.value else { return None };
        steps.iter().find_map(|step| match &step.value {
            Node::Map(keys) => keys.get(1).map(|(second, _)| {
                (second.referenced.into(), "a step is one thing: begin another with `- `")
            }),
            _ => Some((
                step.referenced.into(),
                "a step is a kind with its keys, like `restart: {unit: app.service}`",
            )),
        })
    }
}

#[derive(Debug)]
enum Node {
    Scalar,
    Seq(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! scalars {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Node, E> {
            Ok(Node::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128,
             visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'p> {
    Key(&'p str),
    Index(usize),
}

/// The parts of a path. A label may hold dots, so whatever follows `labels.` is one key.
fn parts(path: &str) -> Vec<Part<'_>> {
    if let Some(label) = path.strip_prefix("hosts.labels.") {
        return vec![Part::Key("hosts"), Part::Key("labels"), Part::Key(label)];
    }
    let mut parts = Vec::new();
    for piece in path.split('.') {
        let mut pieces = piece.split('[');
        parts.push(Part::Key(pieces.next().unwrap_or_default()));
        parts.extend(pieces.filter_map(|i| i.trim_end_matches(']').parse().ok().map(Part::Index)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
service: app
hosts:
  labels: {a.b/c: x}
steps:
  - image: {repository: r/app, tag: bad tag}
  - run:
      argv: [/bin/x, '${no}']
";

    #[test]
    fn finds_values_keys_and_what_is_left_of_the_path() {
        let tree = Tree::read(TEXT).unwrap();
        let at = |path: &str| {
            let Place { line, column, length } = tree.place(path);
            (line, column, length)
        };
        assert_eq!(at("service"), (1, 10, 3));
        assert_eq!(at("hosts"), (2, 1, 5));
        assert_eq!(at("hosts.labels.a.b/c"), (3, 19, 1));
        assert_eq!(at("steps[0].image.tag"), (5, 37, 7));
        assert_eq!(at("steps[1].run"), (6, 5, 3));
        assert_eq!(at("steps[1].run.argv[1]"), (7, 22, 7));
        assert_eq!(at("steps[1].run.undo[0]"), (6, 5, 3));
        assert_eq!(at("strategy.canary"), (1, 1, 1));
    }
}
