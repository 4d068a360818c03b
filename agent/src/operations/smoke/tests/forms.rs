//! What a browser would send of a form.

use std::collections::BTreeMap;

use url::{Url, form_urlencoded};

use crate::operations::smoke::{form::Form, page::Page, secrets::Hidden};

fn on(body: &str) -> Page {
    let url = Url::parse("http://h/a/page?q=1#top").unwrap();
    Page { url, status: 200, is_html: true, body: body.to_owned() }
}

fn sent(body: &str, fields: &[(&str, &str)]) -> Vec<String> {
    let form = Form::find(&on(body), "form").unwrap();
    let fields: BTreeMap<_, _> =
        fields.iter().map(|(name, value)| (*name, Hidden::new((*value).to_owned()))).collect();
    form.has(&fields.keys().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    let filled = form.filled(&fields);
    form_urlencoded::parse(filled.expose().as_bytes()).map(|(n, v)| format!("{n}={v}")).collect()
}

fn error(body: &str, selector: &str) -> String {
    match Form::find(&on(body), selector) {
        Ok(_) => panic!("it is a form"),
        Err(why) => why,
    }
}

const ALL: &str = r#"<form method=POST id=f>
  <input type=hidden name=csrf value=abc><input name=text value="a b"><input value=nameless>
  <input type=checkbox name=no value=1><input type=checkbox name=yes value=1 checked><input type=checkbox name=on checked>
  <input type=radio name=r value=1><input type=radio name=r value=2 checked>
  <select name=s><option value=1>one<option value=2 selected>two</select>
  <select name=first><option disabled>x<option> the  first <option>b</select>
  <select name=many multiple><option selected>1<option>2<option selected>3</select>
  <textarea name=t>one
two</textarea>
  <input name=off disabled value=1><fieldset disabled><input name=off2></fieldset>
  <input type=file name=file><input type=reset name=reset><button type=button name=b1 value=1></button>
  <button name=go value=now>Go</button><input type=submit name=other value=later>
  <input name=elsewhere form=g value=1>
</form><form id=g></form><input name=outside form=f value=1>"#;

#[test]
fn every_successful_control_is_sent() {
    let expected = [
        "csrf=abc",
        "text=a b",
        "yes=1",
        "on=on",
        "r=2",
        "s=2",
        "first=the first",
        "many=1",
        "many=3",
        "t=one\r\ntwo",
        "go=now",
        "outside=1",
    ];
    assert_eq!(sent(ALL, &[]), expected);
}

#[test]
fn what_is_filled_in_takes_the_place_of_what_was_there() {
    let fields = [("text", "é&="), ("no", "1"), ("r", "1"), ("s", "1"), ("many", "2"), ("t", "x")];
    let expected = [
        "csrf=abc",
        "text=é&=",
        "no=1",
        "yes=1",
        "on=on",
        "r=1",
        "s=1",
        "first=the first",
        "many=2",
        "t=x",
        "go=now",
        "outside=1",
    ];
    assert_eq!(sent(ALL, &fields), expected);
}

#[test]
fn a_field_that_the_form_lacks_is_named_with_those_that_it_has() {
    let form =
        Form::find(&on("<form><input name=a><input type=checkbox name=b></form>"), "form").unwrap();
    let why = form.has(&["a".to_owned(), "c".to_owned()]).unwrap_err();
    assert_eq!(why, "the form has no field \"c\"; it has a, b");
    let why = Form::find(&on("<form></form>"), "form").unwrap().has(&["c".to_owned()]).unwrap_err();
    assert_eq!(why, "the form has no field \"c\", nor any other");
}

#[test]
fn it_goes_where_the_page_says() {
    for (body, action, is_post) in [
        ("<form></form>", "http://h/a/page?q=1#top", false),
        ("<form action='' method=post></form>", "http://h/a/page?q=1#top", true),
        ("<form action=in method=Post></form>", "http://h/a/in", true),
        ("<form action=/in></form>", "http://h/in", false),
        ("<form action=//other:81/in></form>", "http://other:81/in", false),
        ("<base href=/b/><form action=in></form>", "http://h/b/in", false),
        (
            "<form action=in><button formaction=out formmethod=post>x</button></form>",
            "http://h/a/out",
            true,
        ),
    ] {
        let form = Form::find(&on(body), "form").unwrap();
        assert_eq!((form.action.as_str(), form.is_post), (action, is_post), "{body}");
    }
}

#[test]
fn what_can_not_be_sent_says_why() {
    for (body, selector, part) in [
        ("<p>x</p>", "form", "nothing that form selects"),
        ("<p>x</p>", "p", "selects a <p>"),
        ("<form></form>", "form[", "not a CSS selector"),
        ("<form method=post enctype=multipart/form-data></form>", "form", "multipart/form-data"),
        ("<form method=dialog></form>", "form", "dialog"),
        ("<form action='http://[/'></form>", "form", "has the action"),
    ] {
        let why = error(body, selector);
        assert!(why.contains(part), "{body}: {why}");
    }
}
