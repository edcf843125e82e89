import * as arrow from 'apache-arrow';
import { expect, test } from 'vitest';
import { arrowBoundary } from '../../connectors/arrow/boundary.ts';
import { arrowSink } from '../../connectors/arrow/sink.ts';
import { prng } from '../../core/base/prng.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, writerContext } from './sink-support.ts';
import { rowsOf, specOf } from './support.ts';

const fields: Fields = [
  { name: 'flag', type: { kind: 'BOOLEAN' }, nullable: true },
  { name: 'small', type: { kind: 'INT' }, nullable: true },
  { name: 'big', type: { kind: 'BIGINT', asBigInt: true }, nullable: true },
  { name: 'x', type: { kind: 'DOUBLE' }, nullable: true },
  { name: 'text', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'day', type: { kind: 'DATE' }, nullable: true },
  { name: 'at', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true },
  {
    name: 'window',
    type: {
      kind: 'ROW',
      fields: [
        { name: 'start', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: false },
        { name: 'note', type: { kind: 'VARCHAR' }, nullable: true },
      ],
    },
    nullable: true,
  },
];
const seed = 77;
const random = prng(seed);
const maybe = <T>(value: T): T | null => (random.below(4) === 0 ? null : value);
const rows = Array.from({ length: 500 }, (_, i) => ({
  flag: maybe(i % 3 === 0),
  small: maybe(i - 250),
  big: maybe(2n ** 62n + BigInt(i)),
  x: maybe(i / 7),
  text: maybe(['', 'short', 'a text of more than twelve bytes', 'ü'.repeat(40)][i % 4]),
  day: maybe(new Date((i - 100) * 86_400_000)),
  at: maybe(new Date(1e12 + i)),
  window: maybe({ start: new Date(i * 1000), note: maybe(`note ${i}`) }),
}));

/** What apache-arrow itself shows of a batch. */
const shown = (batch: arrow.RecordBatch) =>
  Array.from({ length: batch.numRows }, (_, k) => {
    const row = batch.get(k)!.toJSON() as Record<string, unknown>;
    const window = row.window as { toJSON(): { start: number; note: string | null } } | null;
    return { ...row, window: window ? { ...window.toJSON() } : null };
  });
const wanted = (row: (typeof rows)[number]) => ({
  ...row,
  day: row.day?.getTime() ?? null,
  at: row.at?.getTime() ?? null,
  window: row.window ? { start: row.window.start.getTime(), note: row.window.note } : null,
});
const plain = (shownRows: readonly Record<string, unknown>[]) =>
  shownRows.map((row) => ({ ...row, day: row.day instanceof Date ? row.day.getTime() : row.day }));

for (const batchRows of [1, 7, 4096]) {
  test(`rows leave as Arrow and come back as they were, selections applied: batches of ${batchRows}`, () => {
    const slot = testSlot({ bytes: 64 * 1024 * 1024 });
    const back = testSlot();
    let dictionaries = 0;
    const boundary = arrowBoundary(back.kernels, () => ++dictionaries);
    const importer = boundary.fromArrow(fields, layoutOf(fields), back.memory, batchRows);
    const select = (i: number) => i % 5 !== 2;
    let seen = 0;
    for (const options of [{ batchRows }, { batchRows, select }]) {
      const kept = rows.filter((_, i) => !('select' in options) || select(i));
      let at = 0;
      for (const batch of batchesOf(slot, fields, rows, options)) {
        const out = boundary.toArrow(batch, fields, slot.memory) as arrow.RecordBatch;
        expect(plain(shown(out)), `seed ${seed}`).toEqual(kept.slice(at, at + batch.size).map(wanted));
        importer.begin(out);
        const again: unknown[][] = [];
        for (let next = importer.next(); next; next = importer.next()) again.push(...rowsOf(next, back.memory));
        expect(again).toEqual(rowsOf(batch, slot.memory));
        at += batch.size;
        seen += batch.size;
      }
    }
    expect(seen).toBe(500 + 400);
  });
}

test('what a function returns is checked against what it declared', () => {
  const slot = testSlot();
  const wants: Fields = [{ name: 'n', type: { kind: 'INT' }, nullable: false }];
  const importer = arrowBoundary(slot.kernels, () => 1).fromArrow(wants, layoutOf(wants), slot.memory, 16);
  const mismatch = (from: unknown, message: RegExp): void => {
    expect(() => {
      importer.begin(from);
      importer.next();
    }).toThrow(expect.objectContaining({ code: 'schema/mismatch', message: expect.stringMatching(message) }));
  };
  mismatch(arrow.tableFromArrays({ m: [1] }), /no column 'n'; it has m/);
  mismatch(
    new arrow.Table({ n: arrow.vectorFromArray(['x'], new arrow.Utf8()) }),
    /'n': Arrow's utf8 cannot be read as INT/,
  );
  mismatch(new arrow.Table({ n: arrow.vectorFromArray([1.5], new arrow.Float64()) }), /1.5 is no INT/);
  mismatch(new arrow.Table({ n: arrow.vectorFromArray([null, 1], new arrow.Int32()) }), /'n' is NULL/);
  mismatch([1, 2], /got a number/);
});

test('the Arrow sink calls its function with whole batches, and a promise holds back the next', async () => {
  const slot = testSlot();
  const got: number[] = [];
  let release = (): void => {};
  let wakes = 0;
  const receive = (batch: arrow.RecordBatch) => {
    got.push(batch.numRows);
    return got.length === 2 ? new Promise<void>((resolve) => (release = resolve)) : undefined;
  };
  const context = writerContext(slot, fields, { resources: { f: receive }, wake: () => wakes++ });
  const writer = arrowSink.writer(specOf('arrow', { resource: 'f' }), fields, context);
  const [batch] = batchesOf(slot, fields, rows, { batchRows: 100 });
  expect(writer.write(batch)).toBe(true);
  const second = { ...batch };
  expect(writer.write(second)).toBe(false);
  expect(writer.write(second)).toBe(false);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  expect(wakes).toBe(1);
  expect(writer.write(second)).toBe(true);
  expect(got).toEqual([100, 100]);
  expect(() => arrowSink.describe(specOf('arrow', {}), fields, true)).toThrow(/corrected later/);
});
