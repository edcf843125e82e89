/** Kernels of kernels/assembly/columns.ts: columns copied and summed where they enter and leave the engine. */
export interface ColumnKernels {
  /** Wrapping sum of n u64 (a signed bigint in JavaScript). */
  sumU64(from: number, n: number): bigint;
  /** The same; rows whose kind takes away (-U, -D) count negative. `rows`: a selection or 0; values lie densely. */
  sumU64Signed(from: number, kinds: number, rows: number, n: number): bigint;
  /** Copies n bits from bit `firstBit` of `from` to bit 0 of `to`; bits behind them in the last byte are 0. Answers how many are 0. */
  copyBits(from: number, firstBit: number, to: number, n: number): number;
  /** n views of Arrow's Utf8: text k is at bytes + offsets[k] − base. */
  viewsOfOffsets(offsets: number, base: number, bytes: number, n: number, views: number): void;
  /** 1 when n + 1 i32 offsets ascend within [low, high]. */
  offsetsAscend(offsets: number, n: number, low: number, high: number): number;
  /** 1 when n u32 are all below `limit`. */
  codesBelow(codes: number, n: number, limit: number): number;
  /** n values of a narrower type as i32, i64 or f64. `from` and `to` must not overlap. */
  widenI8(from: number, to: number, n: number): void;
  widenU8(from: number, to: number, n: number): void;
  widenI16(from: number, to: number, n: number): void;
  widenU16(from: number, to: number, n: number): void;
  widenI32(from: number, to: number, n: number): void;
  widenU32(from: number, to: number, n: number): void;
  widenF32(from: number, to: number, n: number): void;
  /** Copies the view of each of n u32 codes. */
  viewsOfCodes(codes: number, dictionary: number, n: number, views: number): void;
  /** ANDs n bits of `b` into `a`. */
  andBits(a: number, b: number, n: number): void;
  /**
   * Writes the numbers of those of n rows whose value equals `others[k]`, and answers how many. `out` may be `rows`. Doubles: NaN
   * equals NaN, -0 equals 0.
   */
  rowsEqualI64(values: number, rows: number, n: number, others: number, out: number): number;
  rowsEqualI32(values: number, rows: number, n: number, others: number, out: number): number;
  rowsEqualF64(values: number, rows: number, n: number, others: number, out: number): number;
}
