//! Reads the header of a GGUF file and tells whether the whole file is there.
//!
//! llama.cpp answers a damaged file with many lines of its own; this says in one line what is wrong, before
//! anything starts. Lenient: a tensor type or a format version it does not know is no fault.
//! Not here: which file to use (`find`), and the checksum of the installed one (`install`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// `GgufInfo` is what the header of a GGUF file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufInfo {
    /// The version of the format.
    pub version: u32,
    /// How many tensors the file holds.
    pub tensors: u64,
    /// `general.architecture`, such as `llama`.
    pub architecture: Option<String>,
    /// `general.name`.
    pub name: Option<String>,
    /// The longest context the model was trained for, in tokens.
    pub context_length: Option<u64>,
    /// The size of the file in bytes.
    pub size: u64,
}

/// Checks that `path` is a whole GGUF file.
///
/// # Errors
///
/// [`ErrorKind::Engine`] when the file is missing, is a folder, cannot be read, is not a GGUF, or ends before
/// the tensors its header announces.
pub fn check_gguf(path: &Path) -> Result<GgufInfo> {
    let shown = path.display();
    let fault = |what: String, hint: &str| Error::new(ErrorKind::Engine, what).with_hint(hint);
    let found = std::fs::metadata(path).and_then(|metadata| Ok((metadata, File::open(path)?)));
    let (metadata, file) = found.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => fault(
            format!("There is no model file {shown}."),
            "Correct the path, or run `xdev-llm engine install` for the small built-in model.",
        ),
        _ => {
            fault(format!("The model file {shown} cannot be read: {error}."), "Check the file's permissions.")
                .with_source(error)
        }
    })?;
    if metadata.is_dir() {
        return Err(fault(format!("{shown} is a folder, not a model file."), "Name the .gguf file in it."));
    }
    let size = metadata.len();
    let mut reader = Header { input: BufReader::new(file), size };
    match reader.read() {
        Ok((info, needed)) if needed <= size => Ok(info),
        Ok((_, needed)) => Err(fault(
            format!(
                "The model file {shown} is truncated: it has {size} bytes and its header announces {needed}."
            ),
            "Download it again; the first download was cut off.",
        )),
        Err(Fault::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(fault(
            format!("The model file {shown} is truncated: its {size} bytes end inside the header."),
            "Download it again; the first download was cut off.",
        )),
        Err(Fault::Io(error)) => {
            Err(fault(format!("The model file {shown} cannot be read: {error}."), "Check the disk.")
                .with_source(error))
        }
        Err(Fault::Magic(magic)) => Err(fault(
            format!("{shown} is not a GGUF file: it begins with \"{}\".", magic.escape_ascii()),
            "The engine runs GGUF files only; download the model in that format.",
        )),
        Err(Fault::Damaged(what)) => {
            Err(fault(format!("The model file {shown} is damaged: {what}."), "Download it again."))
        }
    }
}

/// The longest text that is read; a chat template is the longest one there is, some kilobytes.
const LONGEST_TEXT: u64 = 64 << 20;

/// What can be wrong with a header.
enum Fault {
    Io(io::Error),
    Magic(Vec<u8>),
    Damaged(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

/// A value of the key-value part, as far as anyone asks for it.
enum Value {
    Number(u64),
    Text(String),
    Other,
}

/// `Header` walks the header of one file.
struct Header {
    input: BufReader<File>,
    size: u64,
}

impl Header {
    /// Reads the header; gives it with the number of bytes the file must have.
    fn read(&mut self) -> Result<(GgufInfo, u64), Fault> {
        let mut magic = Vec::new();
        self.input.by_ref().take(4).read_to_end(&mut magic)?;
        if magic != b"GGUF" {
            return Err(Fault::Magic(magic));
        }
        let version = self.u32()?;
        let mut info = GgufInfo {
            version,
            tensors: 0,
            architecture: None,
            name: None,
            context_length: None,
            size: self.size,
        };
        if !(2..=3).contains(&version) {
            // Version 1 counts in 32 bits and later ones are unknown: llama.cpp decides.
            return Ok((info, 0));
        }
        info.tensors = self.u64()?;
        let pairs = self.u64()?;
        let mut alignment = 32;
        for _ in 0..pairs {
            let key = self.text()?;
            let tag = self.u32()?;
            match (key.as_str(), self.value(tag)?) {
                ("general.alignment", Value::Number(bytes)) => alignment = bytes,
                ("general.architecture", Value::Text(text)) => info.architecture = Some(text),
                ("general.name", Value::Text(text)) => info.name = Some(text),
                (key, Value::Number(tokens)) if key.ends_with(".context_length") => {
                    info.context_length = Some(tokens);
                }
                _ => {}
            }
        }
        let mut data_size = 0;
        for _ in 0..info.tensors {
            data_size = data_size.max(self.tensor_end()?);
        }
        let start = self
            .input
            .stream_position()?
            .checked_next_multiple_of(alignment)
            .ok_or(Fault::Damaged("its alignment is 0 or too large"))?;
        let needed =
            start.checked_add(data_size).ok_or(Fault::Damaged("a tensor's place is beyond any file"))?;
        Ok((info, needed))
    }

    /// Reads one tensor's description; gives the place in the data part where the tensor ends, in bytes.
    fn tensor_end(&mut self) -> Result<u64, Fault> {
        self.text()?;
        let dimensions = self.u32()?;
        let mut count: u64 = 1;
        for _ in 0..dimensions {
            count =
                count.checked_mul(self.u64()?).ok_or(Fault::Damaged("a tensor is larger than any file"))?;
        }
        let tag = self.u32()?;
        let offset = self.u64()?;
        // Of a type this table does not know, only the beginning is checked.
        let size = block(tag).map_or(0, |(elements, bytes)| count.div_ceil(elements).saturating_mul(bytes));
        Ok(offset.saturating_add(size))
    }

    fn value(&mut self, tag: u32) -> Result<Value, Fault> {
        Ok(match tag {
            4 => Value::Number(u64::from(self.u32()?)),
            8 => Value::Text(self.text()?),
            9 => {
                let element = self.u32()?;
                let count = self.u64()?;
                self.skip_array(element, count)?;
                Value::Other
            }
            10 => Value::Number(self.u64()?),
            _ => {
                self.skip(width(tag)?)?;
                Value::Other
            }
        })
    }

    fn skip_array(&mut self, element: u32, count: u64) -> Result<(), Fault> {
        if element == 8 {
            for _ in 0..count {
                let length = self.u64()?;
                self.skip(length)?;
            }
            return Ok(());
        }
        let bytes = width(element)?.checked_mul(count);
        self.skip(bytes.ok_or(Fault::Damaged("a list is longer than any file"))?)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        match i64::try_from(bytes) {
            Ok(offset) if bytes <= self.size => Ok(self.input.seek_relative(offset)?),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn text(&mut self) -> Result<String, Fault> {
        let length = self.u64()?;
        if length > self.size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if length > LONGEST_TEXT {
            return Err(Fault::Damaged("its header holds a text of more than 64 MiB"));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// The bytes of one value of a type of fixed width, by the format's number for the type.
fn width(tag: u32) -> Result<u64, Fault> {
    match tag {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(Fault::Damaged("its header holds a value of an unknown type")),
    }
}

/// The elements and the bytes of one block of a tensor type, by the format's number for the type.
///
/// Source: the table `GGML_QUANT_SIZES` of llama.cpp's Python package `gguf`.
fn block(tag: u32) -> Option<(u64, u64)> {
    Some(match tag {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        24 => (1, 1),
        27 | 28 => (1, 8),
        29 => (256, 56),
        34 => (256, 54),
        39 => (32, 17),
        40 => (64, 36),
        41 => (128, 18),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    /// A GGUF with one Q4_1 tensor of 64 elements (40 bytes) at offset 32 of the data part.
    fn small() -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        out.extend(4_u64.to_le_bytes());
        text(&mut out, "general.architecture");
        out.extend(8_u32.to_le_bytes());
        text(&mut out, "llama");
        text(&mut out, "llama.context_length");
        out.extend(4_u32.to_le_bytes());
        out.extend(8192_u32.to_le_bytes());
        text(&mut out, "tokens");
        out.extend(9_u32.to_le_bytes());
        out.extend(8_u32.to_le_bytes());
        out.extend(2_u64.to_le_bytes());
        text(&mut out, "a");
        text(&mut out, "bc");
        text(&mut out, "scores");
        out.extend(9_u32.to_le_bytes());
        out.extend(6_u32.to_le_bytes());
        out.extend(3_u64.to_le_bytes());
        out.extend([0; 12]);
        text(&mut out, "weight");
        out.extend(2_u32.to_le_bytes());
        out.extend(32_u64.to_le_bytes());
        out.extend(2_u64.to_le_bytes());
        out.extend(3_u32.to_le_bytes());
        out.extend(32_u64.to_le_bytes());
        out.resize(out.len().next_multiple_of(32) + 32 + 40, 0);
        out
    }

    fn check(bytes: &[u8]) -> Result<GgufInfo> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        check_gguf(&path)
    }

    #[test]
    fn a_whole_file_is_read() {
        let info = check(&small()).unwrap();
        assert_eq!((info.version, info.tensors, info.context_length), (3, 1, Some(8192)));
        assert_eq!(info.architecture.as_deref(), Some("llama"));
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = small();
        for length in 0..whole.len() {
            let error = check(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Engine);
            let expected = if length < 4 { "is not a GGUF file" } else { "is truncated" };
            assert!(error.to_string().contains(expected), "{length}: {error}");
        }
    }

    #[test]
    fn hostile_lengths_are_faults_and_cost_no_memory() {
        for place in (4..small().len() - 8).step_by(4) {
            let mut bytes = small();
            bytes[place..place + 8].fill(0xff);
            // Any answer is right; a panic or an allocation of 2^64 bytes is not.
            let _ = check(&bytes);
        }
    }

    #[test]
    fn missing_folder_and_other_formats_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_gguf(&folder.path().join("none.gguf")).unwrap_err();
        assert!(error.to_string().starts_with("There is no model file"), "{error}");
        let error = check_gguf(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("is a folder, not a model file."), "{error}");
        let error = check(b"<!DOCTYPE html><html>").unwrap_err();
        assert!(error.to_string().ends_with("is not a GGUF file: it begins with \"<!DO\"."), "{error}");
    }

    #[test]
    fn unknown_tensor_types_and_versions_pass() {
        let mut bytes = small();
        let place = bytes.windows(6).position(|window| window == b"weight").unwrap() + 6 + 4 + 16;
        bytes[place] = 99;
        assert!(check(&bytes).is_ok());
        let mut bytes = small();
        bytes[4] = 9;
        assert_eq!(check(&bytes[..40]).unwrap().version, 9);
    }
}
