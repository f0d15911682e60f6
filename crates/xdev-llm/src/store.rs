//! Files on disk: atomic writes, sessions as JSON lines, and the log of statistics.
//!
//! What a line means is the business of others (`history`, `stats`); here it is a JSON value. What holds people's words
//! is readable by its owner alone. Not here: settings (`config`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind as IoErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// The size at which `stats.jsonl` becomes `stats.1.jsonl`, in bytes.
const STATS_LIMIT: u64 = 10_000_000;
/// The largest session that is read, in bytes.
const SESSION_LIMIT: u64 = 64 * 1024 * 1024;
/// The longest name of a session, in bytes.
const NAME_LIMIT: usize = 100;

/// `Access` says who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever the process's umask lets.
    Shared,
    /// The owner alone (mode 0600 on Unix).
    OwnerOnly,
}

/// Writes a file so that at any time it holds either its old bytes or all of the new ones.
///
/// The bytes go to a new file in the same folder, to the disk, and then take the old file's place. The folder is made
/// where there is none.
///
/// # Errors
/// `Store` with the path and the cause.
pub fn write_atomic(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if access == Access::OwnerOnly { 0o600 } else { 0o666 };
            builder.permissions(fs::Permissions::from_mode(mode));
        }
        #[cfg(not(unix))]
        let _ = access;
        let mut file = builder.prefix(".xdev-llm-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The new name is safe only once the folder is on the disk too.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|error| failed("written", path, error))
}

/// Checks a name from a person that becomes the name of a file.
///
/// # Errors
/// `InvalidInput` unless it is 1 to 100 bytes of letters, digits, `-`, `_`, `.` and spaces between them, does not
/// begin or end with a dot or space, and is no device of Windows (`con`, `nul`, …).
pub fn safe_name(name: &str) -> Result<&str> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
    let is_device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (["com", "lpt"].iter().any(|device| stem.starts_with(device)) && stem.chars().count() == 4);
    let has_edge = name.starts_with(['.', ' ']) || name.ends_with(['.', ' ']);
    if (1..=NAME_LIMIT).contains(&name.len()) && name.chars().all(is_plain) && !has_edge && !is_device {
        return Ok(name);
    }
    let shown: String = name.chars().take(NAME_LIMIT).flat_map(char::escape_debug).collect();
    Err(Error::invalid_input(format!(
        "\"{shown}\" cannot name a session: use 1 to 100 letters, digits, `-`, `_` and dots or spaces between them."
    )))
}

/// `SessionSummary` is one row of the list of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// The session's name.
    pub id: String,
    /// When it was begun; where the file system does not tell, when it was last written.
    pub created: SystemTime,
    /// When it was last written.
    pub modified: SystemTime,
    /// The file's size, in bytes.
    pub bytes: u64,
}

/// `Session` is a conversation on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The session's name.
    pub id: String,
    /// When it was begun; where the file system does not tell, when it was last written.
    pub created: SystemTime,
    /// The messages, oldest first, as they were stored.
    pub messages: Vec<Value>,
    /// The lines that were skipped because a crash or a full disk had cut them.
    pub warnings: Vec<String>,
}

/// `Store` is the folder that holds sessions (`sessions/NAME.jsonl`) and statistics (`stats.jsonl`).
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes a store in a folder; nothing is written before something is stored.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Store { folder: state_dir.into() }
    }

    /// Begins an empty session and gives its name, which is the time in UTC where none was given.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none or is taken, `Store` where the file cannot be made.
    pub fn create_session(&self, id: Option<&str>) -> Result<String> {
        let Some(id) = id else {
            let base = utc_name(SystemTime::now());
            let mut id = base.clone();
            let mut count = 1_u32;
            while !self.try_create(&id)? {
                count += 1;
                id = format!("{base}-{count}");
            }
            return Ok(id);
        };
        if self.try_create(safe_name(id)?)? {
            return Ok(id.to_owned());
        }
        Err(Error::invalid_input(format!("There is a session \"{id}\" already; take another name.")))
    }

    /// Makes the file of a session; false where there is one.
    fn try_create(&self, id: &str) -> Result<bool> {
        let path = self.session_path(id)?;
        match open_private(&path, OpenOptions::new().write(true).create_new(true)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("made", &path, error)),
        }
    }

    /// Adds a message to the end of a session, making the session where there is none.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none, `Store` where the file cannot be written.
    pub fn append_message(&self, id: &str, message: &Value) -> Result<()> {
        append_line(&self.session_path(id)?, message)
    }

    /// Replaces all messages of a session at once, making the session where there is none.
    ///
    /// # Errors
    /// As [`Store::append_message`].
    pub fn write_session(&self, id: &str, messages: &[Value]) -> Result<()> {
        let path = self.session_path(id)?;
        let lines: Vec<String> = messages.iter().map(Value::to_string).chain([String::new()]).collect();
        write_atomic(&path, lines.join("\n").as_bytes(), Access::OwnerOnly)
    }

    /// Reads a session. Lines that are no JSON are skipped, each with a warning.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none, `Store` where the file is missing, cannot be read or is over 64 MiB.
    pub fn read_session(&self, id: &str) -> Result<Session> {
        let path = self.session_path(id)?;
        let read = || -> io::Result<(Vec<u8>, SystemTime)> {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            let mut bytes = Vec::new();
            file.take(SESSION_LIMIT + 1).read_to_end(&mut bytes)?;
            Ok((bytes, metadata.created().or_else(|_| metadata.modified())?))
        };
        let (bytes, created) = read().map_err(|error| failed("read", &path, error))?;
        if bytes.len() as u64 > SESSION_LIMIT {
            return Err(Error::new(ErrorKind::Store, format!("{} is larger than 64 MiB.", path.display()))
                .with_hint("Begin a new session, or take the oldest lines out of the file."));
        }
        let mut session = Session { id: id.to_owned(), created, messages: Vec::new(), warnings: Vec::new() };
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(message) => session.messages.push(message),
                Err(error) => session.warnings.push(format!(
                    "{}, line {}: skipped, because it is not JSON ({error}); a crash may have cut it.",
                    path.display(),
                    index + 1
                )),
            }
        }
        Ok(session)
    }

    /// Lists the sessions, the last written first.
    ///
    /// # Errors
    /// `Store` where the folder cannot be read; a folder that is missing has no sessions.
    pub fn sessions(&self) -> Result<Vec<SessionSummary>> {
        let folder = self.folder.join("sessions");
        let list = || -> io::Result<Vec<SessionSummary>> {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut sessions = Vec::new();
            for entry in entries {
                let path = entry?.path();
                let id = path.file_stem().and_then(|stem| stem.to_str()).filter(|id| safe_name(id).is_ok());
                let Some(id) = id.filter(|_| path.extension().is_some_and(|extension| extension == "jsonl"))
                else {
                    continue;
                };
                let metadata = match fs::metadata(&path) {
                    // Another process removed it since.
                    Err(error) if error.kind() == IoErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                let modified = metadata.modified()?;
                let created = metadata.created().unwrap_or(modified);
                sessions.push(SessionSummary { id: id.to_owned(), created, modified, bytes: metadata.len() });
            }
            sessions
                .sort_by(|one, other| other.modified.cmp(&one.modified).then_with(|| other.id.cmp(&one.id)));
            Ok(sessions)
        };
        list().map_err(|error| failed("read", &folder, error))
    }

    /// Adds a line to `stats.jsonl`; at 10 MB it becomes `stats.1.jsonl`, in the place of an older one.
    ///
    /// # Errors
    /// `Store` where the file cannot be written.
    pub fn append_stat(&self, line: &Value) -> Result<()> {
        let path = self.folder.join("stats.jsonl");
        rotate(&path, &self.folder.join("stats.1.jsonl"), STATS_LIMIT)?;
        append_line(&path, line)
    }

    fn session_path(&self, id: &str) -> Result<PathBuf> {
        Ok(self.folder.join("sessions").join(format!("{}.jsonl", safe_name(id)?)))
    }
}

/// Moves a file that has reached `limit` bytes.
fn rotate(path: &Path, old: &Path, limit: u64) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() >= limit => {
            fs::rename(path, old).map_err(|error| failed("renamed", path, error))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("read", path, error)),
    }
}

/// Adds one line with one write, so that lines of several processes do not mix.
fn append_line(path: &Path, line: &Value) -> Result<()> {
    let append = || -> io::Result<()> {
        let mut file = open_private(path, OpenOptions::new().read(true).append(true).create(true))?;
        let mut text = String::new();
        // A line that a crash has cut must not swallow this one.
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.push('\n');
            }
        }
        text.push_str(&line.to_string());
        text.push('\n');
        file.write_all(text.as_bytes())
    };
    append().map_err(|error| failed("written", path, error))
}

/// Opens a file in a folder that is made where it is missing; both are the owner's alone when they are made.
fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.recursive(true).create(folder)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{} could not be {what}: {error}.", path.display()))
        .with_source(error)
}

/// The time as `YYYYMMDD-HHMMSS` in UTC.
fn utc_name(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from 1 March 0000, so that the leap day is the last of its year; 146,097 days are 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"));
        (folder, store)
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file");
        write_atomic(&path, b"first and longer", Access::Shared).unwrap();
        write_atomic(&path, b"second", Access::OwnerOnly).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_and_names_path_and_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        let error = write_atomic(&path, b"x", Access::Shared).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.message().starts_with(&path.display().to_string()), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn a_session_reads_back_what_was_appended() {
        let (_folder, store) = store();
        let id = store.create_session(None).unwrap();
        let messages = [
            json!({"role": "user", "content": "a\nb\u{2028}é"}),
            json!({"role": "assistant", "content": null}),
        ];
        for message in &messages {
            store.append_message(&id, message).unwrap();
        }
        let session = store.read_session(&id).unwrap();
        assert_eq!((session.messages.as_slice(), session.warnings.len()), (&messages[..], 0));
        store.write_session(&id, &messages[..1]).unwrap();
        assert_eq!(store.read_session(&id).unwrap().messages, messages[..1]);
        #[cfg(unix)]
        {
            let path = store.session_path(&id).unwrap();
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn new_sessions_never_share_a_name() {
        let (_folder, store) = store();
        let names: Vec<String> = (0..5).map(|_| store.create_session(None).unwrap()).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        store.create_session(Some("mine")).unwrap();
        let error = store.create_session(Some("mine")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn sessions_are_listed_the_last_written_first_and_strangers_left_out() {
        let (_folder, store) = store();
        assert_eq!(store.sessions().unwrap(), []);
        for (age, id) in [(30, "old"), (10, "new"), (20, "middle")] {
            store.append_message(id, &json!({})).unwrap();
            let file = OpenOptions::new().write(true).open(store.session_path(id).unwrap()).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        fs::write(store.folder.join("sessions/notes.txt"), "").unwrap();
        fs::write(store.folder.join("sessions/.hidden.jsonl"), "").unwrap();
        let names: Vec<String> = store.sessions().unwrap().into_iter().map(|session| session.id).collect();
        assert_eq!(names, ["new", "middle", "old"]);
    }

    #[test]
    fn a_missing_session_is_an_error_with_its_path() {
        let (_folder, store) = store();
        let error = store.read_session("none").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.message().contains("none.jsonl"), "{error}");
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let long = "a".repeat(101);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "C:x",
            "a\0b",
            "a\nb",
            ".hidden",
            "end.",
            " x",
            "x ",
            "con",
            "NUL.txt",
            "com1",
            "Lpt9.x",
            "*",
            "~",
            long.as_str(),
        ] {
            assert_eq!(safe_name(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        for name in ["a", "my chat", "20261123-074128", "größe_1.2", "console", "common"] {
            assert_eq!(safe_name(name).unwrap(), name);
        }
    }

    #[test]
    fn statistics_are_rotated_and_the_older_file_replaced() {
        let (_folder, store) = store();
        store.append_stat(&json!({"n": 1})).unwrap();
        let (path, old) = (store.folder.join("stats.jsonl"), store.folder.join("stats.1.jsonl"));
        rotate(&path, &old, 1000).unwrap();
        assert!(path.exists() && !old.exists());
        fs::write(&old, "older").unwrap();
        rotate(&path, &old, 8).unwrap();
        store.append_stat(&json!({"n": 2})).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "{\"n\":1}\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
        File::create(&path).unwrap().set_len(STATS_LIMIT).unwrap();
        store.append_stat(&json!({"n": 3})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":3}\n");
        assert_eq!(fs::metadata(&old).unwrap().len(), STATS_LIMIT);
    }

    #[test]
    fn lines_of_several_writers_do_not_mix() {
        let (_folder, store) = store();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for line in 0..50 {
                        store
                            .append_message(
                                "shared",
                                &json!({"writer": writer, "line": line, "pad": "x".repeat(3000)}),
                            )
                            .unwrap();
                    }
                });
            }
        });
        let session = store.read_session("shared").unwrap();
        assert_eq!((session.messages.len(), session.warnings.len()), (200, 0));
    }

    #[test]
    fn times_become_names() {
        for (seconds, name) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (951_868_800, "20000301-000000"),
            (1_735_689_599, "20241231-235959"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(utc_name(UNIX_EPOCH + Duration::from_secs(seconds)), name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_session_cut_anywhere_keeps_every_whole_line_and_takes_new_ones(texts in prop::collection::vec(".{0,12}", 1..5), cut in 0_usize..200) {
            let (_folder, store) = store();
            for text in &texts {
                store.append_message("s", &json!({"content": text})).unwrap();
            }
            let path = store.session_path("s").unwrap();
            let whole = fs::read(&path).unwrap();
            let kept = cut.min(whole.len());
            fs::write(&path, &whole[..kept]).unwrap();
            let lines = memchr::memchr_iter(b'\n', &whole[..kept]).count();
            // A line that lacks only its line break is whole.
            let is_whole = whole.get(kept) == Some(&b'\n');
            let session = store.read_session("s").unwrap();
            prop_assert_eq!(session.messages.len(), lines + usize::from(is_whole));
            let is_torn = kept > 0 && whole[kept - 1] != b'\n' && !is_whole;
            prop_assert_eq!(session.warnings.len(), usize::from(is_torn));
            store.append_message("s", &json!("new")).unwrap();
            let session = store.read_session("s").unwrap();
            prop_assert_eq!(session.messages.len(), lines + usize::from(is_whole) + 1);
            prop_assert_eq!(session.messages.last(), Some(&json!("new")));
        }
    }
}
