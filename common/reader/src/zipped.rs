//! Archives: only parts that are asked for are unpacked, into memory, with a bound on each and on all. No name of a part ever
//! names anything outside of the archive.

use std::io::{Cursor, Read};

use zip::{ZipArchive, result::ZipError};

use crate::{Limits, Result, Unreadable};

pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Archive<'a> {
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|_| Unreadable::new("The file is damaged: its archive cannot be opened."))?;
        if zip.len() > limits.entries {
            return Err(Unreadable(format!("Its archive has more than {} parts.", limits.entries)));
        }
        Ok(Self { zip, left: limits.unpacked })
    }

    /// One part, unpacked. `None`: there is none of that name.
    pub fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let part = match self.zip.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(_) => return Err(Unreadable::new("The file is damaged, or encrypted.")),
        };
        let mut unpacked = Vec::new();
        let read = part.take(self.left + 1).read_to_end(&mut unpacked);
        if unpacked.len() as u64 > self.left {
            return Err(Unreadable::new("Its archive unpacks to more than is read."));
        }
        read.map_err(|_| Unreadable::new("The file is damaged: a part of its archive cannot be unpacked."))?;
        self.left -= unpacked.len() as u64;
        Ok(Some(unpacked))
    }

    /// A part without which there is no such file.
    pub fn needed(&mut self, name: &str) -> Result<Vec<u8>> {
        let found = self.part(name)?;
        // Not its name: that may be the file's own word.
        found.ok_or_else(|| Unreadable::new("The file is damaged: a part that it needs is missing in it."))
    }
}

/// Where a part is that another one names, from that one's folder. `..` ends at the archive's top.
pub fn beside(of: &str, named: &str) -> String {
    let named = named.split(['#', '?']).next().unwrap_or_default();
    let named = percent_decoded(named);
    let mut path: Vec<&str> = match named.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => of.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect()),
    };
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
