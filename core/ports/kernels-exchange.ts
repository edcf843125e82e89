/**
 * Kernels of kernels/assembly/exchange.ts: rows apart by target, together into frames, and the checks of what arrives.
 * Layouts of sources, stages and channel dictionaries: core/record/frame-layout.ts.
 */
export interface ExchangeKernels {
  /**
   * Sorts row numbers by the target that owns their key group (`slotOfKeyGroup`): for k < n, row `rows[k]` (or k when
   * `rows` is 0) with its hash at `hashes` + 8k. Writes them to `lists`, in order within a target, and each target's
   * range of `lists` into its stage. `lists` has room for 2n row numbers.
   */
  partitionRows(
    hashes: number,
    rows: number,
    n: number,
    targets: number,
    lists: number,
    stages: number,
    stageBytes: number,
  ): void;
  /**
   * Gathers rows of the batch described by `sources` into stages `from` … `to` − 1, each along its list (`lists` 0: list
   * position k is row k). Stops at a stage that is full, or whose heap does not hold its next row, and answers it; `to` when
   * all lists are done.
   */
  gatherStages(
    sources: number,
    columns: number,
    kinds: number,
    lists: number,
    stages: number,
    stageBytes: number,
    from: number,
    to: number,
  ): number;
  /**
   * Translates codes of a source dictionary (`views`, `count`) into those of the channel dictionary `block`: writes to
   * `out` + 4 × row. `remap` holds a u32 per source code, 0xFFFFFFFF where not known yet. Answers how many rows were
   * translated; fewer than n: the channel dictionary is full.
   */
  translateCodes(
    codes: number,
    validity: number,
    rows: number,
    n: number,
    views: number,
    count: number,
    remap: number,
    block: number,
    out: number,
  ): number;
  /** Turns heap offsets of long strings into addresses, in place. Answers the first row whose string leaves the heap, else `rows`. */
  rebaseViews(views: number, rows: number, heap: number, heapBytes: number): number;
  /** The first row whose code is not below `count` (0 is always allowed), else `rows`. */
  checkCodes(codes: number, rows: number, count: number): number;
  /** The first row whose row kind is none, else `rows`. */
  checkKinds(kinds: number, rows: number): number;
  /** Copies within this memory. */
  copyBytes(to: number, from: number, bytes: number): void;
}
