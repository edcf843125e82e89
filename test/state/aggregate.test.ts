import { expect, test } from 'vitest';
import { keyGroupRange } from '../../core/base/key-groups.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { AggregateCall } from '../../core/expr/tree.ts';
import type { AggregateNode } from '../../core/operators/aggregate/setup.ts';
import { watermarkMax, watermarkMin } from '../../core/operators/operator.ts';
import { type Layout, rowtimeColumn } from '../../core/record/layout.ts';
import type { SlicedWindow } from '../../core/time/windows.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { type TestValue, testBatch } from '../support/columns.ts';
import {
  call,
  leaf,
  materialise,
  type OutRow,
  outputsOf,
  type Running,
  reference,
  runAggregate,
  textOf,
} from './operators.ts';

const bigint = { kind: 'BIGINT' } as const;
const double = { kind: 'DOUBLE' } as const;
const varchar = { kind: 'VARCHAR' } as const;

/** Two keys, an integer, a double, a text, a flag, event time. */
const input: Layout = [
  leaf('a', 'i64', false),
  leaf('b', 'view', true),
  leaf('x', 'i64', true),
  leaf('y', 'f64', true),
  leaf('t', 'view', true),
  leaf('f', 'bit', true),
  rowtimeColumn,
];
const calls: AggregateCall[] = [
  call('count', null, bigint, null),
  call('count', 2, bigint, bigint),
  call('sum', 2, bigint, bigint),
  call('avg', 2, double, bigint),
  call('min', 3, double, double),
  call('max', 3, double, double),
  call('sum', 3, double, double, 5),
  call('min', 4, varchar, varchar),
  call('max', 4, varchar, varchar),
];

type Row = readonly TestValue[];

function randomRow(random: Prng, distinct: number, timeMs: number): Row {
  const i = random.below(distinct);
  const text =
    random.below(3) === 0
      ? `${'a long text '.repeat(1 + random.below(20))}${random.below(50)}`
      : `t${random.below(99)}`;
  return [
    BigInt(i % 97) - 40n,
    i % 11 === 0 ? null : i % 3 === 0 ? `key with a long name ${i}` : `k${i}`,
    random.below(6) === 0 ? null : BigInt(random.below(2000) - 1000),
    random.below(6) === 0 ? null : random.below(2000) / 4 - 200,
    random.below(5) === 0 ? null : text,
    random.below(4) === 0 ? null : random.below(2) === 1,
    BigInt(timeMs),
  ];
}

const nodeOf = (more: Partial<AggregateNode>): AggregateNode => ({
  kind: 'aggregate',
  phase: 'single',
  keys: [0, 1],
  calls,
  window: null,
  time: null,
  allowedLatenessMs: 0,
  ...more,
});

/** Feeds rows in batches of `size`, now and then with a selection and as dictionary codes. */
function feed(to: Running, rows: readonly Row[], size: number, random: Prng, layout: Layout = input): void {
  for (let from = 0; from < rows.length; from += size) {
    const some = rows.slice(from, from + size);
    // Rows that are not selected are noise.
    const picked: number[] = [];
    const padded: Row[] = [];
    const selects = random.below(2) === 1 && size <= 2048;
    for (const row of some) {
      if (selects && random.below(3) === 0) padded.push(row.map((v, c) => (layout[c]?.storage === 'i64' ? 7n : v)));
      picked.push(padded.length);
      padded.push(row);
    }
    const of = testBatch(
      to.slot.memory,
      layout,
      layout.map((_, c) => padded.map((row) => row[c] as TestValue)),
      {
        dictionary: random.below(2) === 1,
        ...(selects ? { selection: picked } : {}),
      },
    );
    to.drive((out) => to.operator.onBatch(of, 0, out));
  }
}

function end(running: Running): void {
  running.drive((out) => running.operator.flush?.(out));
  running.drive((out) => running.operator.onWatermark?.(watermarkMax, out));
  running.drive((out) => running.operator.onEnd?.(out));
}

function grouped(
  node: AggregateNode,
  rows: readonly Row[],
  headOf: (row: Row) => TestValue[] = () => [],
): Map<string, number> {
  const groups = new Map<string, { head: TestValue[]; rows: Row[] }>();
  for (const row of rows) {
    const head = [...node.keys.map((k) => row[k] as TestValue), ...headOf(row)];
    const text = textOf(head);
    let group = groups.get(text);
    if (!group) {
      group = { head, rows: [] };
      groups.set(text, group);
    }
    group.rows.push(row);
  }
  const expected = new Map<string, number>();
  for (const { head, rows: members } of groups.values())
    expected.set(textOf([...head, ...reference(node, members)]), 1);
  return expected;
}

const sizes = [1, 7, 4096];

test('groups of bounded input come once, at the end, and equal a Map', () => {
  for (let seed = 0; seed < 12; seed++) {
    const random = prng(seed);
    const size = sizes[seed % 3] as number;
    const rows = Array.from({ length: size === 4096 ? 9000 : 400 }, () =>
      randomRow(random, [5, 300, 5000][random.below(3)] as number, 0),
    );
    const node = nodeOf(seed % 4 === 3 ? { calls: [] } : {});
    const running = runAggregate(node, input, { bounded: true, batchRows: size, seed, moreOf8: seed % 3 });
    feed(running, rows, size, random);
    expect(running.rows.length).toBe(0);
    end(running);
    expect(running.rows.every((row) => row.kind === '+I')).toBe(true);
    expect(materialise(running.rows), `seed ${seed}`).toEqual(grouped(node, rows));
    expect(running.freePages(), `pages left, seed ${seed}`).toBe(running.basePages);
  }
});

test('groups of unbounded input tell their changes, and the changes add up to the groups', () => {
  for (let seed = 100; seed < 109; seed++) {
    const random = prng(seed);
    const size = sizes[seed % 3] as number;
    const rows = Array.from({ length: size === 4096 ? 9000 : 300 }, () =>
      randomRow(random, [5, 300][random.below(2)] as number, 0),
    );
    const running = runAggregate(nodeOf({}), input, { bounded: false, batchRows: size, seed, moreOf8: seed % 3 });
    feed(running, rows, size, random);
    end(running);
    expect(materialise(running.rows), `seed ${seed}`).toEqual(grouped(nodeOf({}), rows));
    if (size === 1) expect(running.rows.some((row) => row.kind === '-U')).toBe(true);
  }
});

test('rows that are taken away are taken out of sums and counts, and an empty group goes', () => {
  const node = nodeOf({ keys: [0], calls: [call('sum', 2, bigint, bigint), call('count', 2, bigint, bigint)] });
  const running = runAggregate(node, input, { bounded: false });
  const row = (a: bigint, x: bigint | null): TestValue[] => [a, null, x, null, null, null, 0n];
  const push = (rows: TestValue[][], kinds: number[]): void => {
    const of = testBatch(
      running.slot.memory,
      input,
      input.map((_, c) => rows.map((r) => r[c] as TestValue)),
      { kinds },
    );
    running.drive((out) => running.operator.onBatch(of, 0, out));
  };
  push([row(1n, 5n), row(1n, 7n), row(2n, 1n)], [0, 0, 0]);
  push([row(1n, 5n), row(1n, 6n)], [1, 2]);
  expect(materialise(running.rows)).toEqual(
    new Map([
      ['i1 | i13 | i2', 1],
      ['i2 | i1 | i1', 1],
    ]),
  );
  push([row(2n, 1n)], [3]);
  expect(running.rows.at(-1)).toEqual({ port: 0, kind: '-D', values: [2n, 1n, 1n] });
  push([row(2n, 9n)], [0]);
  expect(running.rows.at(-1)).toEqual({ port: 0, kind: '+I', values: [2n, 9n, 1n] });
});

test('without keys there is one group; of no rows too, as SQL has it', () => {
  for (const bounded of [true, false]) {
    const random = prng(8);
    const node = nodeOf({ keys: [] });
    const running = runAggregate(node, input, { bounded });
    const rows = Array.from({ length: 5000 }, () => randomRow(random, 100, 0));
    feed(running, rows, 1000, random);
    end(running);
    expect(materialise(running.rows)).toEqual(grouped(node, rows));
    const none = runAggregate(node, input, { bounded });
    end(none);
    expect(materialise(none.rows)).toEqual(new Map([[textOf(reference(node, [])), 1]]));
  }
});

/** Runs rows through `parts` partial operators, then their output through a final one. */
function twoPhase(
  node: AggregateNode,
  rows: readonly Row[],
  seed: number,
  options: { bounded: boolean; size: number; flushEvery: number },
): Running {
  const random = prng(seed);
  const partialNode = { ...node, phase: 'partial' as const };
  const partials = [0, 1].map((i) =>
    runAggregate(partialNode, input, { bounded: options.bounded, batchRows: options.size, seed: seed + i, moreOf8: i }),
  );
  const between = outputsOf(partialNode, input)[0] as Layout;
  const finalNode: AggregateNode = {
    ...node,
    phase: 'final',
    keys: node.keys.map((_, i) => i),
    time: node.window === null ? null : node.keys.length,
  };
  const final = runAggregate(finalNode, between, {
    bounded: options.bounded,
    batchRows: options.size,
    seed,
    moreOf8: 1,
  });
  let fed = 0;
  const forward = (partial: Running): void => {
    const out = partial.rows.splice(0).map((row) => row.values);
    feed(final, out, options.size, random, between);
  };
  for (let from = 0; from < rows.length; from += options.size) {
    const partial = partials[random.below(2)] as Running;
    feed(partial, rows.slice(from, from + options.size), options.size, random);
    if (++fed % options.flushEvery === 0) for (const p of partials) p.drive((out) => p.operator.flush?.(out));
    for (const p of partials) forward(p);
  }
  for (const p of partials) {
    end(p);
    forward(p);
    expect(p.freePages(), 'a partial aggregation holds nothing across a flush').toBe(p.basePages);
  }
  end(final);
  return final;
}

test('partial results, flushed whenever, come to the same as one phase; also where grouping first does not pay', () => {
  for (let seed = 200; seed < 206; seed++) {
    const random = prng(seed);
    const size = sizes[seed % 3] as number;
    const distinct = seed === 203 || seed === 205 ? 1_000_000 : 300;
    const rows = Array.from({ length: size === 4096 ? 30_000 : 500 }, () => randomRow(random, distinct, 0));
    const bounded = seed % 2 === 0;
    const final = twoPhase(nodeOf({}), rows, seed, { bounded, size, flushEvery: 1 + random.below(9) });
    expect(materialise(final.rows), `seed ${seed}`).toEqual(grouped(nodeOf({}), rows));
  }
});

// ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const windows: SlicedWindow[] = [
  { kind: 'tumble', sizeMs: 1000, offsetMs: 0 },
  { kind: 'tumble', sizeMs: 700, offsetMs: -250 },
  { kind: 'hop', sizeMs: 1000, slideMs: 200, offsetMs: 0 },
  { kind: 'hop', sizeMs: 900, slideMs: 400, offsetMs: 130 },
  { kind: 'hop', sizeMs: 300, slideMs: 1000, offsetMs: 0 },
];

/** Ends of the windows that hold a moment. */
function endsOf(spec: SlicedWindow, timeMs: number): number[] {
  const slide = spec.kind === 'hop' ? spec.slideMs : spec.sizeMs;
  const ends: number[] = [];
  const start = timeMs - ((((timeMs - spec.offsetMs) % slide) + slide) % slide);
  for (let s = start; s > timeMs - spec.sizeMs; s -= slide) ends.push(s + spec.sizeMs);
  return ends;
}

/** What windows must come to: rows of a window that was over when they came do not count. */
function windowed(
  node: AggregateNode,
  rows: readonly { row: Row; watermark: number }[],
  latenessMs: number,
): { results: Map<string, number>; late: number } {
  const spec = node.window as SlicedWindow;
  const all: Row[] = [];
  const heads: TestValue[][] = [];
  let late = 0;
  for (const { row, watermark } of rows) {
    const ends = endsOf(spec, Number(row[6]));
    const open = ends.filter((e) => e - 1 + latenessMs > watermark);
    if (ends.length > 0 && open.length === 0) late++;
    for (const e of open) {
      all.push(row);
      heads.push([BigInt(e - spec.sizeMs), BigInt(e)]);
    }
  }
  let i = 0;
  const groups = grouped(node, all, () => heads[i++] as TestValue[]);
  // `$rowtime` is the last leaf: the window's end − 1.
  const results = new Map<string, number>();
  for (const text of groups.keys()) {
    const e = BigInt((text.split(' | ')[node.keys.length + 1] as string).slice(1));
    results.set(`${text} | i${e - 1n}`, 1);
  }
  return { results, late };
}

test('windows of unbounded input equal a plain aggregation of the rows that were not late, with corrections where lateness is allowed', () => {
  for (let seed = 300; seed < 330; seed++) {
    const random = prng(seed);
    const spec = windows[seed % windows.length] as SlicedWindow;
    const latenessMs = [0, 0, 500][seed % 3] as number;
    const node = nodeOf({ window: spec, time: 6, allowedLatenessMs: latenessMs });
    const size = sizes[random.below(3)] as number;
    const running = runAggregate(node, input, { bounded: false, batchRows: size, seed, moreOf8: random.below(3) });
    const fed: { row: Row; watermark: number }[] = [];
    let watermark = watermarkMin;
    let now = -3000;
    for (let step = 0; step < 30; step++) {
      const rows = Array.from({ length: 1 + random.below(size === 4096 ? 400 : 30) }, () =>
        randomRow(random, 40, now - random.below(random.below(4) === 0 ? 2500 : 600)),
      );
      feed(running, rows, size, random);
      for (const row of rows) fed.push({ row, watermark });
      now += random.below(400);
      if (random.below(2) === 1) {
        watermark = now - 500;
        running.drive((out) => running.operator.onWatermark?.(watermark, out));
      }
    }
    end(running);
    const expected = windowed(node, fed, latenessMs);
    const where = `seed ${seed}, ${JSON.stringify(spec)}, lateness ${latenessMs}, batches of ${size}`;
    expect(running.late(), where).toBe(expected.late);
    expect(running.rows.filter((row) => row.port === 1).length, where).toBe(expected.late);
    expect(materialise(running.rows), where).toEqual(expected.results);
    if (latenessMs === 0)
      expect(
        running.rows.every((row) => row.kind === '+I'),
        where,
      ).toBe(true);
    expect(running.freePages(), `pages left, ${where}`).toBe(running.basePages);
  }
});

test('overlapping windows of many keys are merged part by part and equal a plain aggregation', () => {
  const spec: SlicedWindow = { kind: 'hop', sizeMs: 1000, slideMs: 250, offsetMs: 0 };
  for (let seed = 0; seed < 3; seed++) {
    const random = prng(seed);
    const node = nodeOf({
      keys: [[0, 1], [0], [1]][seed] as number[],
      calls: calls.slice(0, 4),
      window: spec,
      time: 6,
    });
    const running = runAggregate(node, input, {
      bounded: false,
      batchRows: [4096, 500, 4096][seed] as number,
      seed,
      moreOf8: seed,
    });
    const fed: { row: Row; watermark: number }[] = [];
    let watermark = watermarkMin;
    for (let now = 0; now < 1000; now += 125) {
      const rows = Array.from({ length: 2000 }, (): Row => {
        const row = randomRow(random, 20_000, now + random.below(250));
        return [BigInt(random.below(20_000)), `the key of number ${random.below(9000)}`, ...row.slice(2)];
      });
      feed(running, rows, 4096, random);
      for (const row of rows) fed.push({ row, watermark });
      watermark = now - 1;
      running.drive((out) => running.operator.onWatermark?.(watermark, out));
    }
    end(running);
    expect(materialise(running.rows), `seed ${seed}`).toEqual(windowed(node, fed, 0).results);
    expect(running.freePages(), `pages left, seed ${seed}`).toBe(running.basePages);
  }
});

test('on bounded input no row is late, in whatever order they come: event time does not reach it before the end', () => {
  for (let seed = 400; seed < 406; seed++) {
    const random = prng(seed);
    const node = nodeOf({ window: windows[seed % windows.length] as SlicedWindow, time: 6, allowedLatenessMs: 300 });
    const size = sizes[seed % 3] as number;
    const running = runAggregate(node, input, { bounded: true, batchRows: size, seed, moreOf8: seed % 3 });
    const rows = Array.from({ length: size === 4096 ? 5000 : 300 }, () =>
      randomRow(random, 40, random.below(20_000) - 10_000),
    );
    expect(running.operator.holdsToEnd).toBe(true);
    for (let from = 0; from < rows.length; from += 1000) feed(running, rows.slice(from, from + 1000), size, random);
    expect(running.rows).toEqual([]);
    end(running);
    expect(running.late()).toBe(0);
    const expected = windowed(
      node,
      rows.map((row) => ({ row, watermark: watermarkMin })),
      0,
    );
    expect(materialise(running.rows), `seed ${seed}`).toEqual(expected.results);
    expect(running.freePages(), `pages left, seed ${seed}`).toBe(running.basePages);
  }
});

test('windows in two phases come to the same', () => {
  for (let seed = 500; seed < 505; seed++) {
    const random = prng(seed);
    const node = nodeOf({ window: windows[seed % windows.length] as SlicedWindow, time: 6 });
    const rows = Array.from({ length: 20_000 }, (_, i) =>
      randomRow(random, seed === 504 ? 1_000_000 : 40, i - random.below(2000)),
    );
    const final = twoPhase(node, rows, seed, { bounded: seed % 2 === 0, size: 4096, flushEvery: 3 });
    const expected = windowed(
      node,
      rows.map((row) => ({ row, watermark: watermarkMin })),
      0,
    );
    expect(materialise(final.rows), `seed ${seed}`).toEqual(expected.results);
    expect(final.freePages(), `pages left, seed ${seed}`).toBe(final.basePages);
  }
});

// ── snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('a snapshot between batches, restored at another parallelism, goes on to the same answer while the first goes on to its own', () => {
  for (let seed = 600; seed < 612; seed++) {
    const random = prng(seed);
    const spec = seed % 3 === 0 ? null : (windows[seed % windows.length] as SlicedWindow);
    const bounded = seed % 2 === 0;
    const node = nodeOf({ window: spec, time: spec === null ? null : 6, allowedLatenessMs: seed % 4 === 1 ? 400 : 0 });
    const [p, q] = [[1, 2, 3, 5][random.below(4)] as number, [1, 2, 3, 5][random.below(4)] as number];
    const rows = Array.from({ length: 3000 }, (_, i) => randomRow(random, 60, i - random.below(1500)));
    const cut = random.below(rows.length);
    const watermarkAt = bounded ? watermarkMin : cut - 1200;
    const route = routes(node, rows);
    const first: OutRow[] = [];
    const parts: SnapshotPart[] = [];
    for (let subtask = 0; subtask < p; subtask++) {
      const running = runAggregate(node, input, { bounded, keyGroups: keyGroupRange(subtask, p), mb: 48, poolMb: 16 });
      const mine = (from: number, to: number): Row[] =>
        rows.slice(from, to).filter((_, i) => Math.floor(((route[from + i] as number) * p) / 1024) === subtask);
      feed(running, mine(0, Math.floor(cut / 2)), 512, random);
      if (watermarkAt > watermarkMin) running.drive((out) => running.operator.onWatermark?.(watermarkAt, out));
      feed(running, mine(Math.floor(cut / 2), cut), 512, random);
      const snapshot = running.state.snapshot();
      first.push(...running.rows.splice(0));
      // Pages are read while the operator goes on: updates copy, firings drop.
      feed(running, mine(cut, rows.length), 512, random);
      snapshot.read(1);
      end(running);
      while (!snapshot.read(3));
      parts.push(structuredClone(snapshot.part));
      expect(running.freePages() >= running.basePages - (spec === null && !bounded ? 400 : 0)).toBe(true);
    }
    const all = [...first];
    for (let subtask = 0; subtask < q; subtask++) {
      const running = runAggregate(node, input, {
        bounded,
        keyGroups: keyGroupRange(subtask, q),
        restored: parts,
        mb: 48,
        poolMb: 16,
      });
      feed(
        running,
        rows.slice(cut).filter((_, i) => Math.floor(((route[cut + i] as number) * q) / 1024) === subtask),
        512,
        random,
      );
      end(running);
      all.push(...running.rows);
    }
    const fed = rows.map((row, i) => ({ row, watermark: i < Math.floor(cut / 2) ? watermarkMin : watermarkAt }));
    const expected =
      spec === null ? grouped(node, rows) : windowed(node, fed, bounded ? 0 : node.allowedLatenessMs).results;
    expect(materialise(all), `seed ${seed}, ${p} to ${q}, ${JSON.stringify(spec)}`).toEqual(expected);
  }
});

/** The key group of each row's key. */
function routes(node: AggregateNode, rows: readonly Row[]): number[] {
  const running = runAggregate(nodeOf({ calls: [] }), input, { bounded: true, mb: 48 });
  const { memory, kernels } = running.slot;
  const out = memory.arena.allocate(8 * rows.length, 'hashes');
  const of = testBatch(
    memory,
    input,
    input.map((_, c) => rows.map((row) => row[c] as TestValue)),
  );
  node.keys.forEach((key, i) => {
    const { values, validity } = of.columns[key] as { values: number; validity: number };
    const kernel = input[key]?.storage === 'view' ? kernels.hashView : kernels.hashI64;
    kernel(values, validity, 0, rows.length, 42n, i === 0 ? 1 : 0, out);
  });
  return rows.map((_, i) => (memory.u32[(out >>> 2) + 2 * i + 1] as number) >>> 22);
}
