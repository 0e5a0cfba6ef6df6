//! Who has sent how much of late: the state of one limit.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::model::{Each, Limit, Window};

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    All,
    Route(usize),
    Client(IpAddr),
}

/// What was let through.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    seen: BTreeMap<Who, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// In the window with this number.
    window: u128,
    count: u64,
    /// When those of the latest window came.
    times: VecDeque<Duration>,
}

impl Limiter {
    /// A request comes, at a time since the profile's begin: whether it is within the limit. Only those count that are.
    pub(crate) fn lets(&mut self, limit: &Limit, now: Duration, route: usize, from: IpAddr) -> bool {
        let who = match limit.each {
            Each::Profile => Who::All,
            Each::Route => Who::Route(route),
            Each::Client => Who::Client(from),
        };
        let seen = self.seen.entry(who).or_default();
        match limit.window {
            Window::Fixed(window) => {
                let number = now.as_nanos() / window.as_nanos().max(1);
                if number != seen.window {
                    (seen.window, seen.count) = (number, 0);
                }
                let lets = seen.count < limit.most;
                seen.count += u64::from(lets);
                lets
            }
            Window::Sliding(window) => {
                while seen.times.front().is_some_and(|first| *first + window <= now) {
                    seen.times.pop_front();
                }
                let lets = (seen.times.len() as u64) < limit.most;
                if lets {
                    seen.times.push_back(now);
                }
                lets
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::model::End;
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

    fn lets(window: Window, each: Each, requests: &[(u64, usize, IpAddr)]) -> Vec<bool> {
        let limit = Limit { most: 2, window, each, beyond: End::Reset };
        let mut limiter = Limiter::default();
        let come =
            |(at, route, from): &(u64, usize, IpAddr)| limiter.lets(&limit, Duration::from_millis(*at), *route, *from);
        requests.iter().map(come).collect()
    }

    #[test]
    fn a_fixed_window_begins_anew_and_a_sliding_one_forgets_one_by_one() {
        let times = [5, 9, 9, 11, 15, 19].map(|at| (at, 0, HERE));
        let ten = Duration::from_millis(10);
        assert_eq!(lets(Window::Fixed(ten), Each::Profile, &times), [true, true, false, true, true, false]);
        assert_eq!(lets(Window::Sliding(ten), Each::Profile, &times), [true, true, false, false, true, true]);
    }

    #[test]
    fn routes_and_clients_have_limits_of_their_own_where_they_are_told_apart() {
        let window = Window::Fixed(Duration::from_mins(1));
        let requests = [(0, 0, HERE), (0, 1, HERE), (0, 0, THERE), (0, 0, HERE)];
        assert_eq!(lets(window, Each::Profile, &requests), [true, true, false, false]);
        assert_eq!(lets(window, Each::Route, &requests), [true, true, true, false]);
        assert_eq!(lets(window, Each::Client, &requests), [true, true, true, false]);
    }
}
