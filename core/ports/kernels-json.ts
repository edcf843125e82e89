/** Kernels of kernels/assembly/json.ts: lines of JSON into columns. */
export interface JsonKernels {
  /**
   * Reads lines into columns as the context block at `context` says (its layout is drawn above the kernel). Answers why it
   * stopped: 0 no line left, 1 the batch (or the list of deferred numbers) is full, 2 a line that only the caller can read.
   */
  jsonScan(context: number): number;
}
