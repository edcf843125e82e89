/**
 * Windows over generated events in the unbounded regime: 100 s of event time, shuffled within a second; every result goes
 * into a checksum. Plain JavaScript gets its events for nothing, in typed arrays; ours are generated while the clock runs.
 */
import type { RecordBatch } from 'apache-arrow';
import { arrowBatches, blackhole, count, from, generator, hop, run, sum, tumble, type WindowKey } from '../index.ts';
import type { Bench, BenchCase, CaseOptions, Engine } from './harness.ts';

interface Shape {
  readonly keys: number;
  readonly sizeMs: number;
  readonly slideMs: number;
}

export const windows: Bench = {
  name: 'window',
  describe: 'sum and count by key and window over a stream of generated events, every result into a checksum',
  cases: [
    windowCase('tumble-10k', { keys: 10_000, sizeMs: 1000, slideMs: 1000 }, 'two slots: plain-js × 3'),
    windowCase('tumble-1m', { keys: 1_000_000, sizeMs: 1000, slideMs: 1000 }, 'two slots: plain-js × 8'),
    windowCase('hop-10k', { keys: 10_000, sizeMs: 10_000, slideMs: 2000 }, 'two slots: plain-js × 3'),
    windowCase('hop-1m', { keys: 1_000_000, sizeMs: 10_000, slideMs: 2000 }, 'two slots: plain-js × 8'),
  ],
};

function windowCase(name: string, shape: Shape, bar: string): BenchCase {
  return { name, rows: 10_000_000, bar, engines: (options) => engines(options, shape) };
}

const start = '2026-01-01T00:00:00Z';
const startMs = Date.parse(start);
const spanSeconds = 100;
const disorderMs = 1000;

const events = (rows: number, keys: number) =>
  from(
    generator({
      rows,
      seed: 3,
      columns: (g) => ({
        k: g.bigint(0, keys - 1),
        v: g.bigint(0, 999),
        at: g.time({ start, perSecond: rows / spanSeconds, disorder: '1 second' }),
      }),
    }),
  );

const windowed = (rows: number, keys: number, window: WindowKey) =>
  events(rows, keys)
    .eventTime('at', { outOfOrderness: '1 second' })
    .groupBy('k', window)
    .aggregate((r) => ({ total: sum(r.v), n: count() }))
    .select((r) => ({ k: r.k, start: r.window.start, total: r.total, n: r.n }));

const windowOf = ({ sizeMs, slideMs }: Shape): WindowKey =>
  slideMs === sizeMs ? tumble(`${sizeMs} ms`) : hop(`${sizeMs} ms`, `${slideMs} ms`);

/** The stream of `rows` events to its end: read all, then stopped, so that the last windows close. */
export async function untilDrained(
  handle: {
    metrics(): { readonly rowsIn: number };
    stop(options: { drain: boolean }): Promise<void>;
    result(): Promise<{ readonly lateRows: number }>;
  },
  rows: number,
): Promise<void> {
  const timer = setInterval(() => {
    if (handle.metrics().rowsIn < rows) return;
    clearInterval(timer);
    handle.stop({ drain: true }).catch(() => {});
  }, 1);
  try {
    const { lateRows } = await handle.result();
    if (lateRows > 0) throw new Error(`${lateRows} of the events came late`);
  } finally {
    clearInterval(timer);
  }
}

/** Our run of one window shape; a result is the sink's checksum. */
export async function runWindows(rows: number, shape: Shape, parallelism: number): Promise<BigInt64Array> {
  const checksum = new SharedArrayBuffer(24);
  const sink = windowed(rows, shape.keys, windowOf(shape)).to(blackhole({ checksum }));
  await untilDrained(run(sink, { parallelism, mode: 'stream' }), rows);
  return new BigInt64Array(checksum);
}

async function engines({ rows, slots }: CaseOptions, shape: Shape): Promise<Engine[]> {
  const stored = await generated(rows, shape.keys);
  let known: string | null = null;
  return [
    {
      name: 'millrace',
      slots,
      async run() {
        const sums = await runWindows(rows, shape, slots);
        // Later turns must give what the first gave, whose rows were compared one by one.
        if (known !== null && known !== sums.join()) throw new Error(`a run gave other results: ${sums.join()}`);
        return sums;
      },
      async rows(result) {
        known = (result as BigInt64Array).join();
        const { text, checksum } = await everyRow(rows, shape, slots);
        return [[known === checksum ? text : `the sink's checksum is ${known}, its rows' ${checksum}`]];
      },
    },
    {
      name: 'plain-js',
      slots: 1,
      run: async () => plain(stored, shape),
      rows: (checksum) => [[checksum as string]],
    },
  ];
}

/** The same job with its rows out as well: their checksum as plain JavaScript makes it, and as the sink does. */
async function everyRow(rows: number, shape: Shape, parallelism: number): Promise<{ text: string; checksum: string }> {
  const all = checksumOf();
  const results = windowed(rows, shape.keys, windowOf(shape));
  const cell = new SharedArrayBuffer(24);
  const read = results.to(
    arrowBatches((batch) => {
      const [k, from, total, n] = ['k', 'start', 'total', 'n'].map((name) =>
        halves((batch as RecordBatch).getChild(name)!.data[0]!.values as BigInt64Array),
      ) as [Int32Array, Int32Array, Int32Array, Int32Array];
      for (let i = 0; i < batch.numRows * 2; i += 2) {
        all.add(k[i]!, (from[i + 1]! * 4294967296 + (from[i]! >>> 0) - startMs) / 1000, total[i]!, n[i]!);
      }
    }),
  );
  await untilDrained(
    run({ read, summed: results.to(blackhole({ checksum: cell })) }, { parallelism, mode: 'stream' }),
    rows,
  );
  return { text: all.text(), checksum: new BigInt64Array(cell).join() };
}

/** 64-bit values by their 32-bit halves: reading bigints makes one of every row. */
const halves = (values: BigInt64Array): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.length * 2);

interface Stored {
  readonly keys: Int32Array;
  readonly values: Int32Array;
  /** Milliseconds since the first. */
  readonly times: Int32Array;
}

/** The events in the order in which one slot makes them. */
async function generated(rows: number, distinct: number): Promise<Stored> {
  const stored = { keys: new Int32Array(rows), values: new Int32Array(rows), times: new Int32Array(rows) };
  let at = 0;
  const sink = arrowBatches((batch) => {
    const [k, v, time] = ['k', 'v', 'at'].map((name) =>
      halves((batch as RecordBatch).getChild(name)!.data[0]!.values as BigInt64Array),
    ) as [Int32Array, Int32Array, Int32Array];
    for (let i = 0; i < batch.numRows; i++, at++) {
      stored.keys[at] = k[i * 2]!;
      stored.values[at] = v[i * 2]!;
      stored.times[at] = time[i * 2 + 1]! * 4294967296 + (time[i * 2]! >>> 0) - startMs;
    }
  });
  await run(events(rows, distinct).to(sink), { parallelism: 1 }).result();
  return stored;
}

interface Checksum {
  add(key: number, second: number, total: number, n: number): void;
  text(): string;
}

/** Two sums over mixed rows. A few nanoseconds a row, and no order. */
function checksumOf(): Checksum {
  let rows = 0;
  let a = 0;
  let b = 0;
  return {
    add(key, second, total, n) {
      let h = Math.imul(key ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b);
      h = Math.imul(h ^ (h >>> 15) ^ total, 0xc2b2ae35);
      h = Math.imul(h ^ (h >>> 13) ^ Math.imul(n, 0x27d4eb2f), 0x165667b1);
      a = (a + h) | 0;
      b = (b + Math.imul(h ^ (h >>> 16), 0x2c1b3c6d)) | 0;
      rows++;
    },
    text: () => `${rows} rows ${a} ${b}`,
  };
}

interface Sums {
  total: number;
  n: number;
}

/**
 * One Map to a slice of time and one object to a key in it; overlapping windows share their slices, and a window that
 * closes merges its own. Watermarks as ours: a second behind the latest event.
 */
function plain({ keys, values, times }: Stored, { sizeMs, slideMs }: Shape): string {
  const out = checksumOf();
  const slices = new Map<number, Map<number, Sums>>();
  const perWindow = sizeMs / slideMs;
  let latest = -1;
  let nextEnd = slideMs;
  let last = -1;
  let slice: Map<number, Sums> | null = null;

  const close = (end: number): void => {
    const first = (end - sizeMs) / slideMs;
    if (perWindow === 1) {
      for (const [key, { total, n }] of slices.get(first) ?? []) out.add(key, first * (slideMs / 1000), total, n);
    } else {
      const merged = new Map<number, Sums>();
      for (let s = first; s < first + perWindow; s++) {
        for (const [key, { total, n }] of slices.get(s) ?? []) {
          const sums = merged.get(key);
          if (sums === undefined) merged.set(key, { total, n });
          else {
            sums.total += total;
            sums.n += n;
          }
        }
      }
      for (const [key, { total, n }] of merged) out.add(key, first * (slideMs / 1000), total, n);
    }
    slices.delete(first);
    last = -1;
  };

  for (let i = 0; i < times.length; i++) {
    const time = times[i]!;
    if (time > latest) {
      latest = time;
      for (; nextEnd <= latest - disorderMs; nextEnd += slideMs) close(nextEnd);
    }
    const of = Math.floor(time / slideMs);
    if (of !== last) {
      slice = slices.get(of) ?? null;
      if (slice === null) {
        slice = new Map();
        slices.set(of, slice);
      }
      last = of;
    }
    const key = keys[i]!;
    const sums = slice!.get(key);
    if (sums === undefined) slice!.set(key, { total: values[i]!, n: 1 });
    else {
      sums.total += values[i]!;
      sums.n++;
    }
  }
  for (const end = (Math.max(...slices.keys()) + perWindow) * slideMs; nextEnd <= end; nextEnd += slideMs)
    close(nextEnd);
  return out.text();
}
