//! A report in a directory of a volume: nobody ever sees half of a file, and what was written survives a power cut.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::{Failed, Object};

/// For whoever else mounts the volume.
const MODE: u32 = 0o644;

/// Writes all objects into a directory below `root`, which must exist: it is the volume.
pub(super) fn write(root: &Path, to: &str, objects: &[Object]) -> Result<(), Failed> {
    let directory = root.join(to);
    let failed = |error: Error| words(&error, to);
    if !root.is_dir() {
        return Err(Failed::lasting(format!("there is no volume at {}", root.display())));
    }
    std::fs::create_dir_all(&directory).map_err(failed)?;
    for object in objects {
        write_one(&directory, object).map_err(failed)?;
    }
    // A name, too, must survive: of the files, and of the directories that were made for them.
    let mut made = directory.ancestors().take_while(|ancestor| ancestor.starts_with(root));
    made.try_for_each(|ancestor| File::open(ancestor)?.sync_all()).map_err(failed)
}

fn write_one(directory: &Path, object: &Object) -> Result<(), Error> {
    let mut file = NamedTempFile::with_prefix_in(".part-", directory)?;
    file.write_all(&object.bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(MODE))?;
    file.as_file().sync_all()?;
    file.persist(directory.join(object.name))?;
    Ok(())
}

fn words(error: &Error, to: &str) -> Failed {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Failed::lasting("there is no space left on the volume: make room, or let it grow")
        }
        ErrorKind::ReadOnlyFilesystem => Failed::lasting("the volume is read-only"),
        ErrorKind::PermissionDenied => Failed::lasting(format!(
            "the volume does not let user 65532 of group 65532 write into {to:?}: change the owner or the mode there"
        )),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            Failed::lasting(format!("something is in the way on the volume at {to:?}: {error}"))
        }
        _ => Failed::passing(format!("cannot write to the volume: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_without_room_or_rights_is_told_as_such() {
        let told = |kind: ErrorKind| {
            let failed = words(&Error::from(kind), "shop/checkout-1f0c9");
            (failed.words, failed.passing)
        };
        assert!(told(ErrorKind::StorageFull).0.starts_with("there is no space left on the volume"));
        assert!(told(ErrorKind::QuotaExceeded).0.starts_with("there is no space left on the volume"));
        assert!(told(ErrorKind::PermissionDenied).0.contains("user 65532"));
        assert!(!told(ErrorKind::ReadOnlyFilesystem).1);
        assert!(told(ErrorKind::StaleNetworkFileHandle).1);
    }
}
