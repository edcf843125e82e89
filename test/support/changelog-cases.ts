/**
 * Random cases of what makes changes of rows and rows of changes: upserts that are normalized by a key, and changes as rows.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import { rowKindNames } from '../../core/record/batch.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { TestValue } from './columns.ts';
import { isShort, type OperatorCase, randomLayout, randomRows, rowsOf, textOf, zeroText } from './operator-cases.ts';
import type { Arrival, TestRow } from './operator-harness.ts';

export const changelogCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  'from a changelog': fromChangelogCase,
  'to a changelog': toChangelogCase,
};

const kindColumn: Layout[number] = { name: 'row_kind', type: { kind: 'VARCHAR' }, storage: 'view', nullable: false };

/** Rows come and go in any order, known or not, with and without what was before. */
function fromChangelogCase(random: Prng): OperatorCase {
  const layout = randomLayout(random, 1 + random.below(5));
  const keys = layout.map((_, leaf) => leaf).filter((leaf) => leaf === 0 || random.below(3) === 0);
  const bounded = random.below(3) === 0;
  const quiet = random.below(3) === 0;
  const keyOf = (row: TestRow): string => zeroText(keys.map((leaf) => row[leaf] as TestValue));
  const standing = new Map<string, TestRow>();
  const before: TestRow[] = [];
  let unknown = 0;
  const arrivals = randomRows(random, layout)
    .filter(isShort)
    .map((fresh): Arrival => {
      // Now and then a row that has been there: its key again, or all of it.
      const old = before.length > 0 && random.below(2) === 0 ? before[random.below(before.length)]! : null;
      const row =
        old === null
          ? fresh
          : fresh.map((value, leaf) => (keys.includes(leaf) || random.below(3) === 0 ? old[leaf]! : value));
      before.push(row);
      const kind = ['+I', '+U', '+U', '-D', '-U'][random.below(5)] as string;
      if (kind.startsWith('+')) standing.set(keyOf(row), row);
      else if (!standing.delete(keyOf(row))) unknown++;
      return { kind: 'row', row: [...row, kind] };
    });
  const expected = [...standing.values()].map(zeroText).toSorted();
  return {
    name: 'from a changelog',
    setup: {
      node: { kind: 'fromChangelog', keys, ...(quiet ? { withoutBefore: true } : {}) },
      input: [...layout, kindColumn],
      outputs: [layout],
      bounded,
    },
    arrivals,
    check({ out, skipped }) {
      const held = new Map<string, string>();
      for (const { row, rowKind } of rowsOf(out)) {
        const [key, text] = [keyOf(row), zeroText(row)];
        const now = held.get(key);
        assert(!quiet || rowKind !== 1);
        if (rowKind === 1 || rowKind === 3) {
          assert.equal(text, now, 'what is taken away is what was there');
          if (rowKind === 3) held.delete(key);
          else held.set(key, `before ${textOf(row)}`);
          continue;
        }
        if (quiet) assert.equal(rowKind === 2, now !== undefined);
        else if (rowKind === 2) {
          assert(now?.startsWith('before '), '+U stands behind −U');
          assert.notEqual(now, `before ${textOf(row)}`, 'a row that is what it was is no change');
        } else assert.equal(now, undefined, '+I where nothing was');
        held.set(key, text);
      }
      assert.deepEqual([...held.values()].toSorted(), expected);
      assert.equal(skipped, unknown, 'rows that take away what is not there');
      if (bounded) assert(rowsOf(out).every(({ rowKind }) => rowKind === 0));
    },
  };
}

function toChangelogCase(random: Prng): OperatorCase {
  const layout = randomLayout(random);
  const changes = random.below(3) > 0;
  const arrivals = randomRows(random, layout).map((row): Arrival & { kind: 'row' } => ({
    kind: 'row',
    row,
    rowKind: changes ? random.below(4) : 0,
  }));
  return {
    name: 'to a changelog',
    setup: {
      node: { kind: 'toChangelog' },
      input: layout,
      outputs: [[...layout, kindColumn]],
      bounded: random.below(2) === 0,
    },
    arrivals,
    check({ out }) {
      const expected = arrivals.map(({ row, rowKind }) => textOf([...row, rowKindNames[rowKind ?? 0]!]));
      assert.deepEqual(
        rowsOf(out).map(({ row }) => textOf(row)),
        expected,
      );
      assert(rowsOf(out).every(({ rowKind }) => rowKind === 0));
    },
  };
}
