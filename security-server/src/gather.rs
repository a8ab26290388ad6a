//! Doing together what the tasks of one thread ask for at one time.
//!
//! A worker of the data plane handles everything that has arrived, task after task, before it looks for
//! more. What these tasks hand to a [`Gather`] meanwhile is done in one go when no other task of the thread
//! is ready. A crowd becomes one batch, a lone request waits for nobody, and there is no timer and no
//! change of thread.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Threads that do not share a lane; more than a server has workers.
const LANES: usize = 64;

/// Rounds of the runtime in which others may join; and how many make it pointless to wait for more.
const MOST_ROUNDS: usize = 4;
const ENOUGH: usize = 32;

/// Collects requests `Q` by thread, to be answered with `A`.
pub(crate) struct Gather<Q, A> {
    lanes: Vec<Arc<Lane<Q, A>>>,
}

type Lane<Q, A> = Mutex<Vec<(Q, oneshot::Sender<A>)>>;

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    pub(crate) fn new() -> Self {
        Self { lanes: (0..LANES).map(|_| Arc::default()).collect() }
    }

    /// Hands in a request, and gives its answer once `handle` has answered all that came together with it,
    /// in their order. `None` when `handle` gave too few answers or did not end.
    ///
    /// Of all that come together, the `handle` of the first is run; it must not hang on who asks. It runs
    /// whether or not the callers still wait; requests whose callers have gone before are left out.
    pub(crate) async fn ask<F>(
        &self,
        request: Q,
        handle: impl FnOnce(Vec<Q>) -> F + Send + 'static,
    ) -> Option<A>
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let lane = self.lanes.get(lane() % LANES)?;
        let is_first = {
            let mut waiting = lane.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((request, sender));
            waiting.len() == 1
        };
        if is_first {
            let lane = Arc::clone(lane);
            tokio::spawn(async move {
                // Everything that is ready runs before this task does again, and may join; so does, for some
                // rounds, what became ready meanwhile, as long as somebody does join.
                let mut gathered = 1;
                for _ in 0..MOST_ROUNDS {
                    tokio::task::yield_now().await;
                    let waiting = lane.lock().unwrap_or_else(PoisonError::into_inner).len();
                    if waiting == gathered || waiting >= ENOUGH {
                        break;
                    }
                    gathered = waiting;
                }
                let waiting = std::mem::take(&mut *lane.lock().unwrap_or_else(PoisonError::into_inner));
                let (requests, senders): (Vec<_>, Vec<_>) =
                    waiting.into_iter().filter(|(_, sender)| !sender.is_closed()).unzip();
                if requests.is_empty() {
                    return;
                }
                for (sender, answer) in senders.into_iter().zip(handle(requests).await) {
                    // A caller that went away meanwhile needs no answer.
                    drop(sender.send(answer));
                }
            });
        }
        answer.await.ok()
    }
}

/// The lane of this thread.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    LANE.with(|lane| *lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(
        gather: &Arc<Gather<usize, usize>>,
        request: usize,
    ) -> tokio::task::JoinHandle<Option<usize>> {
        let gather = Arc::clone(gather);
        let size = |requests: Vec<usize>| async move { vec![requests.len(); requests.len()] };
        tokio::spawn(async move { gather.ask(request, size).await })
    }

    #[tokio::test]
    async fn what_is_ready_is_done_together() {
        let gather = Arc::new(Gather::new());
        let crowd: Vec<_> = (0..5).map(|number| together(&gather, number)).collect();
        for one in crowd {
            assert_eq!(one.await.unwrap(), Some(5));
        }
        assert_eq!(together(&gather, 5).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_requests() {
        let gather = Arc::new(Gather::new());
        let crowd: Vec<_> = (0..5)
            .map(|number: usize| {
                let gather = Arc::clone(&gather);
                tokio::spawn(async move { gather.ask(number, |all| async { all }).await })
            })
            .collect();
        for (number, one) in crowd.into_iter().enumerate() {
            assert_eq!(one.await.unwrap(), Some(number));
        }
    }

    #[tokio::test]
    async fn who_went_away_is_left_out_and_holds_nobody_up() {
        let gather = Arc::new(Gather::new());
        let first = together(&gather, 0);
        let second = together(&gather, 1);
        // Both run up to their request; the task of the first will do the work.
        tokio::task::yield_now().await;
        first.abort();
        assert_eq!(second.await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn too_few_answers_leave_the_rest_without_one() {
        let gather: Gather<usize, usize> = Gather::new();
        assert_eq!(gather.ask(1, |_| async { Vec::new() }).await, None);
    }
}
