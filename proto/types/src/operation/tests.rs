use serde_json::json;

use super::*;

fn downgrade(to: Option<Head>) -> Operation {
    let (check, downgrade) = (vec!["/bin/check".to_owned()], vec!["/bin/back".to_owned()]);
    let (head, timeout) = (Some("m2".to_owned()), Span::from_secs(60));
    Operation::Downgrade { check, downgrade, head, to, timeout }
}

#[test]
fn an_empty_schema_and_one_that_is_not_known_are_written_differently() {
    let written = |to| serde_json::to_value(downgrade(to)).unwrap()["downgrade"].clone();
    assert_eq!(written(None).get("to"), None);
    assert_eq!(written(Some(Head::Empty))["to"], json!("empty"));
    // Also where a migration has that name.
    assert_eq!(written(Some(Head::At("empty".to_owned())))["to"], json!({ "at": "empty" }));
    for to in [None, Some(Head::Empty), Some(Head::At("m1".to_owned()))] {
        let document = json!({ "downgrade": written(to.clone()) });
        assert_eq!(serde_json::from_value::<Operation>(document).unwrap(), downgrade(to));
    }
}

#[test]
fn a_downgrade_of_an_older_plan_can_be_read() {
    let document = json!({ "downgrade": {
        "check": ["/bin/check"], "downgrade": ["/bin/back"], "head": "m2", "timeout": "60s",
    } });
    assert_eq!(serde_json::from_value::<Operation>(document).unwrap(), downgrade(None));
}
