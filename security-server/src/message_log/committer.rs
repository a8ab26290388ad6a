//! The one thread that writes.
//!
//! It takes all records that wait, writes them at once, makes them durable with one `fdatasync`, and only
//! then answers. Whoever waits may be on any thread or runtime.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gateway::ports::{LogError, LogPosition};
use tokio::sync::oneshot;

use super::record::{Prepared, StampRecord};
use super::writer::Writer;

/// What is to be written.
pub(super) enum Work {
    Message(Box<Prepared>),
    /// A time-stamp and when it was had, milliseconds.
    Stamp(Box<StampRecord>, i64),
}

/// One record that waits.
pub(super) struct Pending {
    pub(super) work: Work,
    pub(super) done: oneshot::Sender<Result<LogPosition, LogError>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Pending>,
    sleeping: bool,
    closed: bool,
}

/// The records that wait for the committer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record over; the result comes when it is durable.
    pub(super) async fn write(&self, work: Work) -> Result<LogPosition, LogError> {
        let (done, durable) = oneshot::channel();
        let wake = {
            let mut state = self.lock();
            if state.closed {
                return Err(stopped());
            }
            state.waiting.push(Pending { work, done });
            state.sleeping
        };
        if wake {
            self.wake.notify_one();
        }
        durable.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Waits for records. `None` when the log is closed and nothing is left.
    fn take(&self, into: &mut Vec<Pending>) -> Option<()> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state.sleeping = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleeping = false;
            drop(state);
            // Whoever has a record ready goes first where threads wait for a processor, so that it joins
            // this write. With a processor to spare this costs nothing.
            std::thread::yield_now();
            state = self.lock();
        }
        state.sleeping = false;
        std::mem::swap(&mut state.waiting, into);
        Some(())
    }

    /// Refuses new records; those that wait are still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}

/// Ends the waiting of all when the thread ends, even by a panic: nobody else would answer them.
struct Last(Arc<Queue>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.close();
        self.0.lock().waiting.clear();
    }
}

fn stopped() -> LogError {
    LogError::Unavailable("the message log is stopped".to_owned())
}

/// Starts the thread.
pub(super) fn start(queue: Arc<Queue>, mut writer: Writer) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("message-log".to_owned()).spawn(move || {
        let last = Last(queue);
        let queue = &last.0;
        let mut batch = Vec::new();
        while queue.take(&mut batch).is_some() {
            writer.write(&mut batch);
        }
    })
}
