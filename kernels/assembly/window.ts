// Rows apart by time slice, and entries apart by whether they were met before in a batch.

const binBytes: usize = 16;
const mapSlots: usize = 8192;
/** Slices within which rows of a batch are counted by number. A power of two. */
const denseSlices: usize = 256;

/**
 * Groups rows by time slice. The slice of row r is floor((times[r] − offset) / length), exact. `work` is a block of
 * 4096 × 16 bytes for bins, then 8192 × 4 for a map, then 4096 × 4 for the bin of each row.
 * Bin b, in no particular order, stands at `work` + 16b: {i64 slice, u32 first position in `list`, u32 rows}; `list`
 * gets the row numbers, in order within a bin; of a single bin they are the rows as given, and `list` is not written.
 * Answers the number of bins. n is at most 4096.
 */
export function partitionSlices(times: usize, rows: usize, n: i32, offset: i64, length: i64, work: usize, list: usize): i32 {
  if (n == 0) return 0;
  const few = fewBins(times, rows, n, offset, length, work, list);
  if (few != 0) return few;
  const map = work + 4096 * binBytes;
  const binOf = map + mapSlots * 4;
  const inverse = 1.0 / <f64>length;
  let bins: usize = 0;
  let last: usize = 0;
  let lastFrom: i64 = 0;
  let lastTo: i64 = 0;
  // Nearly in order: few slices, close together. Their numbers, counted without a branch that depends on the data.
  const first = floorDivide(load<i64>(times + ((rows ? <usize>load<u32>(rows) : 0) << 3)) - offset, length, inverse);
  const base = first - <i64>(denseSlices >> 1);
  const origin = base * length;
  let outside: u64 = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const time = load<i64>(times + (row << 3)) - offset - origin;
    let slice = <i64>floor(<f64>time * inverse);
    slice += <i64>(time - slice * length >= length) - <i64>(time - slice * length < 0);
    outside |= <u64>slice;
    store<u32>(binOf + (k << 2), <u32>slice);
  }
  // Only small numbers that are not negative leave the upper bits clear.
  if (outside < denseSlices) return denseBins(rows, n, base, work, binOf, map, list);
  memory.fill(map, 0, mapSlots * 4);
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const time = load<i64>(times + (row << 3)) - offset;
    if (time < lastFrom || time >= lastTo) {
      const slice = floorDivide(time, length, inverse);
      let slot = <usize>((<u64>slice * 0x9e3779b97f4a7c15) >> 51);
      for (;;) {
        const at = load<u32>(map + (slot << 2));
        if (at == 0) {
          last = bins++;
          store<u32>(map + (slot << 2), <u32>bins);
          store<i64>(work + last * binBytes, slice);
          store<u32>(work + last * binBytes, 0, 12);
          break;
        }
        last = <usize>at - 1;
        if (load<i64>(work + last * binBytes) == slice) break;
        slot = (slot + 1) & (mapSlots - 1);
      }
      lastFrom = slice * length;
      lastTo = lastFrom + length;
    }
    const bin = work + last * binBytes;
    store<u32>(bin, load<u32>(bin, 12) + 1, 12);
    store<u32>(binOf + (k << 2), <u32>last);
  }
  let position: u32 = 0;
  for (let b: usize = 0; b < bins; b++) {
    store<u32>(work + b * binBytes, position, 8);
    position += load<u32>(work + b * binBytes, 12);
  }
  for (let k: usize = 0; k < <usize>n; k++) {
    const bin = work + <usize>load<u32>(binOf + (k << 2)) * binBytes;
    const at = load<u32>(bin, 8);
    store<u32>(list + (<usize>at << 2), rows ? load<u32>(rows + (k << 2)) : <u32>k);
    store<u32>(bin, at + 1, 8);
  }
  // The positions have moved on to each bin's end.
  for (let b: usize = 0; b < bins; b++) {
    const bin = work + b * binBytes;
    store<u32>(bin, load<u32>(bin, 8) - load<u32>(bin, 12), 8);
  }
  return <i32>bins;
}

/** The usual case, rows nearly in order: all in one slice or in two that touch. 0: they are not, nothing was written. */
function fewBins(times: usize, rows: usize, n: i32, offset: i64, length: i64, work: usize, list: usize): i32 {
  let least: i64 = i64.MAX_VALUE;
  let most: i64 = i64.MIN_VALUE;
  if (rows == 0) {
    let lows = i64x2.splat(i64.MAX_VALUE);
    let highs = i64x2.splat(i64.MIN_VALUE);
    let k: usize = 0;
    for (; k + 1 < <usize>n; k += 2) {
      const pair = v128.load(times + (k << 3));
      lows = v128.bitselect(pair, lows, i64x2.lt_s(pair, lows));
      highs = v128.bitselect(pair, highs, i64x2.gt_s(pair, highs));
    }
    const a = i64x2.extract_lane(lows, 0);
    const b = i64x2.extract_lane(lows, 1);
    least = a < b ? a : b;
    const c = i64x2.extract_lane(highs, 0);
    const d = i64x2.extract_lane(highs, 1);
    most = c > d ? c : d;
    if (k < <usize>n) {
      const time = load<i64>(times + (k << 3));
      least = time < least ? time : least;
      most = time > most ? time : most;
    }
  } else {
    for (let k: usize = 0; k < <usize>n; k++) {
      const time = load<i64>(times + (<usize>load<u32>(rows + (k << 2)) << 3));
      least = time < least ? time : least;
      most = time > most ? time : most;
    }
  }
  const inverse = 1.0 / <f64>length;
  const first = floorDivide(least - offset, length, inverse);
  const last = floorDivide(most - offset, length, inverse);
  store<i64>(work, first);
  store<u32>(work, 0, 8);
  if (first == last) {
    store<u32>(work, <u32>n, 12);
    return 1;
  }
  if (last - first != 1) return 0;
  const boundary = last * length + offset;
  // Both lists grow at once, no branch: the later slice's on the side, as its place is known only at the end.
  const side = work + 2 * binBytes;
  let low = list;
  let high = side;
  if (rows == 0) {
    for (let k: usize = 0; k < <usize>n; k++) {
      const isHigh = <usize>(load<i64>(times + (k << 3)) >= boundary);
      store<u32>(low, <u32>k);
      store<u32>(high, <u32>k);
      high += isHigh << 2;
      low += (1 - isHigh) << 2;
    }
  } else {
    for (let k: usize = 0; k < <usize>n; k++) {
      const row = <usize>load<u32>(rows + (k << 2));
      const isHigh = <usize>(load<i64>(times + (row << 3)) >= boundary);
      store<u32>(low, <u32>row);
      store<u32>(high, <u32>row);
      high += isHigh << 2;
      low += (1 - isHigh) << 2;
    }
  }
  memory.copy(low, side, high - side);
  const lows = <u32>((low - list) >> 2);
  store<u32>(work, lows, 12);
  store<i64>(work + binBytes, last);
  store<u32>(work + binBytes, lows, 8);
  store<u32>(work + binBytes, <u32>n - lows, 12);
  return 2;
}

/** Bins of rows whose slices are `base` + a number below `denseSlices`, which stands in `binOf`. */
function denseBins(rows: usize, n: i32, base: i64, work: usize, binOf: usize, counts: usize, list: usize): i32 {
  memory.fill(counts, 0, denseSlices * 4);
  for (let k: usize = 0; k < <usize>n; k++) {
    const at = counts + (<usize>load<u32>(binOf + (k << 2)) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  let bins: usize = 0;
  let position: u32 = 0;
  for (let i: usize = 0; i < denseSlices; i++) {
    const count = load<u32>(counts + (i << 2));
    if (count == 0) continue;
    const bin = work + bins * binBytes;
    store<i64>(bin, base + <i64>i);
    store<u32>(bin, position, 8);
    store<u32>(bin, count, 12);
    store<u32>(counts + (i << 2), position);
    position += count;
    bins++;
  }
  for (let k: usize = 0; k < <usize>n; k++) {
    const at = counts + (<usize>load<u32>(binOf + (k << 2)) << 2);
    const to = load<u32>(at);
    store<u32>(list + (<usize>to << 2), rows ? load<u32>(rows + (k << 2)) : <u32>k);
    store<u32>(at, to + 1);
  }
  return <i32>bins;
}

/** The slice end of each row: a BIGINT column for partial results, written at the row's own number. */
export function sliceEnds(times: usize, rows: usize, n: i32, offset: i64, length: i64, out: usize): void {
  if (n == 0) return;
  const inverse = 1.0 / <f64>length;
  // Nearly in order: within the slice of the first row, one before and two behind it, found without a branch.
  const first = load<i64>(times + ((rows ? <usize>load<u32>(rows) : 0) << 3));
  const base = (floorDivide(first - offset, length, inverse) - 1) * length + offset;
  const none = i64x2.splat(0);
  const lengths = i64x2.splat(length);
  const bases = i64x2.splat(base);
  const firstEnds = i64x2.splat(base + length);
  const last1 = i64x2.splat(length - 1);
  const last2 = i64x2.splat(2 * length - 1);
  const last3 = i64x2.splat(3 * length - 1);
  const last4 = i64x2.splat(4 * length - 1);
  let outside = none;
  let k: usize = 0;
  if (rows == 0) {
    for (; k + 1 < <usize>n; k += 2) {
      const past = i64x2.sub(v128.load(times + (k << 3)), bases);
      const ends = i64x2.add(
        i64x2.add(firstEnds, v128.and(i64x2.gt_s(past, last1), lengths)),
        i64x2.add(v128.and(i64x2.gt_s(past, last2), lengths), v128.and(i64x2.gt_s(past, last3), lengths)),
      );
      outside = v128.or(outside, v128.or(i64x2.gt_s(past, last4), i64x2.lt_s(past, none)));
      v128.store(out + (k << 3), ends);
    }
  }
  let far = v128.any_true(outside);
  for (; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const past = load<i64>(times + (row << 3)) - base;
    const slice = <i64>(past >= length) + <i64>(past >= 2 * length) + <i64>(past >= 3 * length);
    far = far || <u64>past >= <u64>(4 * length);
    store<i64>(out + (row << 3), base + (slice + 1) * length);
  }
  if (!far) return;
  for (k = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const slice = floorDivide(load<i64>(times + (row << 3)) - offset, length, inverse);
    store<i64>(out + (row << 3), (slice + 1) * length + offset);
  }
}

/** Exact for every i64: the estimate in f64 is off by at most one where it is used. */
// @ts-ignore: decorator
@inline
function floorDivide(a: i64, b: i64, inverse: f64): i64 {
  if (a > -4503599627370496 && a < 4503599627370496) {
    let q = <i64>floor(<f64>a * inverse);
    const r = a - q * b;
    if (r < 0) q--;
    else if (r >= b) q++;
    return q;
  }
  const q = a / b;
  return q * b > a ? q - 1 : q;
}

/**
 * The entries of this batch that `round` has not met: those whose u32 at `at` differs from `round`; it is set. Each once,
 * in order of first appearance, to `out`; what stood there before to `before` (u32 each). Answers how many.
 */
export function distinctEntries(entries: usize, n: i32, at: usize, round: u32, out: usize, before: usize): i32 {
  let found: usize = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const entry = load<u32>(entries + (k << 2));
    const mark = load<u32>(<usize>entry + at);
    store<u32>(out + (found << 2), entry);
    store<u32>(before + (found << 2), mark);
    store<u32>(<usize>entry + at, round);
    found += <usize>(mark != round);
  }
  return <i32>found;
}
