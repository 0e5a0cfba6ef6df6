//! The earlier run that a run is held against: said once, and in one way.

use proofload_api::LoadTestSpec;

use super::Problems;

const PATH: &str = "spec.baseline";

pub(super) fn baseline(spec: &LoadTestSpec, problems: &mut Problems) {
    let Some(baseline) = &spec.baseline else { return };
    let given = [
        ("loadTest", baseline.load_test.is_some()),
        ("schedule", baseline.schedule.is_some()),
        ("configMap", baseline.config_map.is_some()),
        ("file", baseline.file.is_some()),
    ];
    let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    if given.len() != 1 {
        let came = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
        problems.add(PATH, "exactly one of loadTest, schedule, configMap and file", came);
    }
    for (field, name) in [("loadTest", &baseline.load_test), ("schedule", &baseline.schedule), ("file", &baseline.file)]
    {
        if name.as_ref().is_some_and(String::is_empty) {
            problems.add(format!("{PATH}.{field}"), "a name", "\"\"");
        }
    }
}
