//! The exact share of a plan that one runner executes.

use serde::{Deserialize, Serialize};

/// Share `index` of `count`. Users are dealt out like cards: runner `i` of `n` has the users `i`, `i+n`, `i+2n`, ..., so
/// that each runner's share follows the curve at every moment, and the shares add up to the plan, to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Which share, from 0.
    pub index: u32,
    /// How many shares there are, at least 1.
    pub count: u32,
}

impl Segment {
    /// The whole plan.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Share `index` of `count`.
    ///
    /// # Panics
    /// If there is no such share.
    pub fn new(index: u32, count: u32) -> Self {
        assert!(index < count, "share {index} of {count} does not exist");
        Self { index, count }
    }

    /// Every share of `count`.
    pub fn all(count: u32) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self { index, count })
    }

    /// How many of `total` users (or connections) are this share's.
    pub const fn share(self, total: u32) -> u32 {
        total.saturating_sub(self.index).div_ceil(self.count)
    }

    /// The users of this share, by their number in the whole plan.
    pub fn users(self, total: u32) -> impl Iterator<Item = u32> {
        (self.index..total).step_by(self.count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segments_add_up_to_the_plan_exactly(total in 0_u32..3000, count in 1_u32..600) {
            let mut users: Vec<u32> = Segment::all(count).flat_map(|segment| segment.users(total)).collect();
            users.sort_unstable();
            prop_assert_eq!(users, (0..total).collect::<Vec<_>>());
            for segment in Segment::all(count) {
                prop_assert_eq!(segment.users(total).count() as u32, segment.share(total));
                prop_assert!(segment.share(total).abs_diff(total / count) <= 1);
            }
        }
    }
}
