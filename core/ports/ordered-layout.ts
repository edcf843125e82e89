// How a page of an ordered table lies in memory: plain integers that both tsc and asc compile, so that state/ (which grows
// the tree) and kernels/assembly/ordered.ts (which searches and fills pages) cannot differ. No imports, no types.
//
// A node, 16 KB at a 16 KB boundary. Its id and count stand where every page has them (page-layout.ts: 0 and 4):
//
//   0     header      see node*At below
//   64    slots       count × 16 bytes, in key order
//   ...   free
//   ...   cells       growing down from the page's end, in any order; those that nobody refers to are counted as dead
//
// A slot: {u64 the key's first eight bytes as a big-endian number, padded with zeros}{u16 offset of its cell in the page}
// {u16 key bytes}{u16 value bytes, bit 15: see below}{u16 chunk}. A cell: the key's bytes behind the eighth, then the value.
//
// Order: keys as memcmp has them (a prefix first), then chunks. A value of up to `orderedInlineBytesMax` is chunk 0 of its
// key. A longer one is many: bit 15 of chunk 0 is set, its value is {u32 bytes in all}{bytes}, chunks 1, 2, … go on.
//
// An inner node's values are 4 bytes: the id of a node whose keys are not below the slot's (and below the next slot's). Its
// first slot stands for everything below, whatever its key.
//
// A block of a snapshot, one leaf in order: {u16 key bytes}{u16 value bytes, bit 15 as above}{u16 chunk}{key}{value}, one
// entry behind the other, little-endian.

/** 0: a leaf. */
export const nodeLevelAt = 8;
/** Lowest used byte of the cells. */
export const nodeHeapAt = 12;
/** Bytes of cells that nobody refers to. */
export const nodeDeadAt = 16;
export const nodeSlotsAt = 64;

export const slotBytes = 16;
export const slotOffsetAt = 8;
export const slotKeyAt = 10;
export const slotValueAt = 12;
export const slotChunkAt = 14;
/** Bit 15 of a slot's value bytes: the first chunk of a long value. */
export const slotLong = 32768;

export const blockEntryBytes = 6;

/** The block of an ordered table. */
export const treePageTableAt = 0;
/** Id of the root; 0: the tree is empty. */
export const treeRootAt = 4;
/** Levels; 1: the root is a leaf. */
export const treeHeightAt = 8;
/** A place for the page that is being compacted. */
export const treeScratchAt = 12;
/** Why, and at which page (its id), the last kernel stopped. */
export const treeReasonAt = 16;
export const treeStopAt = 20;
/** Keys. */
export const treeSizeAt = 24;
/** Bytes of the longest key that was ever put. */
export const treeKeyMaxAt = 28;
/** What the last search found: the place in its leaf, whether it is the key, where its value lies, its length with bit 15. */
export const treeIndexAt = 32;
export const treeFoundAt = 36;
export const treeValueAt = 40;
export const treeValueBytesAt = 44;
/** Id of the last leaf, 0: not known. */
export const treeLastAt = 48;
/** Bytes that the last `orderedTake` wrote. */
export const treeTakenAt = 52;
/** The way of the last search: {u32 id, u32 place} from the root down. */
export const treePathAt = 64;
export const treeLevelsMax = 24;
/** The first eight bytes of the key that divides the leaf of the last search from the next one; all ones: there is none. */
export const treeBoundAt = 256;
export const treeSinkAt = 264;
/** Entries of the put that stopped: their leaves are at `treeAheadAt`, of those from the first number to the second (0: of none). */
export const treeLocatedAt = 272;
export const treeLocatedToAt = 276;
/** Of the entries that are done next: {u32 leaf, u32 place in it, about}. */
export const treeAheadAt = 320;
export const treeAhead = 64;
export const treeBytes = 832;

/** A cursor's block: the place of its entry while nothing was written, its key, the bound it ends before (0 bytes: none). */
export const cursorLeafAt = 0;
export const cursorIndexAt = 4;
export const cursorKeyBytesAt = 8;
export const cursorEndBytesAt = 12;
export const cursorValueAt = 16;
export const cursorValueBytesAt = 20;
export const cursorKeyAt = 64;
export const cursorEndAt = 2112;
export const cursorBytes = 4160;

/** An entry of an array of entries. */
export const entryBytes = 16;

export const orderedDone = 0;
/** The leaf has no room. */
export const orderedFull = 1;
/** The leaf must be copied before it is written. */
export const orderedFrozen = 2;
/** The entry was deleted, and its leaf is small or empty now. */
export const orderedSmall = 3;
/** The entry's value lies in chunks. */
export const orderedLong = 4;
/** The entry's key or value is too long. */
export const orderedTooLarge = 5;
/** The entry does not fit the room that is left. */
export const orderedRoom = 6;
/** What is being imported is no block. */
export const orderedDamaged = 7;
