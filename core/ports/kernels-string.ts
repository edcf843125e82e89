/**
 * Kernels of kernels/assembly/string.ts and calendar.ts: what compiled expressions call per row, wasm to wasm. A string is
 * the address of its 16-byte view. What makes bytes writes them from `room` on and answers the room's new start, 0 when
 * they do not fit before `roomEnd`; the result view is written at `out`.
 */
export interface StringKernels {
  /** Writes the view of `length` bytes at `from`: short text inline, long text by reference. */
  writeView(from: number, length: number, out: number): void;
  viewEquals(a: number, b: number): number;
  /** Byte order (for UTF-8: code point order): -1, 0, 1. */
  viewCompare(a: number, b: number): number;
  /** Code points. */
  viewLength(view: number): number;
  /** ASCII letters; -1 when the text holds anything else (nothing is written then). */
  lowerView(view: number, out: number, room: number, roomEnd: number): number;
  upperView(view: number, out: number, room: number, roomEnd: number): number;
  trimView(view: number, out: number): void;
  substringView(view: number, position: number, length: number, out: number): void;
  /** `args`: address of `n` u32 view addresses. */
  concatViews(args: number, n: number, out: number, room: number, roomEnd: number): number;
  /** 1 when the text matches the pattern program (layout above the kernel). */
  likeView(view: number, program: number): number;
  /** 1 and the part at `out`, or 0. `separator`: a view that is not empty. */
  splitView(view: number, separator: number, index: number, out: number): number;
  /** 1 and the group's text at `out`, or 0 (layouts above the kernel, kernels/assembly/regex.ts). */
  regexView(view: number, program: number, scratch: number, out: number): number;
  /** A time by a program (layout above the kernel). */
  formatTime(
    ticks: bigint,
    perDay: bigint,
    perSecond: bigint,
    program: number,
    out: number,
    room: number,
    roomEnd: number,
  ): number;
  formatI64(value: bigint, out: number, room: number, roomEnd: number): number;
  /** 1 and the value at `out`, or 0. */
  parseI64(view: number, out: number): number;
  /** Parts 0 year, 1 quarter, 2 month, 3 ISO week, 4 day, 5 day of week (Sunday 1), 6 day of year. */
  datePart(days: bigint, part: number): bigint;
  /** First day of the year, quarter, month, week (Sunday) or day that holds the day, `up` of them later. */
  floorDate(days: bigint, part: number, up: bigint): bigint;
  timesOverflows(a: bigint, b: bigint): number;
  fmod(a: number, b: number): number;
}
