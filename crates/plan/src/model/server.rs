//! The target's own metrics: what the first runner asks Prometheus once the load is over.

use proofload_api::units::Micros;
use serde::{Deserialize, Serialize};

use crate::template::Template;

/// What to ask of the target, and whom. The templates have nothing but the environment in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetrics {
    /// Scheme, host, port and the path that comes before `/api/v1`.
    pub url: Template,
    /// Headers of each question, with the credentials.
    pub headers: Vec<(String, Template)>,
    /// The file with the authorities that sign its certificate, by index of the plan's files; none for the system's.
    pub ca: Option<usize>,
    /// For how long after the load the last values are awaited.
    pub wait: Micros,
    /// What to ask, in the order of the names.
    pub queries: Vec<ServerQuery>,
}

impl ServerMetrics {
    /// How much longer than `wait` an answer can take: questions that are under way when it is over.
    pub const GRACE: Micros = Micros::from_secs(15);

    /// The longest between the question and its answer.
    pub fn longest(&self) -> Micros {
        self.wait + Self::GRACE
    }
}

/// A metric of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerQuery {
    /// Its name in the spec.
    pub name: String,
    /// The question, in `PromQL`.
    pub query: String,
}
