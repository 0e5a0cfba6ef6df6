//! Where a laptop finds what a cluster would mount: beside the test's own file, or in the directory of `--files`.

use std::io;
use std::path::{Path, PathBuf};

use proofload_engine::Shelf;
use proofload_plan::{Place, Plan};

/// A directory and this process's environment.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// `files` where it is given, else where the test's own file is.
    pub(crate) fn of(test: &Path, files: Option<&Path>) -> Self {
        let beside = || test.parent().filter(|_| test.as_os_str() != "-").unwrap_or(Path::new("")).to_owned();
        Self(files.map_or_else(beside, Path::to_owned))
    }

    /// Where a source may be: the first that there is counts.
    fn candidates(&self, place: &Place) -> Vec<PathBuf> {
        match place {
            Place::ConfigMap(key) | Place::Secret(key) => {
                vec![self.0.join(&key.name).join(&key.key), self.0.join(&key.key)]
            }
            Place::File(path) => vec![self.0.join(path)],
        }
    }

    /// Whether a source is here.
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.candidates(place).iter().any(|path| path.exists())
    }

    /// Takes out of a plan what only a cluster has, and says of each what was looked for. What must be here stays.
    pub(crate) fn without_what_is_elsewhere(&self, plan: &Plan) -> (Plan, Vec<String>) {
        let (mut plan, mut notes) = (plan.clone(), Vec::new());
        let mut is_here = |path: String, place: &Place| {
            let from = match place {
                Place::ConfigMap(key) => format!("ConfigMap {}", key.name),
                Place::Secret(key) => format!("Secret {}", key.name),
                Place::File(_) => return true,
            };
            let candidates = self.candidates(place);
            let is_here = candidates.iter().any(|path| path.exists());
            if !is_here {
                let looked = shown(&candidates);
                notes.push(format!("{path}: not checked: {looked} is not here; in a cluster it comes from {from}"));
            }
            is_here
        };
        plan.data.retain(|set| is_here(format!("spec.data.{}", set.source.name), &set.source.place));
        let mut kept = 0;
        let places: Vec<Option<usize>> = plan
            .files
            .iter()
            .map(|file| {
                let is_here = is_here(format!("spec.files.{}", file.name), &file.place);
                kept += usize::from(is_here);
                is_here.then(|| kept - 1)
            })
            .collect();
        let mut place = places.iter();
        plan.files.retain(|_| place.next().is_some_and(Option::is_some));
        if let Some(tls) = &mut plan.target.tls {
            let at = |index: usize| places.get(index).copied().flatten();
            tls.ca = tls.ca.and_then(at);
            tls.identity = tls.identity.and_then(|(certificate, key)| at(certificate).zip(at(key)));
        }
        // A value has nothing in it that could be wrong.
        plan.env.clear();
        (plan, notes)
    }
}

/// Paths as alternatives.
fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

impl Shelf for Directory {
    fn read(&self, _: &str, place: &Place) -> Result<Vec<u8>, String> {
        let candidates = self.candidates(place);
        for path in &candidates {
            match std::fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other.map_err(|error| format!("{}: {error}", path.display())),
            }
        }
        Err(format!("there is no file {}", shown(&candidates)))
    }

    fn variable(&self, name: &str, place: Option<&Place>) -> Option<String> {
        let in_file = || {
            let text = self.candidates(place?).iter().find_map(|path| std::fs::read_to_string(path).ok())?;
            // Editors end every file with a new line, which no secret has.
            Some(text.strip_suffix('\n').map_or(text.clone(), |text| text.trim_end_matches('\r').to_owned()))
        };
        std::env::var(name).ok().or_else(in_file)
    }
}

#[cfg(test)]
mod tests {
    use proofload_api::data::KeyRef;

    use super::*;

    fn key(name: &str, key: &str) -> KeyRef {
        KeyRef { name: name.to_owned(), key: key.to_owned() }
    }

    #[test]
    fn what_is_elsewhere_is_not_checked_and_what_is_here_is_found_again() {
        let spec = serde_json::json!({
            "target": {"baseUrl": "https://shop", "tls": {"ca": "b-ca", "certificate": "c-own", "key": "d-key"}},
            "files": {
                "a-photo": {"configMap": {"name": "x", "key": "a.png"}}, "b-ca": {"configMap": {"name": "x", "key": "ca.pem"}},
                "c-own": {"file": "own.pem"}, "d-key": {"secret": {"name": "x", "key": "own.key"}},
            },
            "scenarios": [{"name": "main", "iterations": {"users": 1, "perUser": 1},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
        });
        let spec = serde_json::from_value(spec).unwrap();
        let plan = proofload_plan::compile(&spec, "test").unwrap().plan;
        let directory = tempfile::tempdir().unwrap();
        let shelf = Directory::of(&directory.path().join("test.yaml"), None);
        let without = |shelf: &Directory| {
            let (plan, notes) = shelf.without_what_is_elsewhere(&plan);
            let names: Vec<String> = plan.files.iter().map(|file| file.name.clone()).collect();
            let tls = plan.target.tls.unwrap();
            (names.join(" "), tls.ca, tls.identity, notes.len())
        };
        assert_eq!(without(&shelf), ("c-own".to_owned(), None, None, 3));
        for name in ["ca.pem", "own.key"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(without(&shelf), ("b-ca c-own d-key".to_owned(), Some(0), Some((1, 2)), 1));
    }

    #[test]
    fn a_key_is_a_file_in_a_directory_of_its_objects_name_or_else_beside_the_test() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Directory::of(&directory.path().join("test.yaml"), None);
        let place = Place::Secret(key("logins", "users.csv"));
        let error = shelf.read("accounts", &place).unwrap_err();
        assert!(error.starts_with("there is no file ") && error.contains("logins/users.csv or "), "{error}");
        std::fs::write(directory.path().join("users.csv"), "beside").unwrap();
        assert_eq!(shelf.read("accounts", &place).unwrap(), b"beside");
        std::fs::create_dir(directory.path().join("logins")).unwrap();
        std::fs::write(directory.path().join("logins/users.csv"), "in\n").unwrap();
        assert_eq!(shelf.read("accounts", &place).unwrap(), b"in\n");
        assert_eq!(shelf.variable("NO_SUCH_VARIABLE", Some(&place)).as_deref(), Some("in"));
        assert_eq!(shelf.variable("NO_SUCH_VARIABLE", None), None);
        let elsewhere = Directory::of(Path::new("test.yaml"), Some(directory.path()));
        assert_eq!(elsewhere.read("accounts", &Place::File("users.csv".to_owned())).unwrap(), b"beside");
    }
}
