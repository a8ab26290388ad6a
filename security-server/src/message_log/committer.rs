//! Who writes, and when.
//!
//! One at a time takes all records that wait, writes them at once, makes them durable with one `fdatasync`,
//! and only then answers. That is the worker that has a record ready when nobody writes, as long as the disk
//! answers faster than two threads hand over to each other a few times; otherwise it is the log's own
//! thread. Whoever waits may be on any thread or runtime.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gateway::ports::{LogError, LogPosition};
use tokio::sync::oneshot;

use crate::gather::Gather;

use super::record::{Prepared, StampRecord};
use super::writer::Writer;

/// What is to be written.
pub(super) enum Work {
    Message(Box<Prepared>),
    /// A time-stamp and when it was had, milliseconds.
    Stamp(Box<StampRecord>, i64),
}

type Answer = Result<LogPosition, LogError>;

/// One record that waits.
pub(super) struct Pending {
    pub(super) work: Work,
    group: Arc<Group>,
    place: usize,
}

impl Pending {
    /// Says what became of it.
    pub(super) fn answer(self, result: Answer) {
        self.group.answer(self.place, result);
    }
}

/// Records that came together are answered together, which wakes their thread once.
struct Group(Mutex<Answers>);

struct Answers {
    answers: Vec<Answer>,
    left: usize,
    done: Option<oneshot::Sender<Vec<Answer>>>,
}

impl Group {
    fn answer(&self, place: usize, result: Answer) {
        let mut group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = group.answers.get_mut(place) {
            *answer = result;
        }
        group.left = group.left.saturating_sub(1);
        if group.left == 0
            && let Some(done) = group.done.take()
        {
            // Whoever does not wait any more has given up; the records stand all the same.
            drop(done.send(std::mem::take(&mut group.answers)));
        }
    }
}

/// A worker that waits for the disk serves nobody. A write that takes longer than this sends the next ones to
/// the log's own thread, for so many times as long that a worker waits for a hundredth of its time at most.
const FAST: Duration = Duration::from_millis(2);
const PATIENCE: u32 = 100;

#[derive(Default)]
struct State {
    waiting: Vec<Pending>,
    /// Somebody writes.
    busy: bool,
    /// The thread waits for records.
    sleeping: bool,
    closed: bool,
    /// Until then the disk is taken for slow.
    slow_until: Option<Instant>,
}

/// The records that wait to be written.
pub(super) struct Queue {
    gather: Gather<Work, Answer>,
    state: Mutex<State>,
    wake: Condvar,
    /// Locked by whoever has set `busy`, and by nobody else.
    writer: Mutex<Writer>,
}

impl Queue {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            gather: Gather::new(),
            state: Mutex::default(),
            wake: Condvar::new(),
            writer: Mutex::new(writer),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record over, together with those that are ready at the same time; the result comes when it
    /// is durable.
    pub(super) async fn write(self: &Arc<Self>, work: Work) -> Answer {
        let queue = Arc::clone(self);
        let answer = self.gather.ask(work, move |work| async move { queue.write_all(work).await }).await;
        answer.unwrap_or_else(|| Err(stopped()))
    }

    async fn write_all(&self, work: Vec<Work>) -> Vec<Answer> {
        let count = work.len();
        let (done, durable) = oneshot::channel();
        let answers = Answers { answers: vec![Err(stopped()); count], left: count, done: Some(done) };
        let group = Arc::new(Group(Mutex::new(answers)));
        let mut batch = {
            let mut state = self.lock();
            if state.closed {
                return vec![Err(stopped()); count];
            }
            state.waiting.extend(work.into_iter().enumerate().map(|(place, work)| Pending {
                work,
                group: Arc::clone(&group),
                place,
            }));
            let is_slow = state.slow_until.is_some_and(|until| Instant::now() < until);
            if !state.busy && !is_slow {
                state.busy = true;
                std::mem::take(&mut state.waiting)
            } else {
                if !state.busy && state.sleeping {
                    self.wake.notify_one();
                }
                Vec::new()
            }
        };
        drop(group);
        if !batch.is_empty() {
            self.write_batch(&mut batch);
        }
        // Nothing comes when the thread ended before its time.
        durable.await.unwrap_or_else(|_| vec![Err(stopped()); count])
    }

    /// Writes and answers. Whoever calls this has set `busy`.
    fn write_batch(&self, batch: &mut Vec<Pending>) {
        let started = Instant::now();
        let turn = Turn(self);
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write(batch);
        let took = started.elapsed();
        std::mem::forget(turn);
        let mut state = self.lock();
        state.busy = false;
        if took > FAST {
            state.slow_until = Some(started + took * PATIENCE);
        }
        if state.sleeping && (!state.waiting.is_empty() || state.closed) {
            self.wake.notify_one();
        }
    }

    /// Waits for records and for its turn. `None` when the log is closed and nothing is left.
    fn take(&self, into: &mut Vec<Pending>) -> Option<()> {
        let mut state = self.lock();
        loop {
            if !state.busy && !state.waiting.is_empty() {
                state.busy = true;
                std::mem::swap(&mut state.waiting, into);
                return Some(());
            }
            if !state.busy && state.closed {
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
    }

    /// Refuses new records; those that wait are still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}

/// Ends the waiting of all when a write ends by a panic: what the writer holds then is not to be trusted, and
/// nobody else would answer.
struct Turn<'a>(&'a Queue);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.busy = false;
        state.waiting.clear();
        drop(state);
        self.0.wake.notify_all();
    }
}

fn stopped() -> LogError {
    LogError::Unavailable("the message log is stopped".to_owned())
}

/// Starts the thread. It ends when the log is closed and everything is written.
pub(super) fn start(queue: Arc<Queue>) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("message-log".to_owned()).spawn(move || {
        let mut batch = Vec::new();
        while queue.take(&mut batch).is_some() {
            queue.write_batch(&mut batch);
        }
    })
}
