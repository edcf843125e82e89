/**
 * The context of a Zstandard decoder, by offset: positions, and the tables that live from block to block. The same as
 * `Zstd` in connectors/parquet/codec-layout.ts. Constant tables are written there by the caller, because a module over a
 * shared memory may have no static data of its own.
 */

// Positions; all u32.
// @ts-ignore: decorator
@inline export const SRC: usize = 0;
// @ts-ignore: decorator
@inline export const SRC_END: usize = 4;
// @ts-ignore: decorator
@inline export const DST: usize = 8;
// @ts-ignore: decorator
@inline export const DST_END: usize = 12;
// @ts-ignore: decorator
@inline export const FRAME_START: usize = 16;
// @ts-ignore: decorator
@inline export const IN_FRAME: usize = 20;
// @ts-ignore: decorator
@inline export const CHECKSUM: usize = 24;
// @ts-ignore: decorator
@inline export const REP: usize = 28; // three u32
// @ts-ignore: decorator
@inline export const HUF_READY: usize = 40;
// @ts-ignore: decorator
@inline export const LL_LOG: usize = 44; // -1: no table yet
// @ts-ignore: decorator
@inline export const OF_LOG: usize = 48;
// @ts-ignore: decorator
@inline export const ML_LOG: usize = 52;
// @ts-ignore: decorator
@inline export const NCOUNT_LOG: usize = 56; // results of readCounts
// @ts-ignore: decorator
@inline export const NCOUNT_SYMBOLS: usize = 60;
// @ts-ignore: decorator
@inline export const CONTENT_SIZE: usize = 64; // u64; all ones: unknown

// Tables.
// @ts-ignore: decorator
@inline export const HUF: usize = 1024; // 2048 × u16 { bits, symbol }
// @ts-ignore: decorator
@inline export const LL: usize = 5120; // 512 × { u16 next state, u8 its bits, u8 extra bits, u32 base }
// @ts-ignore: decorator
@inline export const OF: usize = 9216; // 256 × the same
// @ts-ignore: decorator
@inline export const ML: usize = 11264; // 512 × the same
// @ts-ignore: decorator
@inline export const COUNTS: usize = 15360; // i16 × 256
// @ts-ignore: decorator
@inline export const NEXT: usize = 15872; // u16 × 256
// @ts-ignore: decorator
@inline export const WEIGHTS: usize = 16384; // u8 × 256 (+ slack)
// @ts-ignore: decorator
@inline export const SPREAD: usize = 16896; // u8 × 512
// @ts-ignore: decorator
@inline export const WEIGHT_TABLE: usize = 17408; // 64 × 8
// @ts-ignore: decorator
@inline export const LL_CODES: usize = 17920; // 36 × { u32 base, u32 bits }
// @ts-ignore: decorator
@inline export const ML_CODES: usize = 18208; // 53 × the same
// @ts-ignore: decorator
@inline export const LL_DEFAULT: usize = 18688; // i16 × 36
// @ts-ignore: decorator
@inline export const ML_DEFAULT: usize = 18816; // i16 × 53
// @ts-ignore: decorator
@inline export const OF_DEFAULT: usize = 18944; // i16 × 29
// @ts-ignore: decorator
@inline export const LITERALS: usize = 20480; // 128 KB + slack
// @ts-ignore: decorator
@inline export const BLOCK_MAX: u32 = 131072;

// Answers: 0 done, 1 stopped between blocks; below 0 what is wrong.
// @ts-ignore: decorator
@inline export const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline export const BAD_MAGIC: i32 = -2;
// @ts-ignore: decorator
@inline export const BAD_HEADER: i32 = -3;
// @ts-ignore: decorator
@inline export const TOO_LONG: i32 = -4;
// @ts-ignore: decorator
@inline export const BAD_BLOCK: i32 = -5;
// @ts-ignore: decorator
@inline export const BAD_LITERALS: i32 = -6;
// @ts-ignore: decorator
@inline export const BAD_HUFFMAN: i32 = -7;
// @ts-ignore: decorator
@inline export const BAD_FSE: i32 = -8;
// @ts-ignore: decorator
@inline export const BAD_SEQUENCE: i32 = -9;
// @ts-ignore: decorator
@inline export const BAD_CHECKSUM: i32 = -10;
// @ts-ignore: decorator
@inline export const NEEDS_DICTIONARY: i32 = -11;
