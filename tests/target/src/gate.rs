//! Limits on what is served at once, and the switch that changes how everything is answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// The most places of a queue.
const MAX_PLACES: usize = 1 << 20;

/// How everything is answered from now on, whatever its path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// With this status.
    pub status: Option<u16>,
    /// So much later.
    pub delay: Duration,
    /// What becomes of connections that are opened.
    pub accept: Accept,
}

/// What becomes of a connection, before anything is read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// It is served.
    #[default]
    Serve,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// Nothing is ever said.
    Hang,
}

impl Accept {
    const ALL: [Self; 4] = [Self::Serve, Self::Close, Self::Reset, Self::Hang];

    /// By its name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let index = ["serve", "close", "reset", "hang"].iter().position(|known| *known == name)?;
        Some(Self::ALL[index])
    }
}

/// Limits and switch of one server.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Places of `/capacity` that are taken.
    served: Mutex<u64>,
    /// Queues by their number of places.
    queues: Mutex<BTreeMap<usize, Arc<Semaphore>>>,
    /// 0 for as the path asks.
    status: AtomicU16,
    delay_millis: AtomicU64,
    /// The index in [`Accept::ALL`].
    accept: AtomicU8,
}

impl Gate {
    /// Takes one of so many places; false if all are taken. Who has one gives it back with [`Gate::leave`].
    pub(crate) fn enter(&self, places: u64) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let free = *served < places;
        *served += u64::from(free);
        free
    }

    /// Gives a place back.
    pub(crate) fn leave(&self) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }

    /// The queue for so many places.
    pub(crate) fn queue(&self, places: usize) -> Arc<Semaphore> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places.clamp(1, MAX_PLACES);
        Arc::clone(queues.entry(places).or_insert_with(|| Arc::new(Semaphore::new(places))))
    }

    /// Changes how everything is answered.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.status.store(behaviour.status.unwrap_or(0), Ordering::Relaxed);
        self.delay_millis.store(u64::try_from(behaviour.delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.accept.store(behaviour.accept as u8, Ordering::Relaxed);
    }

    /// How everything is answered.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let status = Some(self.status.load(Ordering::Relaxed)).filter(|status| *status != 0);
        let delay = Duration::from_millis(self.delay_millis.load(Ordering::Relaxed));
        Behaviour { status, delay, accept: Accept::ALL[usize::from(self.accept.load(Ordering::Relaxed))] }
    }
}
