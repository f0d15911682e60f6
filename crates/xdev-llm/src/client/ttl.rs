//! `Ttl` remembers a few values for a while; callers that ask at once share one question.
//!
//! Not here: what is remembered, and for how long (`discover`, `server`).

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Result;

/// `Ttl` remembers values by key, each until its time is over.
#[derive(Debug)]
pub(super) struct Ttl<K, V> {
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

type Slot<V> = tokio::sync::Mutex<Option<(V, Instant)>>;

impl<K, V> Default for Ttl<K, V> {
    fn default() -> Self {
        Ttl { slots: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Ttl<K, V> {
    /// The remembered value, or what `ask` finds out; `ask` also says how long that holds. Failures are not remembered.
    ///
    /// Whoever comes while `ask` is under way waits for the same answer.
    pub(super) async fn get<F, W>(&self, key: K, now: impl Fn() -> Instant, ask: F) -> Result<V>
    where
        F: FnOnce() -> W,
        W: Future<Output = Result<(V, Duration)>>,
    {
        let slot = Arc::clone(self.lock().entry(key).or_default());
        let mut slot = slot.lock().await;
        if let Some((value, until)) = &*slot
            && now() < *until
        {
            return Ok(value.clone());
        }
        let (value, holds) = ask().await?;
        *slot = Some((value.clone(), now() + holds));
        Ok(value)
    }

    /// Forgets one value.
    pub(super) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<Slot<V>>>> {
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn values_hold_for_their_time_and_failures_do_not() {
        let (ttl, asked, start) = (Ttl::default(), AtomicUsize::new(0), Instant::now());
        let ask = async |at: u64| {
            let now = || start + Duration::from_secs(at);
            ttl.get("key", now, || async {
                match asked.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(Error::invalid_input("first")),
                    n => Ok((n, Duration::from_secs(60))),
                }
            })
            .await
        };
        assert!(ask(0).await.is_err());
        assert_eq!(ask(0).await.unwrap(), 1);
        assert_eq!(ask(59).await.unwrap(), 1);
        assert_eq!(ask(60).await.unwrap(), 2);
        ttl.forget(&"key");
        assert_eq!(ask(60).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_question() {
        let (ttl, asked) = (Ttl::default(), AtomicUsize::new(0));
        let ask = || {
            ttl.get((), Instant::now, || async {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok((7, Duration::from_secs(60)))
            })
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (7, 7, 7));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
