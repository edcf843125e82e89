// How a state page lies in memory: plain integers that both tsc and asc compile, so that state/ (which builds pages) and
// kernels/assembly/state.ts (which reads and fills them) cannot differ. No imports, no types.
//
// A page, 16 KB at a 16 KB boundary:
//
//   0     header      see page*At below
//   64    tags        capacity + 16 bytes: 0 = empty, else 0x80 | low 7 bits of the hash; the first 16 repeat at the end
//   ...   entries     capacity × stride bytes: entry i belongs to tag i
//   ...   free
//   ...   heap        long strings, growing down from the page's end
//
// An entry: {u64 hash, never 0 when occupied}{key leaves: views, then 8-byte, 4-byte, 1-byte ones}{null bits of the key,
// 1 = NULL}{padding}{accumulators}{in slots that track changes: u32 stamp, the checkpoint after which it was last touched,
// plus 1; padding}. A view of more than 12 bytes holds {length, prefix, 0, offset of its bytes in the page}.
// Views in the accumulators hold the address of their text, which lies in blocks of its own (state/text-store.ts) and stays
// where it is when entries move.
// Place of a hash: (low 32 bits × capacity) >> 32, rounded down to the first entry of its cache line where whole entries
// share lines, then linear probing, wrapping around. An entry that leaves is followed by those that would not be found behind the
// gap: they move up.

export const pageShift = 14;
export const pageSize = 16384;

export const pageIdAt = 0;
export const pageCountAt = 4;
export const pageCapacityAt = 8;
export const pageEntriesAt = 12;
/** Entries at most: past it the page splits. */
export const pageCountMaxAt = 16;
/** Lowest used byte of the heap. */
export const pageHeapAt = 20;
/** Bytes of the heap that entries which left had: they are free once the page is laid out anew. */
export const pageDeadAt = 24;
export const pageDepthAt = 28;
/** The `depth` first bits (after the key group's) of the hashes it holds. */
export const pagePrefixAt = 32;
/** In slots that track changes: the stamp at which it was laid out anew, and may have lost entries. */
export const pageRewrittenAt = 36;
/** The newest record of what the page was when it froze (below); 0: it is not logged. */
export const pageUndoAt = 40;
/** Bytes of entries in its records. */
export const pageUndoneAt = 44;
export const pageTagsAt = 64;

/** Flags of a page table entry, in the low bits of the page's address. */
export const pageDirty = 1;
export const pageFrozen = 2;
export const pageAbsent = 4;
/** A snapshot reads it, and it may be written: what it was lies in the undo log. */
export const pageLogged = 8;
export const pageFlags = 16383;

/** A table's block: where its directory is, and 63 − its depth. */
export const tableDirectoryAt = 0;
export const tableShiftAt = 4;
export const tableInlineAt = 16;
/** A directory up to this depth lies in the block itself. */
export const tableInlineDepth = 4;
export const tableBytes = 80;

/** The block of a declaration: what all its tables share, and the columns of the batch being resolved. */
export const shapePageTableAt = 0;
export const shapeCapacityAt = 4;
export const shapeStrideAt = 8;
export const shapeEntriesAt = 12;
export const shapeCountMaxAt = 16;
export const shapeKeysAt = 20;
/** Offset of the null bits in an entry; 0: no leaf can be null. */
export const shapeNullsAt = 24;
export const shapeAccumulatorsAt = 28;
/** Why and at which page (its id) the last kernel stopped. */
export const shapeReasonAt = 32;
export const shapeStopAt = 36;
export const shapeSinkAt = 40;
/** Views in the accumulators whose text the table keeps: their number; their offsets in the entry follow the leaf blocks. */
export const shapeTextsAt = 44;
/** Heap bytes that the stopped row needs. */
export const shapeNeedAt = 48;
/** An entry's bytes with its strings at most. */
export const shapeEntryMaxAt = 52;
/** Masks a place down to the first of its cache line: probes begin with the neighbours that cost nothing. */
export const shapeLineMaskAt = 64;
/** 2^32 / stride, rounded up. */
export const shapeInverseAt = 68;
/** Of hashes, u64: what `recall` kernels hash with that meet a key for the first time. */
export const shapeSeedAt = 72;
/** Keys that the last `recall` kernel did not remember. */
export const shapeMissesAt = 80;
/** Address of the slot's undo log. */
export const shapeUndoAt = 84;
export const shapeLeavesAt = 88;

export const leafBytes = 32;
export const leafStorageAt = 0;
export const leafOffsetAt = 4;
export const leafValuesAt = 8;
export const leafValidityAt = 12;
export const leafViewsAt = 16;

export const storageBit = 0;
export const storageI32 = 1;
export const storageI64 = 2;
export const storageF64 = 3;
export const storageView = 4;

export const stopDone = 0;
/** The page has its most entries. */
export const stopFull = 1;
/** Its heap has no room for `need` bytes. */
export const stopHeap = 2;
/** It must be copied before it is written. */
export const stopFrozen = 3;
export const stopAbsent = 4;
/** So much of it stands in the undo log that a copy is less. */
export const stopUndone = 5;

/**
 * The undo log: what entries of pages that a snapshot still reads were when it froze. Its block: {u32 where the next record
 * goes, u32 where the room for records ends}. A record: {u32 the page's next older record, u32 address of the bytes, 0: of
 * header and tags}{bytes, whole words}. The oldest of a page is its header and tags: entries that are inserted later are not
 * there for who takes them from it, so of each entry only what follows its key needs to be kept. An entry may be kept
 * more than once; the oldest counts.
 */
export const undoNextAt = 0;
export const undoEndAt = 4;
export const undoBytes = 8;
export const undoRecordBytes = 8;
/** Bytes of entries of one page that are kept at most: past it the page is copied. */
export const pageUndoneMax = 8192;
