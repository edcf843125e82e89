/** JavaScript per row: what a function may return, what its errors say, and that no iterable is too long. */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import { deadLetterFields } from '../../core/plan/dead-letters.ts';
import type { ArrowBoundary } from '../../core/ports/arrow.ts';
import { type Batch, batch } from '../../core/record/batch.ts';
import { type Layout, layoutOf, rowtimeColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { eachBatchOf, type RowValues, rowValues } from '../../core/record/row-values.ts';
import type { Fields } from '../../core/record/types.ts';
import { type Arrival, type OperatorSetup, type Regime, regimes, runOperator } from '../support/operator-harness.ts';

const fields: Fields = [
  { name: 'n', type: { kind: 'BIGINT' }, nullable: false },
  { name: 's', type: { kind: 'VARCHAR' }, nullable: true },
];
const layout = layoutOf(fields);
const plain: Regime = { batchRows: 64, fullChance: 0, dictionary: false, selection: false, restoreChance: 0 };
const rows = (n: number): Arrival[] => {
  return Array.from({ length: n }, (_, k) => ({ kind: 'row', row: [BigInt(k), k % 2 === 0 ? null : `s${k}`] }));
};

function setupOf(
  style: 'map' | 'flatMap' | 'mapBatch',
  f: UserFunction,
  more: Partial<OperatorSetup> = {},
): OperatorSetup {
  return {
    node: { kind: 'map', style, functionId: 'f', input: fields, output: fields, rowtime: null },
    input: layout,
    outputs: [layout],
    bounded: false,
    functions: { f },
    ...more,
  };
}

function errorOf(style: 'map' | 'flatMap', f: UserFunction, regime: Partial<Regime> = {}): MillraceError {
  try {
    runOperator(setupOf(style, f), rows(100), { ...plain, ...regime }, prng(1));
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('nothing was thrown');
}

describe('a function that fails', () => {
  test('is named with its operator, the position of the row and the values of the row', () => {
    const cause = new TypeError('no such thing');
    const error = errorOf('map', (row) => {
      if (row.n === 71) throw cause;
      return { ...row };
    });
    expect(error.code).toBe('function/threw');
    expect(error.where).toEqual({ operator: 'operator', position: 'test, row 71' });
    expect(error.message).toContain('TypeError: no such thing');
    expect(error.message).toContain('{ n: 71, s: "s71" }');
    expect(error.cause).toBe(cause);
  });

  test('in the middle of a generator is named the same way, and the generator is closed', () => {
    let closed = 0;
    const error = errorOf('flatMap', function* (row) {
      try {
        yield { ...row };
        if (row.n === 3) throw new Error('after one row');
      } finally {
        closed++;
      }
    });
    expect(error.where.position).toBe('test, row 3');
    expect(error.message).toContain('the flatMap function threw Error: after one row');
    expect(closed).toBe(4);
  });

  test('shows long values shortened, and things that are no Error', () => {
    const error = errorOf('map', () => {
      throw `${'x'.repeat(10_000)}`;
    });
    expect(error.message.length).toBeLessThan(500);
  });

  test('reads a kept row: in test mode that throws', () => {
    const kept: { n?: number }[] = [];
    const failures = [1, 2, 3, 4, 5, 6].map((seed) => {
      try {
        const f: UserFunction = (row) => {
          kept.push(row);
          return { n: kept[0]?.n, s: null };
        };
        kept.length = 0;
        runOperator(setupOf('map', f), rows(10), plain, prng(seed));
        return null;
      } catch (error) {
        return (error as MillraceError).message;
      }
    });
    // The harness turns test mode on by chance.
    expect(failures.some((failure) => failure?.includes('a row was read after its call had ended'))).toBe(true);
    expect(failures.some((failure) => failure === null)).toBe(true);
  });
});

describe('a result', () => {
  test('must be a row of the declared columns', () => {
    const cases: [UserFunction, string][] = [
      [() => undefined, 'expected an object with the columns n, s, got undefined'],
      [() => null, 'got null'],
      [() => ({ s: 'x' }), "column 'n' is missing"],
      [
        () => ({ n: 'one', s: null }),
        `column 'n' (BIGINT) expects a whole number below 2^53, or a bigint of 64 bits, got "one", a string`,
      ],
      [() => ({ n: null, s: null }), "column 'n' (BIGINT) is null, but declared not null"],
      [() => ({ n: 1, S: null }), "column 's' is missing"],
    ];
    for (const [f, message] of cases) {
      const error = errorOf('map', f);
      expect(error.code).toBe('function/bad-result');
      expect(error.message).toContain(message);
      expect(error.where.position).toBe('test, row 0');
    }
  });

  test('that is a promise says to be synchronous, and its rejection is nobody’s', async () => {
    const f: UserFunction = async () => {
      throw new Error('later');
    };
    expect(errorOf('map', f).message).toContain('returned a promise');
    expect(errorOf('flatMap', f).message).toContain('returned a promise');
    await new Promise((resolve) => setImmediate(resolve));
  });

  test('of a flatMap must be an iterable of rows', () => {
    expect(errorOf('flatMap', (row) => ({ ...row })).message).toContain('expects an iterable of rows');
    expect(errorOf('flatMap', () => 'text').message).toContain('got a string');
    expect(errorOf('flatMap', async function* () {}).message).toContain('async iterable');
    expect(errorOf('flatMap', () => ['text']).message).toContain('expected an object');
  });

  test('of a flatMap may be ten million rows: they are taken as room comes, in bounded memory', () => {
    let taken = 0;
    const endless: UserFunction = function* (row) {
      if (row.n !== 7) return;
      for (let i = 0; i < 300_000; i++) {
        taken++;
        yield { n: i, s: 'a string that does not fit into a view' };
      }
    };
    // 300,000 such rows would be 14 MB.
    const small = { ...plain, fullChance: 0.5, bytes: 4 * 1024 * 1024 };
    const { out, coverage } = runOperator(setupOf('flatMap', endless), rows(10), small, prng(2));
    expect(taken).toBe(300_000);
    expect(out).toHaveLength(300_000);
    expect(coverage.more).toBeGreaterThan(1000);
  });
});

describe('rows that a function cannot take', () => {
  const letterLayout = layoutOf(deadLetterFields);
  const isBad = (n: number): boolean => n % 3 === 1;
  const picky: Record<'map' | 'flatMap', UserFunction> = {
    map(row) {
      if (row.n % 9 === 1) throw new RangeError(`not ${row.n}`);
      if (isBad(row.n)) return { n: 'text', s: null };
      return { n: row.n, s: row.s };
    },
    *flatMap(row) {
      yield { n: row.n, s: 'before' };
      if (isBad(row.n)) throw new RangeError(`not ${row.n}`);
      yield { n: row.n, s: 'behind' };
    },
  };
  const withPolicy = (style: 'map' | 'flatMap', onError: 'skip' | 'side', f = picky[style]): OperatorSetup => ({
    ...setupOf(style, f),
    node: { kind: 'map', style, functionId: 'f', input: fields, output: fields, rowtime: null, onError },
    outputs: onError === 'side' ? [layout, letterLayout] : [layout],
  });

  for (const style of ['map', 'flatMap'] as const) {
    test(`of a ${style} go to the side output or nowhere, all others come out, whatever the room`, () => {
      const n = 500;
      const numbers = Array.from({ length: n }, (_, k) => k);
      const expected = numbers.flatMap((k) => {
        if (style === 'map') return isBad(k) ? [] : [BigInt(k)];
        return isBad(k) ? [BigInt(k)] : [BigInt(k), BigInt(k)];
      });
      for (let seed = 1; seed <= 12; seed++) {
        const random = prng(seed);
        for (const regime of regimes(random)) {
          for (const onError of ['skip', 'side'] as const) {
            // A restored operator begins with the next row: what the test's crash took away is not its business.
            const calm = { ...regime, restoreChance: 0 };
            const { out, skipped } = runOperator(withPolicy(style, onError), rows(n), calm, random);
            const of = (port: number) =>
              out.flatMap((one) => (one.kind === 'row' && one.port === port ? [one.row] : []));
            expect(
              of(0).map(([k]) => k),
              `seed ${seed}`,
            ).toEqual(expected);
            expect(skipped).toBe(numbers.filter(isBad).length);
            expect(
              of(1).map((letter) => letter[3]),
              `seed ${seed}`,
            ).toEqual(
              onError === 'skip'
                ? []
                : numbers.filter(isBad).map((k) => `{ n: ${k}, s: ${k % 2 ? `"s${k}"` : 'null'} }`),
            );
          }
        }
      }
    });
  }

  test('say who could not take them, where they came from, and why', () => {
    const { out } = runOperator(withPolicy('map', 'side'), rows(5), { ...plain, batchRows: 3 }, prng(1));
    const letters = out.flatMap((one) => (one.kind === 'row' && one.port === 1 ? [one.row] : []));
    expect(letters).toEqual([
      ['operator', 'test, row 1', 'function/threw: RangeError: not 1', '{ n: 1, s: "s1" }'],
      [
        'operator',
        expect.stringContaining('test, row'),
        expect.stringMatching(/^function\/bad-result: .*'n'/),
        '{ n: 4, s: null }',
      ],
    ]);
  });

  test('are not those of a function of the wrong kind, nor of memory that has run out', () => {
    const run = (style: 'map' | 'flatMap', f: UserFunction, regime = plain) =>
      runOperator(withPolicy(style, 'skip', f), rows(10), regime, prng(1));
    expect(() => run('map', async () => ({}))).toThrow(/returned a promise/);
    expect(() => run('flatMap', async function* () {})).toThrow(/async iterable/);
    const huge = () => ({ n: 1, s: 'x'.repeat(8 * 1024 * 1024) });
    expect(() => run('map', huge, { ...plain, bytes: 4 * 1024 * 1024 } as Regime)).toThrow(
      expect.objectContaining({ code: 'memory/exhausted' }),
    );
  });
});

describe('mapBatch', () => {
  /** Stands in for Arrow: a record batch is an array of stored values. */
  const arrays: ArrowBoundary = {
    toArrow: (from, _fields, memory) => rowValues(from, memory),
    fromArrow(_fields, out, memory: SlotMemory, batchRows) {
      let batches: Batch[] = [];
      return {
        begin(from) {
          if (!Array.isArray(from)) throw new MillraceError('schema/mismatch', 'no record batch');
          batches = [];
          eachBatchOf(from as RowValues[], out, memory, batchRows, (made) => batches.push(copied(made, memory)));
        },
        next: () => batches.shift() ?? null,
      };
    },
  };
  const copied = (from: Batch, memory: SlotMemory): Batch => {
    const columns = from.columns.map((column) => {
      const values = memory.arena.allocate(from.rowCount * 16, 'a copy');
      memory.u8.copyWithin(values, column.values, column.values + from.rowCount * 16);
      const validity = column.validity === 0 ? 0 : memory.arena.allocate(from.rowCount, 'a copy');
      memory.u8.copyWithin(validity, column.validity, column.validity + (validity === 0 ? 0 : from.rowCount));
      return { ...column, values, validity };
    });
    return batch(from.layout, from.rowCount, columns);
  };
  const timed: Layout = [...layout, rowtimeColumn];
  const withTime: Partial<OperatorSetup> = {
    node: { kind: 'map', style: 'mapBatch', functionId: 'f', input: fields, output: fields, rowtime: 2 },
    input: timed,
    outputs: [timed],
    arrow: arrays,
  };
  const timedRows: Arrival[] = rows(20).map((arrival, k) => {
    return arrival.kind === 'row' ? { ...arrival, row: [...arrival.row, BigInt(k * 1000)], rowKind: k % 4 } : arrival;
  });

  test('carries event time and row kinds over, row by row', () => {
    for (const selection of [false, true]) {
      const f: UserFunction = (all: RowValues[]) => all.map(([n]) => [(n as bigint) * 2n, null]);
      const regime = { ...plain, batchRows: 7, fullChance: 0.5, selection };
      const { out } = runOperator(setupOf('mapBatch', f, withTime), timedRows, regime, prng(3));
      expect(out).toEqual(
        timedRows.map((_, k) => ({
          kind: 'row',
          port: 0,
          rowKind: k % 4,
          row: [BigInt(k * 2), null, BigInt(k * 1000)],
        })),
      );
    }
  });

  test('may return any number of rows where none have event time, and must not where they have', () => {
    const twice: UserFunction = (all: RowValues[]) => [...all, ...all];
    const { out } = runOperator(setupOf('mapBatch', twice, { arrow: arrays }), rows(10), plain, prng(4));
    expect(out).toHaveLength(20);
    const run = () => runOperator(setupOf('mapBatch', twice, withTime), timedRows, plain, prng(5));
    expect(run).toThrow(/got 20 rows and returned more/);
    const none = () =>
      runOperator(
        setupOf('mapBatch', () => [], withTime),
        timedRows,
        plain,
        prng(5),
      );
    expect(none).toThrow(/got 20 rows and returned 0/);
  });

  test('that throws names its operator and where the batch begins', () => {
    const f: UserFunction = () => {
      throw new Error('no');
    };
    try {
      runOperator(setupOf('mapBatch', f, { arrow: arrays }), rows(10), plain, prng(6));
      expect.unreachable();
    } catch (error) {
      expect((error as MillraceError).code).toBe('function/threw');
      expect((error as MillraceError).where).toEqual({ operator: 'operator', position: 'test, row 0' });
    }
  });
});
