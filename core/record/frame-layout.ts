/**
 * Byte layouts that the exchange's TypeScript and its kernels share: plain integers that tsc and asc both compile.
 *
 *   frame header, 64 bytes
 *    0 u32 length       of the whole frame, a multiple of 64
 *    4 u8  kind         5 u8 flags   6 u16 columns
 *    8 u32 attempt
 *   12 u32 rows         rows of a rows frame, entries of a dictionary frame
 *   16 f64 sequence     frames of this channel before this one
 *   24 f64 watermark    milliseconds; holds behind the frame's rows
 *   32 u32 capacity     rows that the buffers have room for, at least `rows`
 *   36 u32 heapBytes    bytes of long strings; of a chunk: its bytes
 *   40 u32 first        chunk: bytes of the whole record; dictionary: its column
 *   44 u32 second       chunk: where this part goes;      dictionary: its first code
 *
 *   rows frame: header │ one flag byte a column │ values of every column │ validity of the flagged │ kinds │ heap
 *   each buffer 8-byte aligned; views of long strings hold offsets into the heap while they travel
 */
export const frameLength = 0;
export const frameKind = 4;
export const frameFlags = 5;
export const frameColumns = 6;
export const frameAttempt = 8;
export const frameRows = 12;
export const frameSequence = 16;
export const frameWatermark = 24;
export const frameCapacity = 32;
export const frameHeapBytes = 36;
export const frameFirst = 40;
export const frameSecond = 44;

export const kindRows = 1;
export const kindChunk = 2;
export const kindWatermark = 3;
export const kindEnd = 4;
export const kindDictionary = 5;
export const kindPad = 6;

/** Frame flags. */
export const flagIdle = 1;
export const flagRowKinds = 2;
/** Column flags. */
export const columnValidity = 1;
export const columnCoded = 2;

/**
 * Where a column of the batch at hand lies (16 bytes each, side by side): what the gather kernels read.
 *   0 u32 gather    4 u32 values    8 u32 validity    12 u32 views of the dictionary
 */
export const sourceBytes = 16;
export const sourceGather = 0;
export const sourceValues = 4;
export const sourceValidity = 8;
export const sourceViews = 12;

/** How a column is gathered. */
export const gatherBit = 0;
export const gather4 = 1;
export const gather8 = 2;
export const gatherView = 3;
/** Codes in, views out. */
export const gatherEntry = 4;
/** Not at all: the column crosses straight from the batch. */
export const gatherNothing = 5;

/**
 * A stage: the frame being filled for one target.
 *   0 u32 rows   4 u32 capacity   8 u32 heap   12 u32 heapUsed   16 u32 heapCapacity   20 u32 kinds   24 u32 kindsSeen
 *   28 u32 next row of the target's list   32 u32 end of the list
 *   then, 16 bytes a column: 0 u32 values   4 u32 validity   8 u32 validitySeen
 */
export const stageRows = 0;
export const stageCapacity = 4;
export const stageHeap = 8;
export const stageHeapUsed = 12;
export const stageHeapCapacity = 16;
export const stageKinds = 20;
export const stageKindsSeen = 24;
export const stageNext = 28;
export const stageEnd = 32;
export const stageHeadBytes = 48;
export const stageColumnBytes = 16;
export const stageValues = 0;
export const stageValidity = 4;
export const stageValiditySeen = 8;

/**
 * A channel dictionary as its producer builds it; views hold offsets into the heap.
 *   0 u32 count   4 u32 entriesMax   8 u32 views   12 u32 heap   16 u32 heapUsed   20 u32 heapMax
 *   24 u32 index (u32 code + 1 by hash, 0 empty)   28 u32 indexMask
 */
export const dictionaryCount = 0;
export const dictionaryEntries = 4;
export const dictionaryViews = 8;
export const dictionaryHeap = 12;
export const dictionaryHeapUsed = 16;
export const dictionaryHeapMax = 20;
export const dictionaryIndex = 24;
export const dictionaryIndexMask = 28;
export const dictionaryBlockBytes = 32;
/** An entry longer than this makes its column go plain. */
export const dictionaryEntryBytesMax = 4096;
