//! Reports of runs that went in known ways, and what is concluded from them.

mod fixtures;
mod healthy;
mod kinds;
mod over_time;
mod reviewed;
