//! The picture in the documentation is the table that the machine obeys.

use std::{fs, path::Path};

use dv_rollout::moves;

#[test]
fn the_documented_diagram_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rollout.md");
    let text = fs::read_to_string(&page).expect("docs/rollout.md is there");
    let fence = "```mermaid\n";
    let start = text.find(fence).expect("the page has a mermaid block") + fence.len();
    let end = start + text[start..].find("```").expect("the block is closed");
    if text[start..end] != moves::diagram() {
        let current = format!("{}{}{}", &text[..start], moves::diagram(), &text[end..]);
        fs::write(&page, current).expect("docs/rollout.md is writable");
        panic!("docs/rollout.md was out of date and has been written anew: read it and commit it");
    }
}
