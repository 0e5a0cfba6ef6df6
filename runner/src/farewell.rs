//! The last words of a runner that cannot do its work: the kubelet puts them into the pod's status, where the operator
//! finds them. Never a value of a data set, a file or a variable.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// The most bytes that the kubelet takes.
const MOST: usize = 4096;

/// Writes lines into the file that the kubelet made for them. Without such a file nobody wants to know.
pub(crate) fn say(path: &Path, lines: &[String]) {
    let mut text = lines.join("\n");
    text.truncate(text.floor_char_boundary(MOST));
    // Not made: outside of a pod there is none.
    let written =
        OpenOptions::new().write(true).truncate(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!("cannot write the termination message {}: {error}", path.display());
        }
        _ => {}
    }
}
