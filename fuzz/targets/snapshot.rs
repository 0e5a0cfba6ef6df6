//! Bytes as a runner's snapshot: what can be read is the same once written and read again, and adds up to a report's
//! totals whatever it says.
#![no_main]

use std::sync::LazyLock;

use proofload_api::LoadTestSpec;
use proofload_plan::{Plan, Segment, compile};
use proofload_results::{Snapshot, SnapshotSet};
use serde_json::json;

/// A plan whose snapshots these may be.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let spec: LoadTestSpec = serde_json::from_value(json!({
        "target": {"baseUrl": "http://shop"},
        "scenarios": [{
            "name": "s",
            "users": {"stages": [{"to": 1, "hold": "1s"}]},
            "steps": [{"name": "a", "request": {"path": "/"}}],
        }],
    }))
    .expect("a specification");
    compile(&spec, "a/b").expect("a sound one").plan
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut snapshot) = Snapshot::decode(data) else { return };
    let again = Snapshot::decode(&snapshot.encode()).expect("it has just been written");
    assert_eq!(again.encode(), snapshot.encode());
    let _ = (format!("{snapshot:?}"), snapshot.users(), snapshot.is_complete());
    // As if it were one of the plan's.
    snapshot.run.clone_from(&PLAN.run);
    snapshot.segment = Segment::new(0, 2);
    snapshot.cells.resize_with(PLAN.layout().len(), Default::default);
    snapshot.scenarios.resize_with(PLAN.scenarios.len(), Default::default);
    let mut second = snapshot.clone();
    second.segment = Segment::new(1, 2);
    let mut set = SnapshotSet::new(&PLAN, 2);
    for one in [snapshot, second] {
        let _ = set.insert(one);
    }
    let _ = set.totals(&PLAN);
});
