use proptest::prelude::*;

use super::*;
use crate::{
    Commit, Operation,
    operation::UnitVerb,
    outcome::{ImageId, Tags},
};

fn leaves(count: u32) -> Vec<String> {
    (0..count).map(|i| format!("leaf {i}")).collect()
}

proptest! {
    #[test]
    fn each_leaf_leads_to_the_root_and_no_other_text_place_or_path_does(
        count in 1..70_u32, index in 0..70_u32, other in 0..70_u32, bit in 0..256_usize,
    ) {
        let index = index % count;
        let texts = leaves(count);
        let tree = Tree::new(&texts);
        let (root, path) = (tree.root(), tree.path(index));
        let text = &texts[index as usize];
        prop_assert_eq!(tree.count(), count);
        prop_assert!(tree::leads(text, index, count, &path, &root));
        prop_assert!(!tree::leads("leaf x", index, count, &path, &root));
        prop_assert!(!tree::leads(text, index, count, &path, &digest([7; 32])));
        if other % count != index {
            prop_assert!(!tree::leads(text, other % count, count, &path, &root));
        }
        prop_assert!(!tree::leads(text, count, count, &path, &root));
        let mut longer = path.clone();
        longer.push(root.clone());
        prop_assert!(!tree::leads(text, index, count, &longer, &root));
        if let Some(at) = bit.checked_rem(path.len()) {
            let mut altered = path.clone();
            altered[at] = digest([bit as u8; 32]);
            prop_assert!(!tree::leads(text, index, count, &altered, &root));
            prop_assert!(!tree::leads(text, index, count, &path[1..], &root));
        }
    }

    #[test]
    fn another_leaf_is_another_root(count in 1..40_u32, at in 0..40_usize) {
        let mut texts = leaves(count);
        let root = Tree::new(&texts).root();
        let at = at % texts.len();
        texts[at].push('!');
        prop_assert_ne!(Tree::new(&texts).root(), root.clone());
        texts.push("one more".to_owned());
        prop_assert_ne!(Tree::new(&texts).root(), root);
    }
}

#[test]
fn an_inner_node_does_not_pass_for_a_leaf() {
    // Two leaves and their root: what is hashed for the root is no leaf's text, whatever it holds.
    let tree = Tree::new(["a", "b"]);
    let of_one = Tree::new(["a"]);
    assert_ne!(of_one.root(), tree.root());
    assert!(!tree::leads("a", 0, 1, &[], &tree.root()));
    assert!(tree::leads("a", 0, 1, &[], &of_one.root()));
}

fn warrant() -> Warrant {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    Warrant {
        format: Warrant::FORMAT,
        service: "shop".parse().unwrap(),
        version: "1.2".parse().unwrap(),
        kind: Kind::Forward,
        plan: "00".repeat(32),
        made: at(1000),
        not_before: at(700),
        not_after: at(2000),
        back_until: at(3000),
        hosts: 1,
        root: Tree::new(["x"]).root(),
    }
}

#[test]
fn a_warrant_is_read_as_it_was_written_and_nothing_else_is() {
    let text = warrant().text();
    assert_eq!(Warrant::read(&text).unwrap(), warrant());
    let later = Warrant { format: 2, ..warrant() };
    assert!(Warrant::read(&later.text()).unwrap_err().to_string().contains("format is 2"));
    assert!(Warrant::read(&text.replacen('{', "{\"extra\":1,", 1)).is_err());
    // A field that is given twice must not mean one thing here and another there.
    assert!(Warrant::read(&text.replacen('{', "{\"format\":1,", 1)).is_err());
}

#[test]
fn what_was_there_before_is_the_host_s_own_word() {
    let image = |c: char| ImageId {
        id: Digest::new(format!("sha256:{}", String::from(c).repeat(64))).unwrap(),
        digest: None,
    };
    let commit = |c: char| Commit::new(String::from(c).repeat(40)).unwrap();
    let was = |repository: &str| {
        (repository == "r/app").then(|| Tags { latest: Some(image('a')), previous: None })
    };
    let tree_was = |tree: &str| (tree == "/srv/app").then(|| commit('a'));
    let restore = |repository: &str, latest, previous| Operation::RestoreTags {
        repository: repository.to_owned(),
        latest,
        previous,
    };
    let tags = Back::Tags { repository: "r/app".to_owned() };
    let is = |back: &Back, operation: &Operation| back.is(operation, was, tree_was);
    assert!(is(&tags, &restore("r/app", image('a'), None)));
    assert!(!is(&tags, &restore("r/app", image('b'), None)));
    assert!(!is(&tags, &restore("r/app", image('a'), Some(image('b')))));
    assert!(!is(&tags, &restore("r/other", image('a'), None)));
    let other = Back::Tags { repository: "r/other".to_owned() };
    assert!(!is(&other, &restore("r/other", image('a'), None)));

    let timeout = Span::from_secs(5);
    let checkout = |tree: &str, commit, timeout| Operation::Checkout {
        tree: tree.to_owned(),
        commit,
        timeout,
    };
    let tree = Back::Tree { tree: "/srv/app".to_owned(), timeout };
    assert!(is(&tree, &checkout("/srv/app", commit('a'), timeout)));
    assert!(!is(&tree, &checkout("/srv/app", commit('b'), timeout)));
    assert!(!is(&tree, &checkout("/srv/app", commit('a'), Span::from_secs(6))));
    assert!(!is(&tree, &checkout("/etc", commit('a'), timeout)));

    let unit =
        |unit: &str| Operation::Unit { unit: unit.to_owned(), verb: UnitVerb::Restart, timeout };
    let exactly = Back::Do(unit("a.service"));
    assert!(is(&exactly, &unit("a.service")) && !is(&exactly, &unit("b.service")));
}
