/** Every limit of the engine, in one place, with the relations between them asserted. Units are in the names. */
import { assert } from './assert.ts';

/**
 * Young generation of a thread's JavaScript heap, in megabytes, of which a third holds new objects. Rows live in a slot's
 * own memory, so what a thread makes in JavaScript dies young: more room than this is kept for ever and gains nothing.
 */
export const youngHeapMb = 12;

/** Rows in a batch at most. Kernels' scratch and operators' buffers are sized by it. */
export const batchRowsMax = 4096;
/** Leaf columns of a row at most. */
export const columnsMax = 1024;
/** Slots of a job at most. */
export const slotsMax = 256;
/** Batches that a subtask of an unbounded source reads beyond the event time of the slowest of them. */
export const aheadBatchesMax = 64;
/** Key groups of a job: the unit of rescale; the first bits of a key's hash. */
export const keyGroupBits = 10;
export const keyGroups = 1 << keyGroupBits;
/** State pages. */
export const pageBytes = 16 * 1024;
/** Bytes of one entry in state: key with its strings, and accumulators. A page has room for four of them. */
export const entryBytesMax = 4032;
/** Bytes of a text that an entry keeps beside it: of MIN and MAX, of a value of a process function, of a kept row. */
export const textBytesMax = 4096;
/** Of all texts of an entry: it is written to a snapshot within a page. */
const entryTextsMax = 12_000;
/** Of each text of an entry that has so many. */
export const textBytesOf = (texts: number): number => Math.min(textBytesMax, Math.floor(entryTextsMax / texts));
/** Ordered tables: a key's bytes at most, so that a page has room for four keys with a value each. */
export const orderedKeyBytesMax = 2048;
/** Longer values lie in chunks of so many bytes. */
export const orderedInlineBytesMax = 1920;
/** A value's bytes at most. */
export const orderedValueBytesMax = 16 * 1024 * 1024;
/** Pages that a put of a short value or a delete takes at most: copies and splits on the way to a leaf. */
export const orderedPagesPerCall = 32;
/** Frozen pages that one resolve copies at most, so that a batch stays short while a snapshot is being read. */
export const pageCopiesMax = 64;
/** Rings. A frame is at most a quarter of its ring; longer records are chunked. */
export const ringBytesMin = 32 * 1024;
export const ringBytesMax = 1024 * 1024;
export const frameHeaderBytes = 64;
export const frameBytesMaxOf = (ringBytes: number): number => ringBytes / 4;
/** One value's bytes at most (a string; a record may be larger). */
export const valueBytesMax = 64 * 1024 * 1024;
/** A dictionary beyond either goes plain. */
export const dictionaryEntriesMax = 65_536;
export const dictionaryBytesMax = 1024 * 1024;
/** A slot's memory. */
export const slotBytesMin = 16 * 1024 * 1024;
export const slotBytesMax = 4 * 1024 * 1024 * 1024 - 65_536;
/** A step of a task ends after about this long. */
export const stepMs = 5;
/** Gathered rows cross at the latest after this long. */
export const flushMs = 5;
/** Rows in the result of a top n over unbounded input, all partitions of a subtask together. */
export const topNRowsMax = 1_000_000;
/** Checkpoints and savepoints that may be asked for while one is being taken. */
export const checkpointRequestsMax = 64;
/** Files that a watched place may hold at a time; each is remembered while it is there, in memory and in checkpoints. */
export const watchedFilesMax = 50_000;
/** Directories of which the system is asked to tell changes; further ones are looked at now and then. */
export const watchedDirectoriesMax = 256;
/** Rows that one call of a process function emits at most; a generator yields any number. */
export const emittedRowsMax = 65_536;
/** States of a process function at most. */
export const processStatesMax = 24;
/** A user function that runs longer in one call is ended (the thread with it). */
export const userCallMsMax = 30_000;

assert(4 * (entryBytesMax + 2) + 64 + 64 <= pageBytes, 'a page without room for four entries');
// A page of an ordered table: header, and for each entry a slot that holds the key's first eight bytes.
assert(64 + 4 * (8 + orderedKeyBytesMax + orderedInlineBytesMax) <= pageBytes, 'a page without room for four keys');
assert(orderedValueBytesMax / (orderedInlineBytesMax - 4) < 65_535, 'a value of more chunks than can be numbered');
assert(slotsMax <= keyGroups, 'a slot without a key group');
assert(batchRowsMax % 64 === 0, 'bitmaps of a batch end on a word');
