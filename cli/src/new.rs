//! `proofload new`: a commented load test to begin with.

use proofload_api::admission::admit;
use proofload_plan::compile;
use serde_json::Value;

use crate::args::NewArgs;
use crate::exit::Exit;
use crate::screen;

const STARTER: &str = include_str!("starter.yaml");

/// Prints the file; nothing but problems where the name or the target would not be valid in it.
pub(crate) fn new(args: &NewArgs) -> anyhow::Result<Exit> {
    let text = starter(&args.name, &args.target);
    let value: Value = serde_saphyr::from_str(&text)?;
    let problems = match admit(&value) {
        Ok(admitted) => compile(&admitted.spec, &args.name).err().unwrap_or_default(),
        Err(problems) => problems,
    };
    if problems.is_empty() {
        return screen::print(&text);
    }
    for problem in problems {
        eprintln!("{problem}");
    }
    Ok(Exit::Invalid)
}

fn starter(name: &str, target: &str) -> String {
    // A JSON string is a YAML string, whatever is in it.
    STARTER.replace("{NAME}", &Value::from(name).to_string()).replace("{TARGET}", &Value::from(target).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_valid_and_says_so_in_every_line_that_is_not_obvious() {
        let value: Value = serde_saphyr::from_str(&starter("a", "http://127.0.0.1:8080")).unwrap();
        let test = admit(&value).unwrap();
        assert!(compile(&test.spec, "a").is_ok());
        assert!(STARTER.lines().filter(|line| line.contains('#')).count() >= 10);
    }
}
