//! The safetensors format: a JSON table of tensors, and their numbers behind it.
//!
//! Read tensor by tensor with `read_exact_at`, so that a model is in memory once. The `safetensors` crate wants the whole
//! file as one slice, or a memory map, which needs unsafe code.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, path::PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{MEBIBYTE, ModelError};

/// As the format's own library has it, less a zero: a table of a hundred thousand tensors.
const TABLE_MAX: u64 = 10 << 20;
const CHUNK: usize = 1 << 16;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    F32,
    F16,
    Bf16,
    /// Of another kind, of so many bytes: nothing that is asked for.
    Other,
}

#[derive(Debug)]
struct Tensor {
    number: Number,
    shape: Vec<usize>,
    /// Within the file.
    at: u64,
    bytes: u64,
}

/// An entry of the table, as it is written.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

#[derive(Debug)]
pub struct Safetensors {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Tensor>,
}

impl Safetensors {
    /// Reads and checks the table: every tensor lies within the file and has the length that its shape says.
    pub fn open(path: PathBuf, max_bytes: u64) -> Result<Self, ModelError> {
        let reading = |error| ModelError::reading(path.clone(), error);
        let broken = |problem: &str| ModelError::Broken { path: path.clone(), problem: problem.to_owned() };
        let file = File::open(&path).map_err(reading)?;
        let length = file.metadata().map_err(reading)?.len();
        if length > max_bytes {
            let (megabytes, allowed) = (length.div_ceil(MEBIBYTE), max_bytes / MEBIBYTE);
            return Err(ModelError::TooLarge { path, megabytes, allowed });
        }
        let mut size = [0; 8];
        file.read_exact_at(&mut size, 0).map_err(|_| broken("it ends before its table"))?;
        let size = u64::from_le_bytes(size);
        if size > TABLE_MAX || size > length - 8 {
            return Err(broken("its table is longer than it may be"));
        }
        let mut table = vec![0; size as usize];
        file.read_exact_at(&mut table, 8).map_err(reading)?;
        let mut table: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&table).map_err(|error| broken(&format!("its table: {error}")))?;
        table.remove("__metadata__");
        let mut tensors = BTreeMap::new();
        for (name, entry) in table {
            let read = serde_json::from_value::<Entry>(entry);
            let entry = read.map_err(|error| broken(&format!("the tensor {name:?}: {error}")))?;
            let tensor = placed(&entry, 8 + size, length);
            let tensor = tensor.map_err(|problem| broken(&format!("the tensor {name:?} {problem}")))?;
            tensors.insert(name, tensor);
        }
        Ok(Self { path, file, tensors })
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether a tensor of this name and shape is there, of numbers that can be read.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), ModelError> {
        self.find(name, shape).map(drop)
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<&Tensor, ModelError> {
        let broken = |problem| ModelError::Broken { path: self.path.clone(), problem };
        let Some(tensor) = self.tensors.get(name) else {
            return Err(broken(format!("there is no tensor {name:?}")));
        };
        if tensor.shape != shape {
            let found = &tensor.shape;
            return Err(broken(format!(
                "the tensor {name:?} has the shape {found:?}, and config.json says {shape:?}"
            )));
        }
        if tensor.number == Number::Other {
            return Err(broken(format!("the tensor {name:?} has numbers that are not F32, F16 or BF16")));
        }
        Ok(tensor)
    }

    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let tensor = self.find(name, shape)?;
        let mut values = Vec::with_capacity(shape.iter().product());
        let mut buffer = vec![0; CHUNK];
        let (mut at, end) = (tensor.at, tensor.at + tensor.bytes);
        while at < end {
            let chunk = &mut buffer[..CHUNK.min((end - at) as usize)];
            let read = self.file.read_exact_at(chunk, at);
            read.map_err(|error| ModelError::reading(self.path.clone(), error))?;
            at += chunk.len() as u64;
            match tensor.number {
                Number::F32 => values.extend(chunk.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
                Number::F16 => {
                    values.extend(chunk.as_chunks::<2>().0.iter().map(|b| half(u16::from_le_bytes(*b))));
                }
                Number::Bf16 | Number::Other => {
                    let wide = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                    values.extend(chunk.as_chunks::<2>().0.iter().map(wide));
                }
            }
        }
        Ok(values)
    }

    /// Tells models apart: names, shapes, and the first numbers of every tensor, which any training changes.
    pub fn fingerprint(&self, hash: &mut Sha256) -> Result<(), ModelError> {
        let mut sample = vec![0; 1_024];
        for (name, tensor) in &self.tensors {
            hash.update(format!("{name} {:?} {:?} ", tensor.number, tensor.shape));
            let sample = &mut sample[..1_024.min(tensor.bytes as usize)];
            let read = self.file.read_exact_at(sample, tensor.at);
            read.map_err(|error| ModelError::reading(self.path.clone(), error))?;
            hash.update(&*sample);
        }
        Ok(())
    }
}

fn placed(entry: &Entry, data: u64, length: u64) -> Result<Tensor, String> {
    let (number, width) = match entry.dtype.as_str() {
        "F32" => (Number::F32, Some(4)),
        "F16" => (Number::F16, Some(2)),
        "BF16" => (Number::Bf16, Some(2)),
        _ => (Number::Other, None),
    };
    let (begin, end) = entry.data_offsets;
    if begin > end || end > length - data {
        return Err("lies outside the file".to_owned());
    }
    let numbers = entry.shape.iter().try_fold(1u64, |all, side| all.checked_mul(*side as u64));
    let wanted = width.map(|width| numbers.and_then(|numbers| numbers.checked_mul(width)));
    if wanted.is_some_and(|wanted| wanted != Some(end - begin)) {
        return Err(format!("has {} bytes, which is not its shape {:?}", end - begin, entry.shape));
    }
    Ok(Tensor { number, shape: entry.shape.clone(), at: data + begin, bytes: end - begin })
}

/// A number of 16 bits, as IEEE 754 has it.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) =
        (u32::from(bits >> 15) << 31, u32::from(bits >> 10 & 31), u32::from(bits & 1_023));
    let value = match exponent {
        0 => f32::from_bits(0x3380_0000) * fraction as f32, // 2^-24 each
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(value.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, table: &str, data: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rapport-safetensors-{}-{name}", std::process::id()));
        let mut bytes = (table.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(table.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn opened(name: &str, table: &str, data: &[u8]) -> Result<Safetensors, String> {
        Safetensors::open(file(name, table, data), 1 << 20).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_three_widths_are_read() {
        let table = r#"{"__metadata__":{"format":"pt"},
            "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},
            "c":{"dtype":"BF16","shape":[1],"data_offsets":[14,16]},
            "d":{"dtype":"I64","shape":[1],"data_offsets":[16,24]}}"#;
        let mut data = [1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat();
        for bits in [0x3c00u16, 0xc500, 0x0001, 0x3fc0] {
            data.extend_from_slice(&bits.to_le_bytes());
        }
        data.extend_from_slice(&[0; 8]);
        let file = opened("widths", table, &data).unwrap();
        assert_eq!(file.read("a", &[2]).unwrap(), [1.5, -2.0]);
        assert_eq!(file.read("b", &[3]).unwrap(), [1.0, -5.0, 2f32.powi(-24)]);
        assert_eq!(file.read("c", &[1]).unwrap(), [1.5]);
        for (name, shape, said) in
            [("d", 1, "not F32"), ("a", 3, "config.json says [3]"), ("x", 1, "no tensor")]
        {
            let error = file.read(name, &[shape]).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_lies_about_itself_is_refused() {
        let entry = |what: &str| format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{what}}}}}"#);
        for (name, table, said) in [
            ("outside", entry("[0,80]"), "outside the file"),
            ("backwards", entry("[8,0]"), "outside the file"),
            ("short", entry("[0,4]"), "which is not its shape"),
            ("endless", entry("[0,18446744073709551615]"), "outside the file"),
            ("words", "{\"a\":[]}".to_owned(), "the tensor \"a\""),
            ("json", "{".to_owned(), "its table"),
        ] {
            let error = opened(name, &table, &[0; 8]).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
        let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#;
        assert!(opened("huge", huge, &[0; 8]).unwrap_err().contains("which is not its shape"));
        let path = file("table", "", &[]);
        std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
        assert!(Safetensors::open(path.clone(), 100).unwrap_err().to_string().contains("longer than it may"));
        assert!(Safetensors::open(path, 7).unwrap_err().to_string().contains("too large"));
        let missing = Safetensors::open("/none/model.safetensors".into(), 7).unwrap_err();
        assert!(missing.to_string().contains("is missing"), "{missing}");
    }
}
