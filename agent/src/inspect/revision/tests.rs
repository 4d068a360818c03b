use std::collections::HashMap;

use dv_types::outcome::ImageId;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::Notify;

use super::*;
use crate::ports::{EngineError, Labels};

const REPOSITORY: &str = "registry.example.com:5000/app";
/// So long nothing here takes; time jumps to it where everything waits.
const PATIENCE: Duration = Duration::from_secs(12);

/// An engine that pulls when it is let.
#[derive(Default)]
struct Engine {
    /// The label's value, once the image is there.
    image: Mutex<Option<String>>,
    pulls: Mutex<usize>,
    go: Notify,
    broken: bool,
}

impl Engine {
    fn count(&self) -> usize {
        *self.pulls.lock().unwrap()
    }
}

impl Images for Engine {
    fn labels<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Labels>, EngineError>> {
        async {
            let image = self.image.lock().unwrap().clone();
            Ok(image.map(|commit| HashMap::from([(LABEL.to_owned(), commit)])))
        }
        .boxed()
    }

    fn pull<'a>(
        &'a self,
        _: &'a str,
        _: &'a Digest,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        async move {
            *self.pulls.lock().unwrap() += 1;
            say("1 of 3 layers pulled");
            if self.broken {
                return Err(EngineError("manifest unknown".to_owned()));
            }
            self.go.notified().await;
            *self.image.lock().unwrap() = Some("abc".to_owned());
            Ok(())
        }
        .boxed()
    }

    fn find<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<ImageId>, EngineError>> {
        unreachable!("the labels say it")
    }

    fn tag<'a>(
        &'a self,
        _: &'a Digest,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        unreachable!("a question changes no tag")
    }

    fn untag<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<(), EngineError>> {
        unreachable!("a question changes no tag")
    }

    fn resolve<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Digest>, EngineError>> {
        unreachable!("the digest is known")
    }
}

async fn ask(engine: &Arc<Engine>, pulls: &Pulls) -> Result<Finding, String> {
    let digest = Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap();
    find(Arc::clone(engine) as _, pulls, REPOSITORY, &digest, PATIENCE).await
}

fn commit(commit: Option<&str>) -> Result<Finding, String> {
    Ok(Finding::Revision { commit: commit.map(str::to_owned) })
}

#[tokio::test]
async fn an_image_that_is_there_is_not_pulled() {
    let engine = Arc::new(Engine { image: Mutex::new(Some("abc".into())), ..Engine::default() });
    assert_eq!(ask(&engine, &Pulls::default()).await, commit(Some("abc")));
    *engine.image.lock().unwrap() = Some(String::new());
    assert_eq!(ask(&engine, &Pulls::default()).await, commit(None));
    assert_eq!(engine.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_pull_goes_on_and_whoever_asks_again_finds_the_image() {
    let (engine, pulls) = (Arc::new(Engine::default()), Pulls::default());
    for _ in 0..2 {
        let why = ask(&engine, &pulls).await.unwrap_err();
        assert!(why.contains("still pulling") && why.contains("1 of 3 layers pulled"), "{why}");
        assert!(why.ends_with("ask again"), "{why}");
    }
    engine.go.notify_one();
    assert_eq!(ask(&engine, &pulls).await, commit(Some("abc")));
    assert_eq!(engine.count(), 1, "one pull, whoever asks");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_is_told_and_tried_again() {
    let (engine, pulls) =
        (Arc::new(Engine { broken: true, ..Engine::default() }), Pulls::default());
    for times in 1..3 {
        assert_eq!(ask(&engine, &pulls).await, Err("manifest unknown".to_owned()));
        assert_eq!(engine.count(), times);
    }
}
