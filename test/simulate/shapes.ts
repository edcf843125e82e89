/**
 * Jobs of the simulation, and what each must give, said plainly: arrays, Maps and loops over the same rows. Rows are made
 * from a sequence, in any order of arrival; so whatever a job gives must not depend on it.
 */
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connect,
  count,
  type Ends,
  from,
  generator,
  hop,
  jsonl,
  max,
  parquet,
  type Schema,
  type Stream,
  schema,
  state,
  sum,
  t,
  tumble,
} from '../../index.ts';

export interface Draw {
  /** Rows of the main source. */
  readonly rows: number;
  readonly keys: number;
  /** Most rows are of one key. */
  readonly skewed: boolean;
  /** Rows come out of order, through a JavaScript function. */
  readonly disorder: boolean;
  readonly format: 'jsonl' | 'parquet';
  readonly mode: 'stream' | 'bounded';
}

export interface Row {
  readonly id: number;
  readonly k: number;
  readonly v: number;
  /** Milliseconds since the rows begin. */
  readonly at: number;
}

/** What a directory holds in the end: rows by text, or what is wrong with them. */
export interface Expected {
  readonly directory: string;
  readonly format: 'jsonl' | 'parquet';
  /** Rows as texts, each as often as it must be there. Changes are summed up first. */
  readonly rows?: readonly string[];
  /** In place of `rows`, where the number of rows is free. Null: all is well. */
  readonly check?: (rows: readonly Record<string, unknown>[]) => string | null;
  readonly changelog?: boolean;
}

export interface Simulated {
  readonly ends: Ends;
  readonly expected: readonly Expected[];
  /**
   * Of a savepoint that is taken when all rows have been read: what is wrong with which keys (column `k`) hold which states;
   * `at` is how far event time has come, in milliseconds since the rows begin. Null: all is well.
   */
  held?(holding: readonly { readonly state: string; readonly k: number }[], at: number): string | null;
}

export interface Shape {
  readonly name: string;
  /** It is about what fires when input ends: there is little room for it, and most lives have such an end. */
  readonly firesAtEnd?: true;
  build(draw: Draw): Simulated;
}

export const startMs = Date.UTC(2026, 0, 1);
const plainRow = schema({ id: t.bigint(), k: t.bigint(), v: t.bigint(), at: t.timestamp(3) });
const disorderMs = 20;

const keyOf = ({ keys, skewed }: Draw, n: number): number => (skewed && n % 10 < 7 ? 0 : n % keys);
const numberOf = (n: number): number => (n * 7919) % 1000;
const lateBy = ({ disorder }: Draw, n: number): number => (disorder ? (n * 31) % disorderMs : 0);

/** The rows as they are. */
export function rowsOf(draw: Draw, rows = draw.rows): Row[] {
  return Array.from({ length: rows }, (_, n) => ({
    id: n,
    k: keyOf(draw, n),
    v: numberOf(n),
    at: n - lateBy(draw, n),
  }));
}

/** The rows as a stream. `seed` keeps two sources of one job apart. */
function stream(
  draw: Draw,
  rows = draw.rows,
  seed = 0,
): Stream<{ id: number; k: number; v: number; at: Date }, 'bounded'> {
  const source = from(
    generator({
      rows,
      seed,
      columns: (g) => ({ n: g.sequence(), at: g.time({ start: new Date(startMs), perSecond: 1000 }) }),
    }),
  );
  if (!draw.disorder && !draw.skewed) {
    return source
      .eventTime('at')
      .with((r) => ({ id: r.n, k: r.n.mod(draw.keys), v: r.n.mul(7919).mod(1000) }))
      .pick('id', 'k', 'v', 'at') as never;
  }
  return source
    .map(plainRow, ({ n, at }) => ({
      id: n,
      k: keyOf(draw, n),
      v: numberOf(n),
      at: new Date(at.getTime() - lateBy(draw, n)),
    }))
    .eventTime('at', { outOfOrderness: `${disorderMs} ms` });
}

const sinkAt = (directory: string, draw: Draw) =>
  (draw.format === 'jsonl' ? jsonl(directory) : parquet(directory)) as ReturnType<typeof jsonl>;
const text = (...values: readonly (number | string | null)[]): string => values.join(' ');

function groups<T>(rows: readonly T[], by: (row: T) => string | number): Map<string | number, T[]> {
  const found = new Map<string | number, T[]>();
  for (const row of rows) {
    const key = by(row);
    const group = found.get(key);
    if (group) group.push(row);
    else found.set(key, [row]);
  }
  return found;
}
const total = (rows: readonly Row[]): number => rows.reduce((at, { v }) => at + v, 0);

/** Rows of windows: key, start, count and sum. */
function windows(rows: readonly Row[], sizeMs: number, slideMs: number): string[] {
  const found: string[] = [];
  for (const [k, own] of groups(rows, (row) => row.k)) {
    const byStart = new Map<number, Row[]>();
    for (const row of own) {
      const last = Math.floor(row.at / slideMs) * slideMs;
      for (let start = last; start > row.at - sizeMs; start -= slideMs)
        byStart.set(start, [...(byStart.get(start) ?? []), row]);
    }
    for (const [start, inside] of byStart) found.push(text(k, start, inside.length, total(inside)));
  }
  return found;
}

const tumbled = (draw: Draw, rows?: number) =>
  stream(draw, rows)
    .groupBy('k', tumble('60 ms'))
    .aggregate((r) => ({ n: count(), total: sum(r.v) }))
    .select((r) => ({ k: r.k, start: r.window.start, n: r.n, total: r.total }));

/** A timer so late that only the end of the input fires it. */
const far = new Date(Date.UTC(2100, 0, 1));

/** The key's event time must never go back: what was late before a crash is late after it. */
const timeWentBack = 'the watermark went back';

const perKey = schema({ k: t.bigint(), n: t.bigint(), total: t.bigint(), said: t.string() });
const idOnly = schema({ id: t.bigint() });

export const shapes: readonly Shape[] = [
  {
    name: 'tumbling windows',
    build: (draw) => ({
      ends: tumbled(draw).to(sinkAt('/out/a', draw) as never),
      expected: [{ directory: '/out/a', format: draw.format, rows: windows(rowsOf(draw), 60, 60) }],
    }),
  },
  {
    name: 'hopping windows',
    build: (draw) => ({
      ends: stream(draw)
        .groupBy('k', hop('60 ms', '20 ms'))
        .aggregate((r) => ({ n: count(), total: sum(r.v) }))
        .select((r) => ({ k: r.k, start: r.window.start, n: r.n, total: r.total }))
        .to(sinkAt('/out/a', draw) as never),
      expected: [{ directory: '/out/a', format: draw.format, rows: windows(rowsOf(draw), 60, 20) }],
    }),
  },
  {
    name: 'groups without windows',
    build: (draw) => ({
      ends: stream(draw)
        .groupBy('k')
        .aggregate((r) => ({ n: count(), total: sum(r.v), most: max(r.id) }))
        .to(jsonl('/out/a', { changelog: true }) as never),
      expected: [
        {
          directory: '/out/a',
          format: 'jsonl',
          changelog: true,
          rows: [...groups(rowsOf(draw), (row) => row.k)].map(([k, own]) =>
            text(k, own.length, total(own), own.at(-1)!.id),
          ),
        },
      ],
    }),
  },
  {
    name: 'each value once, and the best of them',
    build: (draw) => ({
      ends: {
        distinct: stream(draw)
          .pick('k', 'v')
          .distinct()
          .to(sinkAt('/out/a', draw) as never),
        best: stream(draw)
          .pick('id', 'k', 'v')
          .groupBy('k')
          .topN(2, { orderBy: 'id' })
          .to(jsonl('/out/b', { changelog: true }) as never),
      },
      expected: [
        {
          directory: '/out/a',
          format: draw.format,
          rows: [...new Set(rowsOf(draw).map((row) => text(row.k, row.v)))],
        },
        {
          directory: '/out/b',
          format: 'jsonl',
          changelog: true,
          rows: [...groups(rowsOf(draw), (row) => row.k).values()].flatMap((own) =>
            own.slice(0, 2).map((row) => text(row.id, row.k, row.v)),
          ),
        },
      ],
    }),
  },
  {
    name: 'value, list and map state, with side outputs',
    build(draw) {
      const rows = rowsOf(draw);
      const made = stream(draw)
        .keyBy('k')
        .process({
          output: perKey,
          side: { odd: idOnly, wrong: schema({ what: t.string() }) },
          state: {
            n: state.value(t.bigint()),
            total: state.reducing(t.bigint(), (a, b) => a + b),
            ids: state.list(t.bigint()),
            byDigit: state.map(t.bigint(), t.string()),
            watermark: state.value(t.double()),
          },
          onRow(row, ctx) {
            ctx.state.n.set((ctx.state.n.get() ?? 0) + 1);
            ctx.state.total.add(row.v);
            ctx.state.ids.add(row.id);
            const digit = row.id % 5;
            ctx.state.byDigit.set(digit, 'x'.repeat(((ctx.state.byDigit.get(digit) ?? '').length + 1) % 40));
            if (row.id % 2 === 1) ctx.side.odd({ id: row.id });
            const before = ctx.state.watermark.get();
            const now = ctx.watermark.getTime();
            if (before !== null && now < before) ctx.side.wrong({ what: timeWentBack });
            ctx.state.watermark.set(now);
            ctx.timers.eventTime('end', far);
          },
          onTimer(_timer, ctx) {
            const ids = [...ctx.state.ids].sort((a, b) => a - b);
            const digits = [...ctx.state.byDigit].map(([digit, xs]) => `${digit}:${xs.length}`).join();
            ctx.emit({
              k: ctx.key.k,
              n: ctx.state.n.get() ?? 0,
              total: ctx.state.total.get() ?? 0,
              said: `${ids.join()} ${digits}`,
            });
          },
        });
      return {
        ends: {
          main: made.to(sinkAt('/out/a', draw) as never),
          odd: made.side.odd.to(sinkAt('/out/b', draw) as never),
          wrong: made.side.wrong.to(jsonl('/out/c') as never),
        },
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            rows: [...groups(rows, (row) => row.k)].map(([k, own]) => {
              const digits = [...groups(own, (row) => row.id % 5)].sort(([a], [b]) => Number(a) - Number(b));
              const said = digits.map(([digit, some]) => `${digit}:${some.length % 40}`).join();
              return text(k, own.length, total(own), `${own.map(({ id }) => id).join()} ${said}`);
            }),
          },
          {
            directory: '/out/b',
            format: draw.format,
            rows: rows.filter(({ id }) => id % 2 === 1).map(({ id }) => text(id)),
          },
          { directory: '/out/c', format: 'jsonl', rows: [] },
        ],
      };
    },
  },
  {
    name: 'event-time timers',
    build(draw) {
      const bucketMs = 40;
      return {
        ends: stream(draw)
          .keyBy('k')
          .process({
            output: schema({ k: t.bigint(), start: t.timestamp(3), n: t.bigint(), total: t.bigint() }),
            state: {
              n: state.map(t.bigint(), t.bigint()),
              total: state.map(t.bigint(), t.bigint()),
            },
            onRow(row, ctx) {
              const start = Math.floor((row.at.getTime() - startMs) / bucketMs) * bucketMs;
              ctx.state.n.set(start, (ctx.state.n.get(start) ?? 0) + 1);
              ctx.state.total.set(start, (ctx.state.total.get(start) ?? 0) + row.v);
              ctx.timers.eventTime(String(start), new Date(startMs + start + bucketMs - 1));
            },
            onTimer(timer, ctx) {
              const start = Number(timer.name);
              ctx.emit({
                k: ctx.key.k,
                start: new Date(startMs + start),
                n: ctx.state.n.get(start) ?? -1,
                total: ctx.state.total.get(start) ?? -1,
              });
              ctx.state.n.delete(start);
              ctx.state.total.delete(start);
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [{ directory: '/out/a', format: draw.format, rows: windows(rowsOf(draw), bucketMs, bucketMs) }],
      };
    },
  },
  {
    name: 'processing-time timers',
    build(draw) {
      const rows = rowsOf(draw);
      return {
        ends: stream(draw)
          .keyBy('k')
          .process({
            output: schema({ k: t.bigint(), n: t.bigint(), total: t.bigint() }),
            state: { n: state.value(t.bigint()), total: state.value(t.bigint()) },
            onRow(row, ctx) {
              const n = ctx.state.n.get();
              ctx.state.n.set((n ?? 0) + 1);
              ctx.state.total.set((ctx.state.total.get() ?? 0) + row.v);
              if (n === null) ctx.timers.processingTime('tell', '20 ms');
              ctx.timers.eventTime('end', far);
            },
            onTimer(_timer, ctx) {
              const n = ctx.state.n.get();
              if (n !== null) ctx.emit({ k: ctx.key.k, n, total: ctx.state.total.get() ?? 0 });
              ctx.state.n.clear();
              ctx.state.total.clear();
              ctx.timers.cancel('tell');
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            check(found) {
              for (const [k, own] of groups(rows, (row) => row.k)) {
                const told = found.filter((row) => Number(row.k) === k);
                const n = told.reduce((at, row) => at + Number(row.n), 0);
                const sums = told.reduce((at, row) => at + Number(row.total), 0);
                if (n !== own.length || sums !== total(own))
                  return `key ${k}: ${n} rows of sum ${sums} were told of, there are ${own.length} of sum ${total(own)}`;
              }
              return null;
            },
          },
        ],
      };
    },
  },
  {
    name: 'rules that everybody gets',
    build(draw) {
      const rules = Math.min(draw.rows, 20);
      const rows = rowsOf(draw);
      const ruleRows = rowsOf(draw, rules);
      return {
        ends: connect({ events: stream(draw).keyBy('k'), rules: stream(draw, rules, 1).broadcast() })
          .process({
            output: perKey,
            state: { held: state.list(t.bigint()) },
            broadcastState: { rules: state.map(t.bigint(), t.bigint()) },
            onRow: {
              events(row, ctx) {
                ctx.state.held.add(row.v);
                ctx.timers.eventTime('end', far);
              },
              rules(row, ctx) {
                ctx.broadcast.rules.set(row.id, row.v);
              },
            },
            onTimer(_timer, ctx) {
              const limits = [...ctx.broadcast.rules].map(([, limit]) => limit);
              const held = [...ctx.state.held];
              const hits = held.reduce((at, v) => at + limits.filter((limit) => v > limit).length, 0);
              ctx.emit({ k: ctx.key.k, n: limits.length, total: hits, said: 'rules' });
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            rows: [...groups(rows, (row) => row.k)].map(([k, own]) => {
              const hits = own.reduce((at, { v }) => at + ruleRows.filter((rule) => v > rule.v).length, 0);
              return text(k, rules, hits, 'rules');
            }),
          },
        ],
      };
    },
  },
  {
    name: 'two sources of one key',
    build(draw) {
      const others = Math.ceil(draw.rows / 3);
      const rows = rowsOf(draw);
      const otherRows = rowsOf(draw, others);
      return {
        ends: connect({ left: stream(draw).keyBy('k'), right: stream(draw, others, 1).keyBy('k') })
          .process({
            output: perKey,
            state: { left: state.value(t.bigint()), right: state.value(t.bigint()) },
            onRow: {
              left(row, ctx) {
                ctx.state.left.set((ctx.state.left.get() ?? 0) + row.v + 1);
                ctx.timers.eventTime('end', far);
              },
              right(row, ctx) {
                ctx.state.right.set((ctx.state.right.get() ?? 0) + row.v + 1);
                ctx.timers.eventTime('end', far);
              },
            },
            onTimer(_timer, ctx) {
              ctx.emit({
                k: ctx.key.k,
                n: ctx.state.left.get() ?? 0,
                total: ctx.state.right.get() ?? 0,
                said: 'both',
              });
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            rows: [...groups(rows, (row) => row.k)].map(([k, own]) => {
              const right = otherRows.filter((row) => row.k === k);
              return text(k, total(own) + own.length, total(right) + right.length, 'both');
            }),
          },
        ],
      };
    },
  },
  {
    name: 'two sinks of one stream, and every row by itself',
    build(draw) {
      const sums = tumbled(draw);
      const expected = windows(rowsOf(draw), 60, 60);
      return {
        ends: {
          a: sums.to(jsonl('/out/a') as never),
          b: sums.to(parquet('/out/b') as never),
          all: stream(draw)
            .pick('id', 'k')
            .to(sinkAt('/out/c', draw) as never),
        },
        expected: [
          { directory: '/out/a', format: 'jsonl', rows: expected },
          { directory: '/out/b', format: 'parquet', rows: expected },
          { directory: '/out/c', format: draw.format, rows: rowsOf(draw).map(({ id, k }) => text(id, k)) },
        ],
      };
    },
  },
  {
    name: 'one source united with another, windows over windows',
    build(draw) {
      const others = Math.ceil(draw.rows / 2);
      const rows = [...rowsOf(draw), ...rowsOf(draw, others)];
      return {
        ends: stream(draw)
          .union(stream(draw, others, 1))
          .groupBy('k', tumble('40 ms'))
          .aggregate((r) => ({ n: count(), total: sum(r.v) }))
          .select((r) => ({ k: r.k, start: r.window.start, n: r.n, total: r.total }))
          .to(sinkAt('/out/a', draw) as never),
        expected: [{ directory: '/out/a', format: draw.format, rows: windows(rows, 40, 40) }],
      };
    },
  },
  {
    name: 'state that lives for a while',
    build(draw) {
      const rows = rowsOf(draw);
      // A key's rows are within a few milliseconds; what it holds lives for less than until its timer.
      const keyAt = (id: number): number => Math.floor(id / 10);
      const livesMs = 48;
      const wide = schema({ id: t.bigint(), k: t.bigint(), at: t.timestamp(3) }) as Schema<{
        id: number;
        k: number;
        at: Date;
      }>;
      return {
        ends: from(
          generator({
            rows: draw.rows,
            columns: (g) => ({ id: g.sequence(), at: g.time({ start: new Date(startMs), perSecond: 1000 }) }),
          }),
        )
          .map(wide, ({ id, at }) => ({ id, k: keyAt(id), at }))
          .eventTime('at')
          .keyBy('k')
          .process({
            output: perKey,
            state: {
              short: state.value(t.bigint(), { ttl: '16 ms' }),
              list: state.list(t.bigint(), { ttl: '16 ms' }),
              long: state.value(t.bigint(), { ttl: `${livesMs} ms` }),
            },
            onRow(row, ctx) {
              ctx.state.short.set(row.id);
              ctx.state.list.add(row.id);
              ctx.state.long.set((ctx.state.long.get() ?? 0) + 1);
              ctx.timers.eventTime('look', '30 ms');
            },
            onTimer(_timer, ctx) {
              const long = ctx.state.long.get() ?? -1;
              ctx.emit({
                k: ctx.key.k,
                n: long,
                total: ctx.state.list.length,
                said: ctx.state.short.get() === null ? 'gone' : 'there',
              });
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            rows: [...groups(rows, ({ id }) => keyAt(id))].map(([k, own]) => text(k, own.length, 0, 'gone')),
          },
        ],
        held(holding, at) {
          // Freed a sixteenth of its life later at the latest.
          const old = holding.filter(({ k }) => Math.min(k * 10 + 9, draw.rows - 1) + livesMs + livesMs / 16 + 1 <= at);
          return old.length === 0
            ? null
            : `time to live: at ${at} ms ${old.length} values are held that were gone before: ${JSON.stringify(old.slice(0, 5))}`;
        },
      };
    },
  },
  {
    name: 'many files, more than readers',
    build(draw) {
      const files = 5 + (draw.rows % 8);
      const rows = rowsOf({ ...draw, keys: 7, skewed: false, disorder: false }, files * rowsPerFile);
      const read = () => from(jsonl(directoryOf(files), { schema: plainRow })).eventTime('at');
      return {
        ends: {
          sums: read()
            .groupBy('k', tumble('40 ms'))
            .aggregate((r) => ({ n: count(), total: sum(r.v) }))
            .select((r) => ({ k: r.k, start: r.window.start, n: r.n, total: r.total }))
            .to(sinkAt('/out/a', draw) as never),
          all: read()
            .pick('id', 'k')
            .to(sinkAt('/out/b', draw) as never),
        },
        expected: [
          { directory: '/out/a', format: draw.format, rows: windows(rows, 40, 40) },
          { directory: '/out/b', format: draw.format, rows: rows.map(({ id, k }) => text(id, k)) },
        ],
      };
    },
  },
  {
    name: 'many timers at the end',
    firesAtEnd: true,
    build(draw) {
      const keys = draw.rows;
      const rows = rowsOf({ ...draw, keys, skewed: false });
      return {
        ends: stream({ ...draw, keys, skewed: false })
          .keyBy('k')
          .process({
            output: perKey,
            state: { total: state.value(t.bigint()) },
            onRow(row, ctx) {
              ctx.state.total.set((ctx.state.total.get() ?? 0) + row.v);
              ctx.timers.eventTime('end', far);
              ctx.timers.eventTime('later', new Date(far.getTime() + (row.id % 3)));
            },
            onTimer(timer, ctx) {
              ctx.emit({ k: ctx.key.k, n: 1, total: ctx.state.total.get() ?? -1, said: timer.name });
              if (timer.name === 'later') ctx.state.total.clear();
            },
          })
          .to(sinkAt('/out/a', draw) as never),
        expected: [
          {
            directory: '/out/a',
            format: draw.format,
            rows: rows.flatMap(({ k, v }) => [text(k, 1, v, 'end'), text(k, 1, v, 'later')]),
          },
        ],
      };
    },
  },
];

const rowsPerFile = 24;

/** A directory of files that hold the rows in turn. Sources read the real disk: written once, the same for every seed. */
function directoryOf(files: number): string {
  const path = join(tmpdir(), `millrace-simulate-${files}x${rowsPerFile}`);
  if (existsSync(path)) return path;
  const partial = mkdtempSync(`${path}-`);
  const draw = { keys: 7, skewed: false, disorder: false } as Draw;
  const rows = rowsOf(draw, files * rowsPerFile);
  for (let file = 0; file < files; file++) {
    const own = rows.slice(file * rowsPerFile, (file + 1) * rowsPerFile);
    const lines = own.map((row) => JSON.stringify({ ...row, at: new Date(startMs + row.at).toISOString() }));
    writeFileSync(join(partial, `${String(file).padStart(2, '0')}.jsonl`), `${lines.join('\n')}\n`);
  }
  try {
    renameSync(partial, path);
  } catch {
    // Another process was faster.
    rmSync(partial, { recursive: true });
  }
  return path;
}
