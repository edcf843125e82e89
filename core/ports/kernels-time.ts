/** Kernels of kernels/assembly/time.ts. */
export interface TimeKernels {
  /** The greatest of `n` (> 0) i64 at `values`. */
  maxI64(values: number, n: number): bigint;
  /** The first row of `n` whose validity bit is 0, or −1. */
  firstNull(validity: number, n: number): number;
}
