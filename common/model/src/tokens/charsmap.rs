//! SentencePiece's own normal form: a table of sequences and what stands for them, as a double array.
//!
//! The table is the one of the model's file, so full-width letters, ligatures and composed accents become what the model
//! was trained on, whatever version of Unicode that was.

/// The units of a double array (darts-clone), and the sequences it leads to, each ended by a zero.
pub struct Charsmap {
    units: Vec<u32>,
    targets: String,
}

impl Charsmap {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size) as usize;
        let (array, targets) = rest.split_at_checked(size)?;
        let (units, []) = array.as_chunks::<4>() else { return None };
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Some(Self { units, targets: String::from_utf8(targets.to_vec()).ok()? })
    }

    /// A text with every longest sequence of the table replaced.
    pub fn normal(&self, text: &str) -> String {
        let mut normal = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let found = self.longest(rest.as_bytes()).filter(|(length, _)| rest.is_char_boundary(*length));
            let length = match found {
                Some((length, target)) => {
                    normal.push_str(target);
                    length
                }
                None => {
                    normal.push(first);
                    first.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        normal
    }

    /// The longest sequence of the table that a text begins with: its length, and what stands for it.
    fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let offset = |unit: u32| (unit >> 10 << ((unit & 1 << 9) >> 6)) as usize;
        let mut found = None;
        let mut at = offset(*self.units.first()?);
        for (index, byte) in text.iter().enumerate() {
            at ^= usize::from(*byte);
            let Some(unit) = self.units.get(at).copied() else { break };
            if unit & (1 << 31 | 0xff) != u32::from(*byte) {
                break;
            }
            at ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                found = self.units.get(at).map(|leaf| (index + 1, (leaf & 0x7fff_ffff) as usize));
            }
        }
        let (length, target) = found?;
        let target = self.targets.get(target..)?.split('\0').next()?;
        Some((length, target))
    }
}
