//! Reads the header of a GGUF file: whether the whole file is there, and how much memory its model will take.
//!
//! llama.cpp answers a damaged file with many lines of its own; this says in one line what is wrong, before
//! anything starts. Lenient: a tensor type or a format version it does not know is no fault. Texts are read only as far
//! as someone asks for them, so that a hostile header costs neither memory nor much time.
//! Not here: which file to use (`engine`), and what follows from the metadata (`forecast`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::forecast::Shape;

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
    let (file, size) = open(path)?;
    let header =
        Reader::new(file, size).read().map_err(|fault| fault.of(&path.display().to_string(), size))?;
    if header.needed > size {
        let (shown, needed) = (path.display(), header.needed);
        return Err(engine_fault(
            format!(
                "The model file {shown} is truncated: it has {size} bytes and its header announces {needed}."
            ),
            "Download it again; the first download was cut off.",
        ));
    }
    Ok(header.info)
}

impl Shape {
    /// Reads the shape of a model in a local GGUF file, from its header alone.
    ///
    /// The size is the file's; of a model in parts (`-00001-of-00003.gguf`), that of all of them, beginning with the
    /// first. A projector for pictures is a file of its own and does not count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when the file or a part of it is missing, cannot be read, or is not a GGUF.
    pub fn from_gguf(path: &Path) -> Result<Shape> {
        let (file, size) = open(path)?;
        let parts = other_parts(path);
        let mut sum = size;
        for part in &parts {
            sum = sum.saturating_add(open(part)?.1);
        }
        let header =
            Reader::new(file, size).read().map_err(|fault| fault.of(&path.display().to_string(), size))?;
        // A part knows its own tensors only.
        let counted = if parts.is_empty() { header.parameters } else { 0 };
        Ok(shape(header, counted, sum))
    }

    /// Reads the shape of a model from the bytes of a GGUF file, from its header alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when the input cannot be read or is not a GGUF.
    pub fn read_gguf(mut input: impl Read + Seek) -> Result<Shape> {
        let measured = input.seek(SeekFrom::End(0)).and_then(|size| input.rewind().map(|()| size));
        let size = measured.map_err(|error| Fault::Io(error).of("input", 0))?;
        let header = Reader::new(input, size).read().map_err(|fault| fault.of("input", size))?;
        let counted = header.parameters;
        Ok(shape(header, counted, size))
    }
}

/// The shape that a header tells, with what it implies: how many parameters and tokens there are.
fn shape(header: Header, parameters: u64, weights_bytes: u64) -> Shape {
    let mut metadata = header.metadata;
    if parameters > 0 {
        metadata.entry("general.parameter_count").or_insert(parameters.into());
    }
    if let Some(family) = metadata.get("general.architecture").and_then(Value::as_str)
        && header.tokens > 0
    {
        let key = format!("{family}.vocab_size");
        metadata.entry(key).or_insert(header.tokens.into());
    }
    Shape::from_metadata(&metadata, weights_bytes)
}

/// The other files of a model in parts, where `path` is the first of them.
fn other_parts(path: &Path) -> Vec<PathBuf> {
    let parts = || {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (front, count) = name.rsplit_once("-of-")?;
        let front = front.strip_suffix("-00001")?;
        let number = count.parse::<u32>().ok().filter(|_| count.len() == 5)?;
        Some(
            (2..=number)
                .map(|part| path.with_file_name(format!("{front}-{part:05}-of-{count}.gguf")))
                .collect(),
        )
    };
    parts().unwrap_or_default()
}

fn engine_fault(what: String, hint: &str) -> Error {
    Error::new(ErrorKind::Engine, what).with_hint(hint)
}

/// Opens a model file; gives it with its size. Pipes and devices are not opened: that could wait for ever.
fn open(path: &Path) -> Result<(File, u64)> {
    let shown = path.display();
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => engine_fault(
            format!("There is no model file {shown}."),
            "Correct the path, or run `xdev-llm engine install` for the small built-in model.",
        ),
        _ => engine_fault(
            format!("The model file {shown} cannot be read: {error}."),
            "Check the file's permissions.",
        )
        .with_source(error),
    };
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(engine_fault(
            format!("{shown} is {what}, not a model file."),
            "Name the .gguf file in it.",
        ));
    }
    Ok((File::open(path).map_err(cannot)?, metadata.len()))
}

/// The longest key; the format allows no longer one.
const LONGEST_KEY: u64 = 65_535;
/// The longest text that is kept; families and names are short, and chat templates are not asked for.
const LONGEST_TEXT: u64 = 4096;
/// The longest list that is kept; those asked for have an entry for each layer.
const LONGEST_LIST: u64 = 1024;
/// More pairs, dimensions, tensors and texts in a list than any model has.
const MOST_PAIRS: u64 = 1 << 16;
const MOST_DIMENSIONS: u32 = 8;
const MOST_TENSORS: u64 = 1 << 20;
const MOST_TEXTS: u64 = 1 << 24;

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

impl Fault {
    /// The error of the file `shown`, which has `size` bytes.
    fn of(self, shown: &str, size: u64) -> Error {
        match self {
            Fault::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => engine_fault(
                format!("The model file {shown} is truncated: its {size} bytes end inside the header."),
                "Download it again; the first download was cut off.",
            ),
            Fault::Io(error) => {
                engine_fault(format!("The model file {shown} cannot be read: {error}."), "Check the disk.")
                    .with_source(error)
            }
            Fault::Magic(magic) => engine_fault(
                format!("{shown} is not a GGUF file: it begins with \"{}\".", magic.escape_ascii()),
                "The engine runs GGUF files only; download the model in that format.",
            ),
            Fault::Damaged(what) => {
                engine_fault(format!("The model file {shown} is damaged: {what}."), "Download it again.")
            }
        }
    }
}

/// `Header` is what a header says, as far as anyone asks for it.
struct Header {
    info: GgufInfo,
    /// Numbers, truths, short texts and short lists of numbers.
    metadata: Map<String, Value>,
    /// How many tokens the vocabulary has; 0 is not told.
    tokens: u64,
    /// How many numbers the tensors have together.
    parameters: u64,
    /// The bytes that the whole file must have.
    needed: u64,
}

/// `Reader` walks the header of one file.
struct Reader<R> {
    input: BufReader<R>,
    size: u64,
    tokens: u64,
}

impl<R: Read + Seek> Reader<R> {
    fn new(input: R, size: u64) -> Self {
        Reader { input: BufReader::new(input), size, tokens: 0 }
    }

    fn read(&mut self) -> Result<Header, Fault> {
        let mut magic = Vec::new();
        self.input.by_ref().take(4).read_to_end(&mut magic)?;
        if magic != b"GGUF" {
            return Err(Fault::Magic(magic));
        }
        let version = self.u32()?;
        // Version 1 counts in 32 bits and later ones are unknown: llama.cpp decides.
        let is_known = (2..=3).contains(&version);
        let tensors = if is_known { self.u64()? } else { 0 };
        let metadata = if is_known { self.metadata()? } else { Map::new() };
        if tensors > MOST_TENSORS {
            return Err(Fault::Damaged("its header announces more than a million tensors"));
        }
        let (mut parameters, mut data_size) = (0_u64, 0);
        for _ in 0..tensors {
            let (count, end) = self.tensor()?;
            parameters = parameters.saturating_add(count);
            data_size = data_size.max(end);
        }
        let alignment = metadata.get("general.alignment").and_then(Value::as_u64).unwrap_or(32);
        let start = self
            .input
            .stream_position()?
            .checked_next_multiple_of(alignment)
            .ok_or(Fault::Damaged("its alignment is 0 or too large"))?;
        let needed =
            start.checked_add(data_size).ok_or(Fault::Damaged("a tensor's place is beyond any file"))?;
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
        let context = metadata.iter().find(|(key, _)| key.ends_with(".context_length"));
        let info = GgufInfo {
            version,
            tensors,
            architecture: text("general.architecture"),
            name: text("general.name"),
            context_length: context.and_then(|(_, tokens)| tokens.as_u64()),
            size: self.size,
        };
        let needed = if is_known { needed } else { 0 };
        Ok(Header { info, metadata, tokens: self.tokens, parameters, needed })
    }

    fn metadata(&mut self) -> Result<Map<String, Value>, Fault> {
        let pairs = self.u64()?;
        if pairs > MOST_PAIRS {
            return Err(Fault::Damaged("its header announces more than 65,536 entries"));
        }
        let mut metadata = Map::new();
        for _ in 0..pairs {
            let length = self.u64()?;
            let key =
                self.text(length, LONGEST_KEY)?.ok_or(Fault::Damaged("a key of its header is too long"))?;
            let tag = self.u32()?;
            let value = if tag == 9 { self.list(&key)? } else { self.value(tag)? };
            if let Some(value) = value {
                metadata.insert(key, value);
            }
        }
        Ok(metadata)
    }

    /// Reads one tensor's description; gives how many numbers it has, and the place in the data part where it ends.
    fn tensor(&mut self) -> Result<(u64, u64), Fault> {
        let name = self.u64()?;
        self.skip(name)?;
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(Fault::Damaged("a tensor has more than 8 dimensions"));
        }
        let mut count: u64 = 1;
        for _ in 0..dimensions {
            count =
                count.checked_mul(self.u64()?).ok_or(Fault::Damaged("a tensor is larger than any file"))?;
        }
        let tag = self.u32()?;
        let offset = self.u64()?;
        // Of a type this table does not know, only the beginning is checked.
        let size = block(tag).map_or(0, |(elements, bytes)| count.div_ceil(elements).saturating_mul(bytes));
        Ok((count, offset.saturating_add(size)))
    }

    /// Reads one value that is no list; `None` for what nobody asks for.
    fn value(&mut self, tag: u32) -> Result<Option<Value>, Fault> {
        Ok(match tag {
            0 => Some(u8::from_le_bytes(self.bytes()?).into()),
            1 => Some(i8::from_le_bytes(self.bytes()?).into()),
            2 => Some(u16::from_le_bytes(self.bytes()?).into()),
            3 => Some(i16::from_le_bytes(self.bytes()?).into()),
            4 => Some(self.u32()?.into()),
            5 => Some(i32::from_le_bytes(self.bytes()?).into()),
            7 => Some((self.bytes::<1>()? != [0]).into()),
            8 => {
                let length = self.u64()?;
                self.text(length, LONGEST_TEXT)?.map(Value::from)
            }
            10 => Some(self.u64()?.into()),
            11 => Some(i64::from_le_bytes(self.bytes()?).into()),
            _ => {
                self.skip(width(tag)?)?;
                None
            }
        })
    }

    /// Reads one list, kept where it is short and of numbers; the vocabulary is counted.
    fn list(&mut self, key: &str) -> Result<Option<Value>, Fault> {
        let element = self.u32()?;
        let count = self.u64()?;
        if key == "tokenizer.ggml.tokens" {
            self.tokens = count;
        }
        if element == 8 {
            if count > MOST_TEXTS {
                return Err(Fault::Damaged("a list of texts is longer than any vocabulary"));
            }
            for _ in 0..count {
                let length = self.u64()?;
                self.skip(length)?;
            }
            return Ok(None);
        }
        let bytes = width(element)?.checked_mul(count);
        if count > LONGEST_LIST {
            self.skip(bytes.ok_or(Fault::Damaged("a list is longer than any file"))?)?;
            return Ok(None);
        }
        let values = (0..count).map(|_| self.value(element)).collect::<Result<Vec<_>, _>>()?;
        Ok(values.into_iter().collect::<Option<Vec<_>>>().map(Value::from))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        match i64::try_from(bytes) {
            Ok(offset) if bytes <= self.size => Ok(self.input.seek_relative(offset)?),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Reads a text of `length` bytes; skips it and gives `None` where that is more than `longest`.
    fn text(&mut self, length: u64, longest: u64) -> Result<Option<String>, Fault> {
        if length > longest {
            self.skip(length)?;
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.bytes()?))
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

    /// A header up to its tensors, with these keys, types and values.
    fn header(tensors: u64, pairs: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(tensors.to_le_bytes());
        out.extend((pairs.len() as u64).to_le_bytes());
        for (key, tag, value) in pairs {
            text(&mut out, key);
            out.extend(tag.to_le_bytes());
            out.extend(value);
        }
        out
    }

    fn text_value(value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        text(&mut out, value);
        out
    }

    fn list_value(tag: u32, values: &[&[u8]]) -> Vec<u8> {
        let mut out = tag.to_le_bytes().to_vec();
        out.extend((values.len() as u64).to_le_bytes());
        out.extend(values.concat());
        out
    }

    /// A model with two layers, one of which has no cache, of two tensors of 3 and 4 numbers.
    fn model() -> Vec<u8> {
        let number = |number: u32| number.to_le_bytes().to_vec();
        let words: Vec<Vec<u8>> = ["a", "b", "c"].map(text_value).to_vec();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut out = header(
            2,
            &[
                ("general.architecture", 8, text_value("lfm2")),
                ("lfm2.block_count", 4, number(2)),
                ("lfm2.context_length", 10, 4096_u64.to_le_bytes().to_vec()),
                ("lfm2.embedding_length", 2, 64_u16.to_le_bytes().to_vec()),
                ("lfm2.attention.head_count", 0, vec![4]),
                ("lfm2.attention.head_count_kv", 9, list_value(5, &[&[0; 4], &2_i32.to_le_bytes()])),
                ("lfm2.rope.freq_base", 6, vec![0; 4]),
                ("tokenizer.chat_template", 8, text_value(&"x".repeat(5000))),
                ("tokenizer.ggml.tokens", 9, list_value(8, &words)),
                ("tokenizer.ggml.add_bos_token", 7, vec![1]),
            ],
        );
        for (name, count) in [("a", 3_u64), ("b", 4)] {
            text(&mut out, name);
            out.extend(1_u32.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(0_u32.to_le_bytes());
            out.extend(0_u64.to_le_bytes());
        }
        out
    }

    #[test]
    fn a_shape_is_read_from_a_header() {
        let shape = Shape::read_gguf(io::Cursor::new(model())).unwrap();
        assert_eq!(shape.weights_bytes, model().len() as u64);
        assert_eq!((shape.architecture.as_deref(), shape.context_length_max), (Some("lfm2"), Some(4096)));
        assert_eq!((shape.parameters, shape.vocabulary_size), (Some(7), Some(3)));
        assert_eq!((shape.cache.layers, shape.cache.values_per_token), (1, 2 * 2 * 16));
        assert!(!shape.cache.is_estimate);
        let error = Shape::read_gguf(io::Cursor::new(b"PK")).unwrap_err();
        assert!(error.to_string().ends_with("it begins with \"PK\"."), "{error}");
    }

    #[test]
    fn a_model_in_parts_is_as_large_as_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("m-00001-of-00003.gguf");
        std::fs::write(&first, model()).unwrap();
        std::fs::write(folder.path().join("m-00002-of-00003.gguf"), [0; 10]).unwrap();
        let error = Shape::from_gguf(&first).unwrap_err();
        assert!(error.to_string().contains("m-00003-of-00003.gguf"), "{error}");
        std::fs::write(folder.path().join("m-00003-of-00003.gguf"), [0; 20]).unwrap();
        let shape = Shape::from_gguf(&first).unwrap();
        assert_eq!((shape.weights_bytes, shape.parameters), (model().len() as u64 + 30, None));
        for alone in ["model.gguf", "m-00001-of-3.gguf", "m-of-00003.gguf", "m-00001-of-00001.gguf"] {
            let alone = folder.path().join(alone);
            std::fs::write(&alone, model()).unwrap();
            assert_eq!(Shape::from_gguf(&alone).unwrap().weights_bytes, model().len() as u64);
        }
    }

    #[test]
    fn headers_that_announce_too_much_are_damaged() {
        let mut long_list = 8_u32.to_le_bytes().to_vec();
        long_list.extend(u64::MAX.to_le_bytes());
        let mut pairs = header(0, &[]);
        pairs[16..24].copy_from_slice(&(1_u64 << 40).to_le_bytes());
        let mut key = header(0, &[(&"k".repeat(70_000), 0, vec![0])]);
        key.extend([0; 8]);
        let mut dimensions = header(1, &[]);
        text(&mut dimensions, "weight");
        dimensions.extend(u32::MAX.to_le_bytes());
        let table = [
            (header(0, &[("tokens", 9, long_list)]), "longer than any vocabulary"),
            (header(1 << 40, &[]), "more than a million tensors"),
            (pairs, "more than 65,536 entries"),
            (key, "a key of its header is too long"),
            (dimensions, "more than 8 dimensions"),
        ];
        for (bytes, expected) in table {
            let error = check(&bytes).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_not_opened() {
        let error = Shape::from_gguf(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().ends_with("is a pipe or a device, not a model file."), "{error}");
    }
}
