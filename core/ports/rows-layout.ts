// What kernels are told of rows that cross between columns and bytes, and of a search for many keys: plain integers that both
// tsc and asc compile. No imports, no types.

/** A leaf: how it is stored (storageCode of core/record/row-store.ts), its null bit (−1: none), its column. */
export const leafStorageAt = 0;
export const leafBitAt = 4;
/** 0, of a row that is read: the leaf is passed over. */
export const leafValuesAt = 8;
/** 0: no row is NULL. */
export const leafValidityAt = 12;
/** Views of the dictionary that values are codes of; 0: there is none. */
export const leafViewsAt = 16;
/** 1: a row whose value here is NULL, or not above `leafBoundAt` (i64), is dead. */
export const leafBoundedAt = 20;
export const leafBoundAt = 24;
export const leafBytes = 32;

export const storedBit = 0;
export const storedI32 = 1;
export const storedView = 4;

/** What `rowsEncode` answers in. */
export const encodedRowAt = 0;
export const encodedCountAt = 4;
export const encodedBytes = 16;

/** A search of the rows of many keys: the entry that it goes on with, and where in the middle of its matches (leaf id, place). */
export const probeEntryAt = 0;
export const probeLeafAt = 4;
export const probePlaceAt = 8;
/** Matches found by the last call, and how many it may find. */
export const probeCountAt = 12;
export const probeMostAt = 16;
/** Where they go: u32 number of the entry, u32 address of the value. */
export const probeEntriesAt = 20;
export const probeValuesAt = 24;
/** A byte for each entry: 1, it has matches. */
export const probeMatchedAt = 28;
/** 1: a key has one match at most. */
export const probeOnceAt = 32;
/** Of an entry: 1, that there are matches is all that is asked of this key. */
export const entryOnlyAt = 8;
/** Room for values that lie in chunks: its address, its bytes, those in use, and what the next value needs. */
export const probeRoomAt = 36;
export const probeRoomBytesAt = 40;
export const probeUsedAt = 44;
export const probeNeedAt = 48;
/** 1: that there are matches is all that is asked, of any key. */
export const probeOnlyAt = 52;
/** 1 + offset in a value of the byte that says whether it may come out (0: not); 0: all may. What may not is a match without a row. */
export const probeMarkAt = 56;
/** As a cursor's block, to go from leaf to leaf by. */
export const probeCursorAt = 64;
export const probeBytes = 4224;
