/**
 * Kernels of kernels/assembly/generate.ts: columns of the generator. Each fills `count` values from `out` on with rows
 * n, n + 1, … of a column; value n depends on the column's seed and n alone. 64-bit arguments are bigints, taken modulo 2^64.
 */
export interface GenerateKernels {
  generateSequence32(out: number, count: number, first: bigint, step: bigint): void;
  generateSequence64(out: number, count: number, first: bigint, step: bigint): void;
  /** Uniform in [min, min + range); a range of 0 is 2^64. */
  generateInt32(out: number, count: number, seed: bigint, n: bigint, min: bigint, range: bigint): void;
  generateInt64(out: number, count: number, seed: bigint, n: bigint, min: bigint, range: bigint): void;
  generateF64(out: number, count: number, seed: bigint, n: bigint, min: number, span: number): void;
  /** start + floor(n × step) + a uniform delay below `disorder`, in ticks. */
  generateTime(
    out: number,
    count: number,
    seed: bigint,
    n: bigint,
    start: bigint,
    step: number,
    disorder: bigint,
  ): void;
  /** Bits firstBit … of a bitmap; 1 with probability threshold ÷ 2^53. */
  generateBits(out: number, firstBit: number, count: number, seed: bigint, n: bigint, threshold: bigint): void;
  /** Overwrites the last `digits` characters of texts that end at end + k × stride. */
  generateText(
    end: number,
    stride: number,
    digits: number,
    count: number,
    seed: bigint,
    n: bigint,
    range: bigint,
    views: number,
    length: number,
  ): void;
}
