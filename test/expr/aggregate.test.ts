import { describe, expect, test } from 'vitest';
import { type Prng, prng } from '../../core/base/prng.ts';
import { aggregateUpdater, partialLayout } from '../../core/compile/aggregate.ts';
import { bindAggregate } from '../../core/expr/bind.ts';
import type { AggregateCall, AggregateName } from '../../core/expr/tree.ts';
import type { Value } from '../../core/expr/value.ts';
import { writeView } from '../../core/record/text.ts';
import type { DataType } from '../../core/record/types.ts';
import { leaf, testSlot } from './slot.ts';

const layout = [
  leaf('i', { kind: 'INT' }),
  leaf('l', { kind: 'BIGINT' }),
  leaf('d', { kind: 'DOUBLE' }),
  leaf('s', { kind: 'VARCHAR' }),
  leaf('b', { kind: 'BOOLEAN' }),
  leaf('t', { kind: 'TIMESTAMP', precision: 3 }),
  leaf('a', { kind: 'DATE' }),
];
const call = (fn: AggregateName, arg: number | null, filter: number | null = null): AggregateCall => {
  const argType: DataType | null = arg === null ? null : (layout[arg]?.type as DataType);
  return {
    fn,
    arg,
    argType,
    filter,
    ...bindAggregate(fn, argType, { nullable: true, filtered: filter !== null, keyed: true }),
  };
};

function randomValue(kind: DataType['kind'], random: Prng): Value {
  switch (kind) {
    case 'INT':
    case 'DATE':
      return random.u32() | 0;
    case 'BIGINT':
    case 'TIMESTAMP':
      return BigInt(random.u32() | 0) * 1000n;
    case 'DOUBLE':
      return [Number.NaN, -0, 0, random.below(1000) - 500, random.below(100) / 4][random.below(5)] as number;
    case 'BOOLEAN':
      return random.below(2) === 1;
    default:
      return ['', 'a', 'é', 'a somewhat longer text', 'a somewhat longer tex', 'zzzzzzzzzzzz', 'zzzzzzzzzzzzz'][
        random.below(7)
      ] as string;
  }
}

/** NaN above all, −0 below 0: what min and max order doubles by. */
const orderOf = (a: Value, b: Value): number => {
  if (typeof a === 'number' && typeof b === 'number') {
    if (Object.is(a, b)) return 0;
    if (Number.isNaN(a)) return 1;
    if (Number.isNaN(b)) return -1;
    return a - b || (Object.is(a, -0) ? -1 : 1);
  }
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  return (a as bigint) < (b as bigint) ? -1 : a === b ? 0 : 1;
};

function expected(c: AggregateCall, rows: readonly { row: readonly Value[]; sign: number }[]): Value {
  const counted = rows.filter(
    ({ row }) => (c.filter === null || row[c.filter] === true) && (c.arg === null || row[c.arg] !== null),
  );
  const count = counted.reduce((n, r) => n + r.sign, 0);
  if (c.fn === 'count') return BigInt(count);
  if (count === 0) return null;
  const values = counted.map((r) => ({ value: r.row[c.arg as number] as Exclude<Value, null>, sign: r.sign }));
  if (c.fn === 'min' || c.fn === 'max') {
    return values
      .map((v) => v.value)
      .reduce((a, b) => ((c.fn === 'min' ? orderOf(b, a) < 0 : orderOf(b, a) > 0) ? b : a));
  }
  if (c.argType?.kind === 'DOUBLE') {
    const sum = values.reduce((s, v) => s + (v.value as number) * v.sign, 0);
    return c.fn === 'sum' ? sum : sum / count;
  }
  const sum = values.reduce((s, v) => s + BigInt(v.value as number) * BigInt(v.sign), 0n);
  return c.fn === 'sum' ? sum : Number(sum) / count;
}

const everyCall = [
  call('count', null),
  ...[0, 1, 2, 3, 4, 5, 6].flatMap((arg) => [call('count', arg), call('min', arg), call('max', arg)]),
  ...[0, 1, 2].flatMap((arg) => [call('sum', arg), call('avg', arg), call('sum', arg, 4)]),
  call('count', null, 4),
  call('max', 3, 4),
];
const additive = everyCall.filter((c) => c.fn !== 'min' && c.fn !== 'max');

function harness(calls: readonly AggregateCall[], groups: number) {
  const slot = testSlot(32);
  const { memory } = slot;
  const offset = 16;
  const updater = aggregateUpdater(calls, offset, {
    memory,
    kernels: slot.kernels,
    keepText(target, view) {
      const length = memory.u32[view >>> 2] as number;
      const from = length > 12 ? (memory.u32[(view + 12) >>> 2] as number) : view + 4;
      const at = memory.arena.allocate(length, 'kept');
      memory.u8.copyWithin(at, from, from + length);
      writeView(memory, target, at, length);
    },
  });
  const table = () => {
    const size = offset + updater.layout.bytes;
    const base = memory.arena.allocate(size * groups, 'entries');
    return Array.from({ length: groups }, (_, g) => base + g * size);
  };
  const outputs = calls.map((c) => leaf('out', c.type, c.nullable));
  const results = (entries: readonly number[]): Value[][] => {
    const columns = outputs.map((o) => slot.result(o.storage, groups, o.nullable));
    updater.finish(slot.u32s(entries), groups, columns);
    return entries.map((_, g) => outputs.map((o, i) => slot.read(o, columns[i] as (typeof columns)[number], g)));
  };
  return { slot, updater, table, results };
}

function randomRows(random: Prng, n: number, nulls: number): Value[][] {
  return Array.from({ length: n }, () =>
    layout.map((c) => (random.next() < nulls ? null : randomValue(c.type.kind, random))),
  );
}

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  for (const dictionaries of [false, true]) {
    for (const nulls of [0, 0.4]) {
      test(`updates, partials and merges agree with a plain loop (nulls ${nulls}, dictionaries ${dictionaries})`, () => {
        const random = prng(seed);
        const groups = 5;
        const { slot, updater, table, results } = harness(everyCall, groups);
        const [direct, merged, viaEntries, viaRows] = [table(), table(), table(), table()];
        const seen: { row: Value[]; sign: number }[][] = Array.from({ length: groups }, () => []);
        const partials = partialLayout(everyCall);
        for (let turn = 0; turn < 4; turn++) {
          const rows = randomRows(random, 57, nulls);
          const batch = slot.batch(layout, rows, { dictionaries });
          const chosen =
            turn % 2 === 0 ? rows.map((_, i) => i) : rows.map((_, i) => i).filter(() => random.below(2) === 1);
          const list = turn % 2 === 0 ? 0 : slot.u32s(chosen);
          const group = chosen.map(() => random.below(groups - 1));
          for (const [k, r] of chosen.entries()) seen[group[k] as number]?.push({ row: rows[r] as Value[], sign: 1 });
          const entriesOf = (entries: readonly number[]) => slot.u32s(group.map((g) => entries[g] as number));
          updater.update(batch, list, chosen.length, entriesOf(direct));
          // One table per turn, exported and merged, then merged entry by entry.
          const partial = table();
          updater.update(batch, list, chosen.length, entriesOf(partial));
          const columns = partials.map((p) => slot.result(p.storage, groups, p.nullable));
          updater.exportPartial(slot.u32s(partial), groups, columns);
          updater.mergePartials(
            { ...batch, layout: partials, rowCount: groups, size: groups, columns },
            0,
            0,
            groups,
            slot.u32s(merged),
          );
          updater.mergeEntries(slot.u32s(partial), slot.u32s(viaEntries), groups);
          const single = partials.map((p) => slot.result(p.storage, chosen.length, p.nullable));
          updater.partialFromRows(batch, list, chosen.length, single);
          updater.mergePartials(
            { ...batch, layout: partials, rowCount: chosen.length, columns: single },
            0,
            0,
            chosen.length,
            entriesOf(viaRows),
          );
        }
        const want = seen.map((rows) => everyCall.map((c) => expected(c, rows)));
        expect(results(direct)).toEqual(want);
        expect(results(merged)).toEqual(want);
        expect(results(viaEntries)).toEqual(want);
        expect(results(viaRows)).toEqual(want);
      });
    }
  }
  test('rows of kind -U and -D are taken away', () => {
    const random = prng(seed);
    const { slot, updater, table, results } = harness(additive, 2);
    const entries = table();
    const rows = randomRows(random, 100, 0.2).map((r) => r.map((v) => (Number.isNaN(v) ? 1 : v)));
    const kinds = rows.map(() => random.below(4));
    const batch = slot.batch(layout, rows, { kinds });
    updater.update(batch, 0, 100, slot.u32s(rows.map(() => entries[0] as number)));
    const want = additive.map((c) =>
      expected(
        c,
        rows.map((row, i) => ({ row, sign: (kinds[i] as number) % 2 === 1 ? -1 : 1 })),
      ),
    );
    expect(results(entries)[0]).toEqual(want);
  });
});

test.each([1, 2, 3])(
  'a batch that goes to one entry whole is summed beside it, with the same result (seed %i)',
  (seed) => {
    const random = prng(seed);
    const fixedWidth = everyCall.filter((c) => c.argType?.kind !== 'VARCHAR');
    const neverNull = fixedWidth.map((c) => ({ ...c, argNullable: false }));
    for (const nulls of [0, 0.3]) {
      const calls = nulls === 0 ? neverNull : fixedWidth;
      const { slot, updater, table, results } = harness(calls, 1);
      const entries = table();
      const seen: { row: Value[]; sign: number }[] = [];
      for (const n of [64, 67, 201]) {
        const rows = randomRows(random, n, nulls);
        const batch = slot.batch(layout, rows);
        const chosen = rows.map((_, i) => i).filter(() => n !== 201 || random.below(3) > 0);
        const list = n === 201 ? slot.u32s(chosen) : 0;
        updater.update(batch, list, chosen.length, slot.u32s(chosen.map(() => entries[0] as number)));
        for (const r of chosen) seen.push({ row: rows[r] as Value[], sign: 1 });
      }
      expect(results(entries)[0]).toEqual(calls.map((c) => expected(c, seen)));
    }
  },
);

test('one entry takes text and retractions, too', () => {
  const random = prng(9);
  const { slot, updater, table, results } = harness([call('max', 3), call('count', null)], 1);
  const [entry] = table() as [number];
  const rows = randomRows(random, 600, 0.2);
  updater.updateOne(slot.batch(layout, rows), 0, 600, entry);
  expect(results([entry])).toEqual([
    [
      expected(
        call('max', 3),
        rows.map((row) => ({ row, sign: 1 })),
      ),
      600n,
    ],
  ]);
  const additiveOnly = harness([call('count', null)], 1);
  const [other] = additiveOnly.table() as [number];
  additiveOnly.updater.updateOne(additiveOnly.slot.batch(layout, rows.slice(0, 3), { kinds: [0, 2, 3] }), 0, 3, other);
  expect(additiveOnly.results([other])).toEqual([[1n]]);
});

test('fields are shared between calls, and zeros are a fresh accumulator', () => {
  const { updater, table, results } = harness([call('avg', 0), call('sum', 0), call('count', 0), call('max', 3)], 1);
  expect(updater.layout.bytes).toBe(8 + 8 + 8 + 24);
  expect(results(table())).toEqual([[null, null, 0n, null]]);
});

test('a sum outside BIGINT is an error, not a wrong number', () => {
  const { slot, updater, table } = harness([call('sum', 1)], 1);
  const entries = table();
  const batch = slot.batch(layout, [
    [0, 2n ** 63n - 1n, 0, '', true, 0n, 0],
    [0, 1n, 0, '', true, 0n, 0],
  ]);
  expect(() => updater.update(batch, 0, 2, slot.u32s([entries[0] as number, entries[0] as number]))).toThrow(
    /outside BIGINT/,
  );
  const many = slot.batch(
    layout,
    Array.from({ length: 100 }, () => [0, 2n ** 60n, 0, '', true, 0n, 0]),
  );
  const fresh = table()[0] as number;
  expect(() => updater.update(many, 0, 100, slot.u32s(Array.from({ length: 100 }, () => fresh)))).toThrow(
    /outside BIGINT/,
  );
});

test('MIN and MAX refuse a retraction', () => {
  const { slot, updater, table } = harness([call('min', 0)], 1);
  const batch = slot.batch(layout, [[1, 1n, 0, '', true, 0n, 0]], { kinds: [3] });
  expect(() => updater.update(batch, 0, 1, slot.u32s(table()))).toThrow(
    expect.objectContaining({ code: 'plan/changelog' }),
  );
});
