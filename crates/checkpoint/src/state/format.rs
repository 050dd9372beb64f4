//! A file of state: sections, an index of them, and a footer that says where the index is.
//!
//! ```text
//! magic | section … | index: 43 bytes for each section | number of sections u32 | checksum of the index u64 | magic
//! ```
//!
//! Each section is compressed on its own, and only if that helps, so that one can be read without the others. An
//! operator whose sections do not become smaller has few of them tried.

use crate::operators::OperatorId;
use bytes::Bytes;
use proxima_event::{KEY_GROUPS, KeyGroupSet};
use std::io;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The last byte is the version, of the operators' sections as well: each change of how they are written takes another.
const MAGIC: &[u8; 8] = b"PXSTATE4";
const INDEX_BYTES: usize = 41 + KEY_GROUPS / 8;
const FOOTER_BYTES: usize = 4 + 8 + MAGIC.len();
/// Compressing less than this costs more time than the bytes are worth: some five microseconds before the first byte, for
/// each of 256 key groups of each operator.
const PACK_FROM_BYTES: usize = 4096;
/// A quick level: state is written each second, and of what the quickest level of zstd proper makes smaller this leaves
/// little.
const ZSTD_LEVEL: i32 = -3;

/// Compressed bytes that are more than this part of what they were are not worth the time: the operators' own form is
/// small where they hold numbers.
const PACKED_PART: (usize, usize) = (3, 4);
/// Sections of an operator that are left as they are behind one that was not worth it.
const UNTRIED: usize = 31;
/// What [`Section::added`] says of changes that only add.
const ALL_ADDED: u8 = 63;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything that the operator holds of the key group: what was before no longer matters.
    Full,
    /// What changed since the section before.
    Changes,
}

/// What an operator hands over of some key groups at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Whose it is.
    pub operator: OperatorId,
    /// The key groups. What it holds of each can be read without the others.
    pub groups: KeyGroupSet,
    /// Whether it stands alone.
    pub kind: Kind,
    /// How much of a change adds to what was there and takes the place of none of it, in parts of 63.
    pub added: u8,
    /// The bytes, whose meaning is the operator's own.
    pub bytes: Bytes,
}

/// Where a section stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionInfo {
    pub(crate) operator: OperatorId,
    pub(crate) groups: KeyGroupSet,
    pub(crate) kind: Kind,
    added: u8,
    packed: bool,
    offset: u64,
    /// Its bytes in the file.
    pub(crate) stored: u64,
    raw: u64,
    checksum: u64,
}

impl SectionInfo {
    /// How many of its bytes take the place of what stood in sections before, about.
    pub(crate) fn replaced(&self) -> u64 {
        match self.kind {
            Kind::Full => 0,
            Kind::Changes => self.stored * u64::from(ALL_ADDED - self.added) / u64::from(ALL_ADDED),
        }
    }

    /// The section's bytes, taken out of the whole file's. `None` when they are damaged.
    pub(crate) fn read(&self, file: &[u8]) -> Option<Vec<u8>> {
        let start = usize::try_from(self.offset).ok()?;
        let stored = file.get(start..)?.get(..usize::try_from(self.stored).ok()?)?;
        if xxh3_64(stored) != self.checksum {
            return None;
        }
        if !self.packed {
            return Some(stored.to_vec());
        }
        let raw = usize::try_from(self.raw).ok()?;
        zstd::bulk::decompress(stored, raw).ok().filter(|bytes| bytes.len() == raw)
    }
}

/// A file of state that is to be written: its parts, one behind the other, so that nothing is copied to be in it.
pub(crate) struct Encoded {
    parts: Vec<Bytes>,
    /// Where the sections stand.
    pub(crate) sections: Vec<SectionInfo>,
}

impl Encoded {
    /// All of its bytes.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        self.parts.iter().map(|part| &part[..]).collect()
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// The checksum of all of its bytes.
    pub(crate) fn checksum(&self) -> u64 {
        let mut checksum = Xxh3::new();
        self.parts.iter().for_each(|part| checksum.update(part));
        checksum.digest()
    }
}

/// A file with these sections.
pub(crate) fn encode(sections: &[Section]) -> io::Result<Encoded> {
    let mut packer = Packer::new()?;
    let mut parts = Vec::with_capacity(sections.len() + 2);
    let mut infos = Vec::with_capacity(sections.len());
    parts.push(Bytes::from_static(MAGIC));
    let mut offset = MAGIC.len() as u64;
    for section in sections {
        let packed = packer.pack(section)?;
        let is_packed = packed.is_some();
        let stored = packed.map_or_else(|| section.bytes.clone(), Bytes::from);
        infos.push(SectionInfo {
            operator: section.operator,
            groups: section.groups,
            kind: section.kind,
            added: section.added.min(ALL_ADDED),
            packed: is_packed,
            offset,
            stored: stored.len() as u64,
            raw: section.bytes.len() as u64,
            checksum: xxh3_64(&stored),
        });
        offset += stored.len() as u64;
        parts.push(stored);
    }
    let mut end = Vec::with_capacity(infos.len() * INDEX_BYTES + FOOTER_BYTES);
    infos.iter().for_each(|info| encode_info(info, &mut end));
    let checksum = xxh3_64(&end);
    end.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    end.extend_from_slice(&checksum.to_le_bytes());
    end.extend_from_slice(MAGIC);
    parts.push(end.into());
    Ok(Encoded { parts, sections: infos })
}

/// Compresses the sections of a file.
struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    /// The operator whose last section was not worth it, and how many of its next ones are left as they are.
    untried: (OperatorId, usize),
}

impl Packer {
    fn new() -> io::Result<Self> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, untried: (OperatorId(0), 0) })
    }

    /// The compressed bytes, if they are worth it.
    fn pack(&mut self, section: &Section) -> io::Result<Option<Vec<u8>>> {
        if section.bytes.len() < PACK_FROM_BYTES {
            return Ok(None);
        }
        if let (operator, left @ 1..) = &mut self.untried
            && *operator == section.operator
        {
            *left -= 1;
            return Ok(None);
        }
        let packed = self.compressor.compress(&section.bytes)?;
        if packed.len() * PACKED_PART.1 <= section.bytes.len() * PACKED_PART.0 {
            return Ok(Some(packed));
        }
        self.untried = (section.operator, UNTRIED);
        Ok(None)
    }
}

/// Whether it is a whole file of state as another version writes them.
pub(crate) fn is_of_other_version(file: &[u8]) -> bool {
    let versionless = |magic: &[u8]| magic.starts_with(&MAGIC[..MAGIC.len() - 1]) && magic != MAGIC;
    file.first_chunk::<8>().zip(file.last_chunk::<8>()).is_some_and(|(first, last)| first == last && versionless(first))
}

/// Where the sections of a file stand. `None` when it is not a file of state, or damaged.
pub(crate) fn index(file: &[u8]) -> Option<Vec<SectionInfo>> {
    let (rest, footer) = file.split_at_checked(file.len().checked_sub(FOOTER_BYTES)?)?;
    let (count, footer) = footer.split_first_chunk::<4>()?;
    let (checksum, magic) = footer.split_first_chunk::<8>()?;
    let bytes = (u32::from_le_bytes(*count) as usize).checked_mul(INDEX_BYTES)?;
    let (_, index) = rest.split_at_checked(rest.len().checked_sub(bytes)?)?;
    let whole = magic == MAGIC && file.starts_with(MAGIC) && xxh3_64(index) == u64::from_le_bytes(*checksum);
    whole.then(|| index.chunks_exact(INDEX_BYTES).map(decode_info).collect())?
}

fn encode_info(info: &SectionInfo, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&info.operator.0.to_le_bytes());
    bytes.extend_from_slice(&info.groups.to_le_bytes());
    bytes.push(u8::from(info.kind == Kind::Full) | u8::from(info.packed) << 1 | info.added << 2);
    for number in [info.offset, info.stored, info.raw, info.checksum] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_info(bytes: &[u8]) -> Option<SectionInfo> {
    let (operator, bytes) = bytes.split_first_chunk::<8>()?;
    let (groups, bytes) = bytes.split_first_chunk::<{ KEY_GROUPS / 8 }>()?;
    let (&flags, bytes) = bytes.split_first()?;
    let mut numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
    let kind = if flags & 1 == 1 { Kind::Full } else { Kind::Changes };
    Some(SectionInfo {
        operator: OperatorId(u64::from_le_bytes(*operator)),
        groups: KeyGroupSet::from_le_bytes(groups),
        kind,
        added: flags >> 2,
        packed: flags & 2 == 2,
        offset: numbers.next()?,
        stored: numbers.next()?,
        raw: numbers.next()?,
        checksum: numbers.next()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::{encode as encode_file, *};
    use proptest::prelude::*;
    use proxima_event::KeyGroup;

    /// A new file with these sections, and where each stands.
    pub(in super::super) fn encode(sections: &[Section]) -> io::Result<(Vec<u8>, Vec<SectionInfo>)> {
        let file = encode_file(sections)?;
        let bytes = file.parts().concat();
        assert_eq!((file.len(), file.checksum()), (bytes.len() as u64, xxh3_64(&bytes)));
        Ok((bytes, file.sections))
    }

    fn section(operator: u64, bytes: Vec<u8>) -> Section {
        let groups = KeyGroup(2).into();
        Section { operator: OperatorId(operator), groups, kind: Kind::Full, added: 0, bytes: bytes.into() }
    }

    fn sections() -> impl Strategy<Value = Vec<Section>> {
        let bytes = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..600),
            (any::<u8>(), 0_usize..5000).prop_map(|(byte, len)| vec![byte; len]),
        ];
        let groups = any::<[u8; KEY_GROUPS / 8]>();
        let section = (any::<u64>(), groups, any::<bool>(), 0..=ALL_ADDED, bytes);
        let section = section.prop_map(|(operator, groups, full, added, bytes)| {
            let kind = if full { Kind::Full } else { Kind::Changes };
            let groups = KeyGroupSet::from_le_bytes(&groups);
            Section { operator: OperatorId(operator), groups, kind, added, bytes: bytes.into() }
        });
        prop::collection::vec(section, 0..8)
    }

    proptest! {
        #[test]
        fn sections_read_back(sections in sections()) {
            let (file, infos) = encode(&sections).unwrap();
            prop_assert_eq!(index(&file).unwrap(), infos.clone());
            for (section, info) in sections.iter().zip(&infos) {
                prop_assert_eq!((info.operator, info.groups), (section.operator, section.groups));
                prop_assert_eq!(info.kind, section.kind);
                prop_assert_eq!(info.read(&file).unwrap(), section.bytes.to_vec());
            }
        }

        #[test]
        fn damage_is_seen_or_elsewhere(sections in sections(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let (mut file, _) = encode(&sections).unwrap();
            let at = at.index(file.len());
            file[at] ^= 1_u8 << bit;
            let read = index(&file).map(|infos| infos.iter().map(|info| info.read(&file)).collect::<Option<Vec<_>>>());
            let all: Vec<_> = sections.iter().map(|section| section.bytes.to_vec()).collect();
            prop_assert!(read.is_none_or(|read| read.is_none_or(|read| read == all)));
        }
    }

    #[test]
    fn sections_that_compress_badly_are_left_as_they_are() {
        let noise = |at: u64| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) as u8;
        let noisy = section(1, (0..9999).map(noise).collect());
        let sections =
            [noisy.clone(), section(1, vec![7; 9999]), section(2, vec![7; 9999]), noisy, section(3, vec![7; 9999])];
        let (file, infos) = encode(&sections).unwrap();
        assert_eq!(infos.iter().map(|info| info.packed).collect::<Vec<_>>(), [false, false, true, false, true]);
        assert!(
            sections.iter().zip(&infos).all(|(section, info)| info.read(&file).as_deref() == Some(&*section.bytes))
        );
    }

    #[test]
    fn a_file_cut_short_has_no_index() {
        let (file, _) = encode(&[section(1, vec![7; 999])]).unwrap();
        assert!((0..file.len()).all(|cut| index(&file[..cut]).is_none()));
    }

    #[test]
    fn files_of_another_version_are_known() {
        let (mut file, _) = encode(&[]).unwrap();
        assert!(!is_of_other_version(&file));
        let end = file.len() - 1;
        (file[MAGIC.len() - 1], file[end]) = (b'1', b'1');
        assert!(is_of_other_version(&file) && index(&file).is_none());
        file[end] = b'2';
        assert!(!is_of_other_version(&file), "damaged");
    }

    #[test]
    fn what_repeats_is_stored_in_fewer_bytes() {
        assert!(encode(&[section(1, vec![7; 99_999])]).unwrap().0.len() < 1000);
    }
}
