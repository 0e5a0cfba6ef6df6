//! When things are due on one thread: pauses end to the microsecond, requests time out, a stop cuts off.
//!
//! Tokio's timers are a millisecond coarse, which would be most of a fast target's latency. So there is one `timerfd`
//! for each thread and one heap of alarms. Requests have no timer each: they write down their deadline, and a scan that
//! comes when the earliest of them is due finds those that have passed.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long requests under way may go on after a stop.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// Alarms that are not a task's.
const SCAN: u32 = u32::MAX;
const CUT: u32 = u32::MAX - 1;

/// Why a request ended before its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its deadline has passed.
    Timeout,
    /// The run was stopped, or the time that was left to what was under way at the end of its load is over.
    Cut,
}

/// The pacer of one thread.
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    stopped: Cell<bool>,
    /// Scans are at least so far apart: how late a timeout may be noticed.
    grain: Duration,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// When, whose, and in which of its sleeps.
    alarms: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    /// For when the timer is set.
    armed: Option<Instant>,
    next_scan: Option<Instant>,
    /// Counts resumptions, so that an alarm of a stop before one is told apart.
    resumed: u32,
}

/// What the pacer knows of one task.
#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    /// Counts sleeps, so that an alarm of an earlier one is told apart.
    sleeps: u32,
    doing: Doing,
    /// Its sleep was ended early, since the load has changed.
    nudged: bool,
    /// When what it does is cut off, if it is then.
    end: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Doing {
    #[default]
    Nothing,
    Sleeping,
    /// A request that has not been sent yet: waiting for a connection.
    Waiting(Instant),
    /// A request that has been sent.
    Sent(Instant),
    Over(Fate),
}

/// A task's place with the pacer of its thread, given back when dropped.
pub(crate) struct Place<'a> {
    pacer: &'a Pacer,
    slot: u32,
}

impl Pacer {
    /// A pacer for requests with this timeout. Must be made within the thread's runtime.
    #[expect(
        deprecated,
        reason = "its replacement is unsafe, to forbid descriptors that may change: an OwnedFd does not"
    )]
    pub(crate) fn new(timeout: Duration) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self {
            timer: AsyncFd::with_interest(timer, Interest::READABLE)?,
            stopped: Cell::new(false),
            grain: (timeout / 500).clamp(Duration::from_millis(1), Duration::from_millis(20)),
            state: RefCell::default(),
        })
    }

    /// Wakes who is due, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            // The timer is not read: setting it again clears it, and each expiry is an event of its own.
            let Ok(mut ready) = self.timer.readable().await else { return };
            ready.clear_ready();
            self.ring(Instant::now());
        }
    }

    /// Whether there was a stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Ends all pauses and all requests that have not been sent; those that have may go on for [`GRACE`].
    pub(crate) fn stop(&self, now: Instant) {
        if self.stopped.replace(true) {
            return;
        }
        let resumed = {
            let mut state = self.state.borrow_mut();
            state.end(|slot| match slot.doing {
                Doing::Sleeping => Some(Doing::Nothing),
                Doing::Waiting(_) => Some(Doing::Over(Fate::Cut)),
                _ => None,
            });
            state.resumed
        };
        self.alarm(now + GRACE, CUT, resumed);
    }

    /// Lets new load begin after a stop, of whose load nothing must be left.
    pub(crate) fn resume(&self) {
        self.stopped.set(false);
        self.state.borrow_mut().resumed += 1;
    }

    /// Ends all pauses and has every task look again at what it is to do: the load has changed.
    pub(crate) fn nudge(&self) {
        for slot in &mut self.state.borrow_mut().slots {
            if slot.doing == Doing::Sleeping {
                slot.doing = Doing::Nothing;
                slot.nudged = true;
            }
            slot.wake();
        }
    }

    /// A place for a task.
    pub(crate) fn place(&self) -> Place<'_> {
        let mut state = self.state.borrow_mut();
        let slot = state.free.pop().unwrap_or_else(|| {
            state.slots.push(Slot::default());
            state.slots.len() as u32 - 1
        });
        Place { pacer: self, slot }
    }

    fn alarm(&self, at: Instant, slot: u32, sleep: u32) {
        let mut state = self.state.borrow_mut();
        state.alarms.push(Reverse((at, slot, sleep)));
        if state.armed.is_none_or(|armed| at < armed) {
            self.arm(&mut state, at);
        }
    }

    fn arm(&self, state: &mut State, at: Instant) {
        // A timer of zero would be none.
        let after = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: after.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // Fails only for times that are none, which this one is not.
        let set = timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "{set:?}");
        state.armed = Some(at);
    }

    fn ring(&self, now: Instant) {
        let mut state = self.state.borrow_mut();
        while let Some(Reverse((at, slot, sleep))) = state.alarms.peek().copied().filter(|Reverse((at, ..))| *at <= now)
        {
            state.alarms.pop();
            match slot {
                // Any other scan has been overtaken by an earlier one, which sees to what follows; any other cut by a
                // resumption.
                SCAN if state.next_scan == Some(at) => self.scan(&mut state, now),
                CUT if state.resumed == sleep => {
                    state.end(|slot| matches!(slot.doing, Doing::Sent(_)).then_some(Doing::Over(Fate::Cut)));
                }
                SCAN | CUT => {}
                _ => state.wake_sleeper(slot, sleep),
            }
        }
        state.armed = None;
        if let Some(Reverse((at, ..))) = state.alarms.peek().copied() {
            self.arm(&mut state, at);
        }
    }

    /// Ends the requests whose deadline has passed; comes again when the next one's has.
    fn scan(&self, state: &mut State, now: Instant) {
        let mut earliest = None;
        state.end(|slot| {
            let (due, fate) = slot.due()?;
            if due <= now {
                return Some(Doing::Over(fate));
            }
            earliest = Some(earliest.map_or(due, |earliest: Instant| earliest.min(due)));
            None
        });
        state.next_scan = earliest.map(|earliest| earliest.max(now + self.grain));
        if let Some(at) = state.next_scan {
            state.alarms.push(Reverse((at, SCAN, 0)));
        }
    }
}

impl State {
    /// Changes what tasks are doing, and wakes those.
    fn end(&mut self, mut change: impl FnMut(&Slot) -> Option<Doing>) {
        for slot in &mut self.slots {
            if let Some(doing) = change(slot) {
                slot.doing = doing;
                slot.wake();
            }
        }
    }

    fn wake_sleeper(&mut self, slot: u32, sleep: u32) {
        let slot = &mut self.slots[slot as usize];
        if slot.doing == Doing::Sleeping && slot.sleeps == sleep {
            slot.doing = Doing::Nothing;
            slot.wake();
        }
    }
}

impl Slot {
    /// When the request that it does is over, and why then.
    fn due(&self) -> Option<(Instant, Fate)> {
        let (Doing::Waiting(deadline) | Doing::Sent(deadline)) = self.doing else { return None };
        match self.end {
            Some(end) if end < deadline => Some((end, Fate::Cut)),
            _ => Some((deadline, Fate::Timeout)),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// A task has one waker all its life, so that this is a comparison but for the first time.
    fn remember(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

impl Place<'_> {
    fn slot<T>(&self, action: impl FnOnce(&mut Slot) -> T) -> T {
        action(&mut self.pacer.state.borrow_mut().slots[self.slot as usize])
    }

    /// Waits until a time, or until the stop, or until the load changes; whether the time came. At once if it has passed.
    pub(crate) async fn sleep_until(&self, at: Instant) -> bool {
        if self.pacer.is_stopped() {
            return false;
        }
        if at <= Instant::now() {
            return true;
        }
        let sleep = self.slot(|slot| {
            slot.sleeps = slot.sleeps.wrapping_add(1);
            slot.doing = Doing::Sleeping;
            slot.nudged = false;
            slot.sleeps
        });
        self.pacer.alarm(at, self.slot, sleep);
        poll_fn(|cx| {
            self.slot(|slot| {
                slot.remember(cx);
                if slot.doing == Doing::Sleeping { Poll::Pending } else { Poll::Ready(()) }
            })
        })
        .await;
        // Reading the clock here would cost each pause of each user a little; a nudge is rare, and says so.
        !self.pacer.is_stopped() && !self.slot(|slot| std::mem::take(&mut slot.nudged))
    }

    /// From now on, whatever it does is cut off at this time, if there is one.
    pub(crate) fn end_at(&self, end: Option<Instant>) {
        let due = self.slot(|slot| {
            slot.end = end;
            slot.due()
        });
        if let Some((due, _)) = due {
            self.scan_by(due);
        }
    }

    fn scan_by(&self, due: Instant) {
        let next_scan = self.pacer.state.borrow().next_scan;
        if next_scan.is_none_or(|scan| due < scan) {
            self.pacer.state.borrow_mut().next_scan = Some(due);
            self.pacer.alarm(due, SCAN, 0);
        }
    }

    /// Does a request unless its deadline or a stop comes first. It is up to `request` to say when it is sent.
    /// The request is pinned by who calls, since a future that is given away has its place in memory twice.
    pub(crate) async fn within<T>(
        &self,
        deadline: Instant,
        mut request: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Fate> {
        let due = self.slot(|slot| {
            slot.doing = Doing::Waiting(deadline);
            slot.end.map_or(deadline, |end| end.min(deadline))
        });
        self.scan_by(due);
        let result = poll_fn(|cx| {
            let fate = self.slot(|slot| {
                slot.remember(cx);
                if let Doing::Over(fate) = slot.doing { Some(fate) } else { None }
            });
            match fate {
                Some(fate) => Poll::Ready(Err(fate)),
                None => request.as_mut().poll(cx).map(Ok),
            }
        })
        .await;
        self.slot(|slot| slot.doing = Doing::Nothing);
        result
    }

    /// From now on the request is one that may go on for [`GRACE`] after a stop.
    pub(crate) fn sent(&self) {
        self.slot(|slot| {
            if let Doing::Waiting(deadline) = slot.doing {
                slot.doing = Doing::Sent(deadline);
            }
        });
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.pacer.state.borrow_mut();
        let slot = &mut state.slots[self.slot as usize];
        slot.doing = Doing::Nothing;
        slot.waker = None;
        slot.nudged = false;
        slot.end = None;
        state.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    /// Does something with a pacer at work.
    fn paced<T>(timeout: Duration, test: impl AsyncFnOnce(&Pacer) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let pacer = Pacer::new(timeout).unwrap();
            tokio::select! {
                () = pacer.run() => unreachable!("it runs for as long as it is polled"),
                result = test(&pacer) => result,
            }
        })
    }

    #[test]
    fn a_pause_ends_when_it_should_and_never_before() {
        paced(Duration::from_secs(1), async |pacer| {
            let begin = Instant::now();
            let nap = async |millis| {
                let at = begin + Duration::from_millis(millis);
                assert!(pacer.place().sleep_until(at).await && Instant::now() >= at);
            };
            tokio::join!(nap(20), nap(5), nap(0), nap(10));
            pacer.stop(Instant::now());
            assert!(!pacer.place().sleep_until(begin + Duration::from_mins(1)).await);
        });
    }

    #[test]
    fn requests_time_out_each_at_its_own_deadline_and_leave_no_alarm() {
        paced(Duration::from_millis(40), async |pacer| {
            let begin = Instant::now();
            let request = async |millis| {
                let place = pacer.place();
                let deadline = begin + Duration::from_millis(millis);
                let hang = async {
                    place.sent();
                    std::future::pending::<()>().await;
                };
                assert_eq!(place.within(deadline, pin!(hang)).await, Err(Fate::Timeout));
                assert!(Instant::now() >= deadline);
            };
            // The later ones are due earlier, so that each asks for a scan of its own.
            tokio::join!(request(40), request(30), request(20), request(10));
            let place = pacer.place();
            assert_eq!(place.within(begin + Duration::from_mins(1), pin!(async { 7 })).await, Ok(7));
            assert!(place.sleep_until(begin + Duration::from_millis(60)).await);
            assert_eq!(pacer.state.borrow().alarms.len(), 1, "the scan of the last request");
        });
    }
}
