/**
 * Kernels of kernels/assembly/hash.ts: the engine's one 64-bit hash. It is a file format: the first 10 bits are the key
 * group, so a change breaks savepoints. Canonical bytes: i32 and DATE are sign-extended to i64, −0 as 0, one NaN, NULL
 * with its own tag, strings by their UTF-8 bytes, whether plain or dictionary-coded.
 */
export interface HashKernels {
  /**
   * Hashes one column into `out` (u64 at k). `first` 1: the key's first column, starting from `seed`; 0: mixes into what
   * `out` holds. One kernel per storage kind.
   */
  hashBit(values: number, validity: number, rows: number, n: number, seed: bigint, first: number, out: number): void;
  hashI32(values: number, validity: number, rows: number, n: number, seed: bigint, first: number, out: number): void;
  hashI64(values: number, validity: number, rows: number, n: number, seed: bigint, first: number, out: number): void;
  hashF64(values: number, validity: number, rows: number, n: number, seed: bigint, first: number, out: number): void;
  hashView(values: number, validity: number, rows: number, n: number, seed: bigint, first: number, out: number): void;
  /**
   * A dictionary-coded column: looks up `hashes` (u64 per entry: what `hashRaw…` made of its views, unseeded and unmixed),
   * so each entry's bytes are read once.
   */
  hashCode(
    codes: number,
    hashes: number,
    validity: number,
    rows: number,
    n: number,
    seed: bigint,
    first: number,
    out: number,
  ): void;
  /** The seedless hash of `count` views' bytes, into `out`: a dictionary's `hashes`. */
  hashDictionary(views: number, count: number, out: number): void;
}
