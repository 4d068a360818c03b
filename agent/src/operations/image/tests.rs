use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use dv_types::{OpResult, Operation, Span};
use futures_util::{FutureExt, future::BoxFuture};

use super::*;
use crate::{
    operations::{perform, testing},
    ports::{Labels, Ports},
};

const REPOSITORY: &str = "registry.example.com:5000/app";

/// An engine and its registry: what each name stands for, by id. An image's digest is its id here.
#[derive(Default)]
struct Engine {
    names: Mutex<BTreeMap<String, String>>,
    registry: Vec<String>,
    /// It answers nothing any more.
    hangs: bool,
}

fn digest(letter: char) -> Digest {
    Digest::new(format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn image(letter: char) -> ImageId {
    ImageId { id: digest(letter), digest: Some(digest(letter)) }
}

impl Engine {
    fn with(names: &[(&str, char)], registry: &[char]) -> Arc<Self> {
        let engine = Self {
            registry: registry.iter().map(|c| digest(*c).to_string()).collect(),
            ..Self::default()
        };
        for (tag, letter) in names {
            engine.put(&format!("{REPOSITORY}:{tag}"), &digest(*letter));
        }
        Arc::new(engine)
    }

    fn put(&self, name: &str, id: &Digest) {
        let mut names = self.names.lock().unwrap();
        names.insert(name.to_owned(), id.to_string());
        names.insert(id.to_string(), id.to_string());
        names.insert(format!("{REPOSITORY}@{id}"), id.to_string());
    }

    fn remove(&self, letter: char) {
        self.names.lock().unwrap().retain(|_, id| *id != digest(letter).to_string());
    }

    fn tag(&self, tag: &str) -> Option<char> {
        let names = self.names.lock().unwrap();
        names.get(&format!("{REPOSITORY}:{tag}"))?.chars().last()
    }
}

impl Images for Engine {
    fn find<'a>(
        &'a self,
        _: &'a str,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Option<ImageId>, EngineError>> {
        async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let id = self.names.lock().unwrap().get(reference).cloned();
            Ok(id.map(|id| ImageId {
                id: Digest::new(id.clone()).unwrap(),
                digest: Some(Digest::new(id).unwrap()),
            }))
        }
        .boxed()
    }

    fn labels<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Labels>, EngineError>> {
        async { Ok(None) }.boxed()
    }

    fn pull<'a>(
        &'a self,
        _: &'a str,
        digest: &'a Digest,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            say("1 of 1 layers pulled");
            if !self.registry.contains(&digest.to_string()) {
                return Err(EngineError("manifest unknown".to_owned()));
            }
            self.put(digest.as_str(), digest);
            Ok(())
        }
        .boxed()
    }

    fn tag<'a>(
        &'a self,
        id: &'a Digest,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.put(&format!("{repository}:{tag}"), id);
            Ok(())
        }
        .boxed()
    }

    fn untag<'a>(
        &'a self,
        repository: &'a str,
        tag: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            self.names.lock().unwrap().remove(&format!("{repository}:{tag}"));
            Ok(())
        }
        .boxed()
    }

    fn resolve<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Digest>, EngineError>> {
        async { Ok(None) }.boxed()
    }
}

async fn perform_on(engine: &Arc<Engine>, operation: Operation) -> Attempt {
    perform_since(engine, operation, None).await
}

/// Once more, where this was there when it was begun.
async fn perform_since(engine: &Arc<Engine>, operation: Operation, mark: Option<Mark>) -> Attempt {
    let engine = Arc::clone(engine);
    let ports = Ports {
        images: Arc::new(move || Ok(Arc::clone(&engine) as Arc<dyn Images>)),
        ..testing::no_ports()
    };
    let limit = match &operation {
        Operation::PullImage { timeout, .. } => *timeout,
        other => other.time_limit(),
    };
    perform(&operation, &Context { mark, ..testing::context(ports, limit) }).await
}

fn pull(letter: char) -> Operation {
    Operation::PullImage {
        repository: REPOSITORY.into(),
        tag: "v2".into(),
        digest: digest(letter),
        timeout: Span::from_millis(200),
    }
}

fn tag_image(letter: char) -> Operation {
    Operation::TagImage { repository: REPOSITORY.into(), digest: digest(letter) }
}

fn restore_tags(latest: char, previous: Option<char>) -> Operation {
    Operation::RestoreTags {
        repository: REPOSITORY.into(),
        latest: image(latest),
        previous: previous.map(image),
    }
}

#[tokio::test]
async fn a_pull_touches_neither_of_the_two_tags() {
    let engine = Engine::with(&[("latest", 'a')], &['b']);
    let attempt = perform_on(&engine, pull('b')).await;
    assert_eq!(attempt.result, OpResult::Done);
    assert_eq!(attempt.evidence, Some(Evidence::Pulled { image: image('b') }));
    assert_eq!((engine.tag("latest"), engine.tag("v2")), (Some('a'), Some('b')));

    let attempt = perform_on(&engine, pull('c')).await;
    assert_eq!(attempt.result, OpResult::Failed("manifest unknown".into()));
}

#[tokio::test]
async fn previous_is_what_latest_was() {
    let engine = Engine::with(&[("latest", 'b'), ("previous", 'a'), ("v3", 'c')], &[]);
    let attempt = perform_on(&engine, tag_image('c')).await;
    assert_eq!((engine.tag("latest"), engine.tag("previous")), (Some('c'), Some('b')));
    let tags =
        |latest, previous| Tags { latest: Some(image(latest)), previous: Some(image(previous)) };
    let moved = Evidence::Tags { before: tags('b', 'a'), after: tags('c', 'b') };
    assert_eq!(attempt.evidence, Some(moved));

    // Once more changes nothing: the way back is not lost.
    perform_on(&engine, tag_image('c')).await;
    assert_eq!((engine.tag("latest"), engine.tag("previous")), (Some('c'), Some('b')));
}

#[tokio::test]
async fn what_was_there_before_is_what_was_there_before_the_crash() {
    let tags =
        |latest, previous| Tags { latest: Some(image(latest)), previous: Some(image(previous)) };
    // Where a crash left them: the first is moved, or both.
    for (latest, previous) in [('b', 'b'), ('c', 'b')] {
        let engine = Engine::with(
            &[("latest", latest), ("previous", previous), ("v1", 'a'), ("v3", 'c')],
            &[],
        );
        let mark = Some(Mark::Tags { tags: tags('b', 'a') });
        let attempt = perform_since(&engine, tag_image('c'), mark.clone()).await;
        let moved = Evidence::Tags { before: tags('b', 'a'), after: tags('c', 'b') };
        assert_eq!(attempt.evidence, Some(moved));
        let attempt = perform_since(&engine, restore_tags('b', Some('a')), mark).await;
        let back = Evidence::Tags { before: tags('b', 'a'), after: tags('b', 'a') };
        assert_eq!(attempt.evidence, Some(back));
    }
}

#[tokio::test]
async fn the_tags_are_on_record_before_they_are_moved() {
    let engine = Engine::with(&[("latest", 'b')], &[]);
    let ports = Ports {
        images: Arc::new(move || Ok(Arc::clone(&engine) as Arc<dyn Images>)),
        ..testing::no_ports()
    };
    let context = testing::context(ports, Span::from_secs(60));
    let tags = Tags { latest: Some(image('b')), previous: None };
    for operation in [tag_image('c'), restore_tags('a', None)] {
        let mark = crate::operations::mark(&operation, &context).await.unwrap();
        assert_eq!(mark, Some(Mark::Tags { tags: tags.clone() }));
    }
}

#[tokio::test]
async fn the_first_image_of_all_has_no_previous() {
    let engine = Engine::with(&[("v1", 'a')], &[]);
    perform_on(&engine, tag_image('a')).await;
    assert_eq!((engine.tag("latest"), engine.tag("previous")), (Some('a'), None));
}

#[tokio::test]
async fn back_is_what_was_recorded() {
    let engine = Engine::with(&[("latest", 'c'), ("previous", 'b'), ("old", 'a')], &[]);
    let attempt = perform_on(&engine, restore_tags('b', Some('a'))).await;
    assert_eq!(attempt.result, OpResult::Done);
    assert_eq!((engine.tag("latest"), engine.tag("previous")), (Some('b'), Some('a')));
    // Where there was no `previous`, there is none again.
    perform_on(&engine, restore_tags('b', None)).await;
    assert_eq!((engine.tag("latest"), engine.tag("previous")), (Some('b'), None));
}

#[tokio::test]
async fn an_image_that_was_removed_is_pulled_again() {
    let engine = Engine::with(&[("latest", 'c'), ("previous", 'b')], &['b']);
    engine.remove('b');
    let attempt = perform_on(&engine, restore_tags('b', None)).await;
    assert_eq!((attempt.result, engine.tag("latest")), (OpResult::Done, Some('b')));

    engine.remove('b');
    let own = ImageId { digest: None, ..image('b') };
    let operation =
        Operation::RestoreTags { repository: REPOSITORY.into(), latest: own, previous: None };
    let attempt = perform_on(&engine, operation).await;
    assert!(matches!(attempt.result, OpResult::Failed(why) if why.contains("was removed")));
}

#[tokio::test]
async fn an_engine_that_hangs_is_not_waited_for() {
    let engine = Arc::new(Engine { hangs: true, ..Engine::default() });
    let attempt = perform_on(&engine, pull('b')).await;
    assert!(matches!(attempt.result, OpResult::TimedOut(_)), "{:?}", attempt.result);
}
