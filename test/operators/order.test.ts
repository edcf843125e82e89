/** Sort, limits, watermarks and top n: what random cases do not reach, and the exact changes of an updating result. */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { keyGroupOf, keyGroupRange, slotOfKeyGroup } from '../../core/base/key-groups.ts';
import { topNRowsMax } from '../../core/base/limits.ts';
import { prng } from '../../core/base/prng.ts';
import { type Operator, type Output, Progress } from '../../core/operators/operator.ts';
import type { BlockPool } from '../../core/ports/blocks.ts';
import { type Batch, rowKindNames } from '../../core/record/batch.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import { blocksOver } from '../../engine/blocks.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { readRows, type TestValue, testBatch } from '../support/columns.ts';
import { ranked } from '../support/operator-cases.ts';
import {
  type Arrival,
  type OperatorSetup,
  operatorContext,
  type Regime,
  runOperator,
  type TestRow,
} from '../support/operator-harness.ts';
import { createOperator } from '../support/operators.ts';
import { testSlot } from '../support/slot.ts';

const key: LayoutColumn = { name: 'key', type: { kind: 'VARCHAR' }, nullable: true, storage: 'view' };
const score: LayoutColumn = { name: 'score', type: { kind: 'BIGINT' }, nullable: true, storage: 'i64' };
const rank: LayoutColumn = { name: 'rank', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' };
const layout: Layout = [key, score];
const plain: Regime = { batchRows: 4096, fullChance: 0, dictionary: false, selection: false, restoreChance: 0 };
const byScore = [{ column: 1, descending: true }];

const arrivalsOf = (rows: readonly TestRow[]): Arrival[] => rows.map((row) => ({ kind: 'row', row }));

function errorOf(work: () => unknown): MillraceError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('nothing was thrown');
}

/** One operator by itself, for tests that look at its memory or go on from its snapshot. */
function operatorOf(
  setup: OperatorSetup,
  options: { bytes?: number; subtask?: number; parallelism?: number; parts?: SnapshotPart[] } = {},
) {
  const bytes = options.bytes ?? 64 * 1024 * 1024;
  const { memory, kernels, poolFrom, poolTo } = testSlot({ bytes, poolBytes: bytes / 2 });
  const pool = pagePool(memory, poolFrom, poolTo);
  const { subtask = 0, parallelism = 1, parts = [] } = options;
  const state = slotState({ memory, kernels, pool, hashSeed: 42n }).operator(
    'o',
    keyGroupRange(subtask, parallelism),
    parts,
  );
  const pages = blocksOver(pool);
  const taken = { bytes: 0 };
  const blocks: BlockPool = {
    take(size) {
      taken.bytes += size;
      return pages.take(size);
    },
    give(address, size) {
      taken.bytes -= size;
      pages.give(address, size);
    },
  };
  const own = { memory, kernels, state, blocks, batchRows: 256, subtask, parallelism };
  const operator = createOperator(setup.node, operatorContext(setup, own));
  const out: { row: TestRow; rowKind: number }[] = [];
  const output: Output = {
    emit(batch) {
      readRows(memory, batch).forEach((row, k) => {
        out.push({ row, rowKind: batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + k] as number) });
      });
      return Progress.done;
    },
  };
  const drive = (call: (operator: Operator) => Progress | undefined): void => {
    let progress = call(operator);
    while (progress === Progress.more) progress = operator.resume?.(output);
  };
  const push = (batch: Batch): void => drive((o) => o.onBatch(batch, 0, output));
  return { memory, pool, taken, state, out, output, drive, push };
}

describe('sort', () => {
  const setup: OperatorSetup = {
    node: { kind: 'sort', phase: 'single', by: byScore, limit: null },
    input: layout,
    outputs: [layout],
    bounded: true,
  };

  test('of more rows than are sorted at once merges its runs, and keeps equal rows in order of arrival', () => {
    const random = prng(21);
    const rows = Array.from({ length: 150_000 }, (_, k): TestRow => [`${k}`, BigInt(random.below(50_000))]);
    const { out } = runOperator(setup, arrivalsOf(rows), { ...plain, bytes: 128 * 1024 * 1024 }, random);
    const expected = rows.toSorted((a, b) => Number((b[1] as bigint) - (a[1] as bigint)));
    expect(out.length).toBe(rows.length);
    const wrong = out.findIndex((departure, k) => departure.kind !== 'row' || departure.row[0] !== expected[k]?.[0]);
    expect(wrong).toBe(-1);
  });

  test('gives its room back when its rows have left', () => {
    const { memory, taken, drive, push, out, output } = operatorOf(setup);
    const rows = Array.from({ length: 256 }, (_, k) => `a string of more than twelve bytes ${k}`);
    const batch = testBatch(memory, layout, [rows, rows.map((_, k) => BigInt((k * 7919) % 257))]);
    for (let k = 0; k < 100; k++) push(batch);
    expect(taken.bytes).toBeGreaterThan(25_600 * 50);
    drive((operator) => operator.onEnd?.(output));
    expect(out).toHaveLength(25_600);
    expect(taken.bytes).toBe(0);
  });

  test('without room for its rows names itself and says what to do', () => {
    const error = errorOf(() => {
      const { memory, push } = operatorOf(setup, { bytes: 4 * 1024 * 1024 });
      const rows = Array.from({ length: 256 }, () => 'x'.repeat(100));
      const batch = testBatch(memory, layout, [rows, rows.map((_, k) => BigInt(k))]);
      for (let k = 0; k < 1000; k++) push(batch);
    });
    expect(error.code).toBe('memory/exhausted');
    expect(error.where.operator).toBe('operator');
    expect(error.message).toMatch(/keeps \d+ rows .*raise 'memory'/);
  });

  test('with a limit keeps about as many rows as it gives', () => {
    const first: OperatorSetup = { ...setup, node: { kind: 'sort', phase: 'partial', by: byScore, limit: 10 } };
    // 400,000 rows of 130 bytes would be 52 MB.
    const { memory, push, drive, out, output } = operatorOf(first, { bytes: 16 * 1024 * 1024 });
    const random = prng(4);
    const rows = Array.from({ length: 256 }, (_, k) => `${k}`.padEnd(100, 'x'));
    let best: bigint[] = [];
    let reused: Batch | null = null;
    for (let k = 0; k < 1600; k++) {
      const scores = rows.map(() => BigInt(random.u32()));
      best = [...best, ...scores].toSorted((a, b) => Number(b - a)).slice(0, 10);
      const used = memory.arena.usedBytes;
      if (k < 16) push(testBatch(memory, layout, [rows, scores]));
      else {
        // One batch's memory is used again: the operator has copied what it keeps.
        reused ??= testBatch(memory, layout, [rows, scores]);
        memory.i64.set(scores, (reused.columns[1]?.values as number) >>> 3);
        push(reused);
      }
      if (k > 20) expect(memory.arena.usedBytes).toBe(used);
    }
    drive((operator) => operator.onEnd?.(output));
    expect(out.map(({ row }) => row[1])).toEqual(best);
  });
});

describe('event time', () => {
  test('that is NULL names the row', () => {
    const at: LayoutColumn = { ...rowtimeColumn, nullable: true };
    const setup: OperatorSetup = {
      node: { kind: 'watermark', watermark: { column: 1, outOfOrdernessMs: 0, idleAfterMs: null } },
      input: [key, at],
      outputs: [[key, at]],
      bounded: false,
    };
    const rows: TestRow[] = [...Array.from({ length: 12 }, (): TestRow => ['a', 5n]), ['b', null]];
    const error = errorOf(() => runOperator(setup, arrivalsOf(rows), plain, prng(1)));
    expect(error.code).toBe('time/bad-event-time');
    expect(error.where).toEqual({ operator: 'operator', position: 'test, row 12' });
  });
});

describe('top n of unbounded input', () => {
  const setupOf = (
    using: 'ROW_NUMBER' | 'RANK' | 'DENSE_RANK',
    withRank: boolean,
    partitionBy: number[] = [],
  ): OperatorSetup => ({
    node: { kind: 'topN', phase: 'single', partitionBy, by: byScore, n: 2, using, rank: withRank },
    input: layout,
    outputs: [withRank ? [...layout, rank] : layout],
    bounded: false,
  });
  const changesOf = (setup: OperatorSetup, rows: readonly [string, number | null][]): string[] => {
    const arrivals = arrivalsOf(rows.map(([k, v]) => [k, v === null ? null : BigInt(v)]));
    return [1, 7, 4096]
      .map((batchRows) => {
        const { out } = runOperator(setup, arrivals, { ...plain, batchRows, fullChance: 0.5 }, prng(batchRows));
        return out.map((c) => (c.kind === 'row' ? `${rowKindNames[c.rowKind]} ${c.row.join(' ')}` : ''));
      })
      .reduce((a, b) => {
        expect(b).toEqual(a);
        return a;
      });
  };

  test('with ranks updates each rank from the new row on', () => {
    expect(
      changesOf(setupOf('ROW_NUMBER', true), [
        ['a', 5],
        ['b', 9],
        ['c', 7],
        ['d', 1],
        ['e', 9],
      ]),
    ).toEqual(['+I a 5 1', '-U a 5 1', '+U b 9 1', '+I a 5 2', '-U a 5 2', '+U c 7 2', '-U c 7 2', '+U e 9 2']);
  });

  test('without ranks deletes the row that falls out and inserts the new one', () => {
    expect(
      changesOf(setupOf('ROW_NUMBER', false), [
        ['a', 5],
        ['b', 9],
        ['c', 7],
        ['d', 1],
        ['e', null],
      ]),
    ).toEqual(['+I a 5', '+I b 9', '-D a 5', '+I c 7']);
  });

  test('by RANK keeps ties, and lets all of them fall out at once', () => {
    expect(
      changesOf(setupOf('RANK', true), [
        ['a', 5],
        ['b', 5],
        ['c', 7],
        ['d', 7],
      ]),
    ).toEqual([
      '+I a 5 1',
      '+I b 5 1',
      '-U a 5 1',
      '-U b 5 1',
      '+I c 7 1',
      '+U a 5 2',
      '+U b 5 2',
      '-D a 5 2',
      '-D b 5 2',
      '+I d 7 1',
    ]);
  });

  test('by DENSE_RANK moves nothing for a tie', () => {
    expect(
      changesOf(setupOf('DENSE_RANK', true), [
        ['a', 5],
        ['b', 7],
        ['c', 5],
        ['d', 7],
        ['e', 9],
      ]),
    ).toEqual([
      '+I a 5 1',
      '-U a 5 1',
      '+I b 7 1',
      '+U a 5 2',
      '+I c 5 2',
      '+I d 7 1',
      '-U b 7 1',
      '-U d 7 1',
      '-D a 5 2',
      '-D c 5 2',
      '+I e 9 1',
      '+U b 7 2',
      '+U d 7 2',
    ]);
  });

  test('in part passes on what comes among the first, and takes nothing back', () => {
    const { node, ...rest } = setupOf('ROW_NUMBER', false);
    const partial: OperatorSetup = { ...rest, node: { ...node, phase: 'partial' } as typeof node };
    expect(
      changesOf(partial, [
        ['a', 5],
        ['b', 9],
        ['c', 7],
        ['d', 1],
        ['e', 5],
      ]),
    ).toEqual(['+I a 5', '+I b 9', '+I c 7']);
  });

  test('refuses rows that take others away', () => {
    const arrivals: Arrival[] = [{ kind: 'row', row: ['a', 1n], rowKind: 1 }];
    const error = errorOf(() => runOperator(setupOf('ROW_NUMBER', true), arrivals, plain, prng(1)));
    expect(error.code).toBe('plan/changelog');
  });

  test('keeps the rows of its result, however many have come', () => {
    const { memory, pool, push, out } = operatorOf(setupOf('ROW_NUMBER', false), { bytes: 16 * 1024 * 1024 });
    const texts = Array.from({ length: 256 }, (_, k) => `${k}`.padEnd(100, 'x'));
    const batch = testBatch(memory, layout, [texts, texts.map(() => 0n)]);
    let next = 0n;
    for (let k = 0; k < 400; k++) {
      // Each row is a new best one.
      for (let i = 0; i < 256; i++) memory.i64[((batch.columns[1]?.values as number) >>> 3) + i] = next++;
      push(batch);
      out.length = 0;
    }
    // 100,000 rows of 130 bytes would be 13 MB, and the pool has 8.
    expect(pool.free).toBeGreaterThan(pool.total / 8);
    push(testBatch(memory, layout, [['the best'], [next]]));
    expect(out.map(({ row, rowKind }) => [rowKind, row[1]])).toEqual([
      [3, next - 2n],
      [0, next],
    ]);
  });

  test('states how many rows it keeps at most', () => {
    expect(topNRowsMax).toBe(1_000_000);
    const setup: OperatorSetup = {
      ...setupOf('ROW_NUMBER', false),
      node: {
        kind: 'topN',
        phase: 'single',
        partitionBy: [],
        by: byScore,
        n: topNRowsMax + 1,
        using: 'ROW_NUMBER',
        rank: false,
      },
    };
    const { memory, push, out } = operatorOf(setup, { bytes: 512 * 1024 * 1024 });
    const batch = testBatch(memory, layout, [Array(4096).fill('a'), Array(4096).fill(0n)]);
    const error = errorOf(() => {
      for (let k = 0; k <= topNRowsMax / 4096; k++) {
        push(batch);
        out.length = 0;
      }
    });
    expect(error.code).toBe('memory/exhausted');
    expect(error.message).toContain('1000000 rows');
  });

  test.each([1, 2, 3, 4])(
    'goes on from a snapshot at any parallelism, each partition with its key (seed %i)',
    (seed) => {
      const random = prng(seed);
      const setup: OperatorSetup = {
        ...setupOf('ROW_NUMBER', true, [0]),
        node: { kind: 'topN', phase: 'single', partitionBy: [0], by: byScore, n: 3, using: 'ROW_NUMBER', rank: true },
      };
      const rows = Array.from({ length: 3000 }, (): TestRow => {
        const name = random.below(30);
        return [
          name === 0 ? null : `key ${name} ${'x'.repeat(name)}`,
          random.below(9) === 0 ? null : BigInt(random.below(1000)),
        ];
      });
      const held = new Map<string, number>();
      let parts: SnapshotPart[] = [];
      const stages = [1 + random.below(3), 1 + random.below(5), 1 + random.below(3)];
      stages.forEach((parallelism, stage) => {
        const subtasks = Array.from({ length: parallelism }, (_, subtask) =>
          operatorOf(setup, { subtask, parallelism, parts }),
        );
        for (const row of rows.slice(stage * 1000, stage * 1000 + 1000)) {
          subtasks[slotOfKeyGroup(groupOf(row[0] as TestValue), parallelism)]!.push(
            testBatch(
              subtasks[slotOfKeyGroup(groupOf(row[0] as TestValue), parallelism)]!.memory,
              layout,
              row.map((value) => [value]),
            ),
          );
        }
        parts = subtasks.map(({ state, out }) => {
          for (const { row, rowKind } of out)
            held.set(String(row), (held.get(String(row)) ?? 0) + (rowKind % 2 === 0 ? 1 : -1));
          const snapshot = state.snapshot();
          while (!snapshot.read(100));
          return structuredClone(snapshot.part);
        });
      });
      const got = [...held].flatMap(([text, count]) => Array<string>(count).fill(text));
      const expected = ranked(rows, [0], byScore, 3, 'ROW_NUMBER').map((entry) =>
        String([...entry.row, BigInt(entry.rank)]),
      );
      expect(got.toSorted()).toEqual(expected.toSorted());
    },
  );
});

/** The key group that an exchange would find. */
function groupOf(value: TestValue): number {
  const { memory, kernels } = hashing;
  const column = testBatch(memory, [key], [[value]]).columns[0]!;
  kernels.hashView(column.values, column.validity, 0, 1, 42n, 1, hashAt);
  return keyGroupOf(memory.i64[hashAt >>> 3] as bigint);
}
const hashing = testSlot({ bytes: 64 * 1024 * 1024 });
const hashAt = hashing.memory.arena.allocate(8, 'a hash');
