/** Jobs through the public `run`, with threads. */
import { blackhole, collect, collection, from, generator, iterable, MillraceError, run, schema, t } from 'millrace';
import { describe, expect, test } from 'vitest';
import doubling from './jobs/doubling.ts';
import failing from './jobs/failing.ts';

const byNumber = (a: { n: number }, b: { n: number }): number => a.n - b.n;

async function errorOf(work: Promise<unknown>): Promise<MillraceError> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it did not fail');
}

describe('a job', () => {
  for (const parallelism of [1, 2, 3]) {
    test(`gives every row of its functions at parallelism ${parallelism}`, async () => {
      const rows: { n: number; label: string }[] = [];
      const handle = run(doubling, { parallelism, params: { rows: 10_000 } });
      for await (const row of handle) rows.push(row);
      const expected: { n: number; label: string }[] = [];
      for (let n = -2; n < 10_000; n++) {
        expected.push({ n: n * 2, label: `row ${n}` });
        if ((n * 2) % 4 === 0) expected.push({ n: n * 2 + 1, label: `row ${n}, again` });
      }
      expect(rows.sort(byNumber)).toEqual(expected.sort(byNumber));
      const result = await handle.result();
      expect(result.rowsIn).toBe(10_002);
      expect(result.rowsOut).toBe(expected.length);
    });
  }

  test('keeps the order of rows that one subtask gives to one receiver', async () => {
    const input = Array.from({ length: 20_000 }, (_, i) => ({ n: i, text: i % 3 === 0 ? null : 'x'.repeat(i % 40) }));
    const rows = await collect(
      from(collection(input, { schema: schema({ n: t.bigint(), text: t.string().nullable() }) })),
      {
        parallelism: 2,
      },
    );
    expect(rows).toEqual(input);
  });

  test('ends what it reads when it has the rows it wants', async () => {
    let pulled = 0;
    async function* endless(): AsyncGenerator<{ n: number }> {
      for (let n = 0; ; n++) {
        pulled = n;
        yield { n };
      }
    }
    const source = iterable(endless(), { schema: schema({ n: t.bigint() }) });
    const rows = await collect(from(source).limit(10), { parallelism: 1 });
    expect(rows.map((row) => row.n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(pulled).toBeLessThan(1_000_000);
  });

  test('carries records larger than a ring', async () => {
    const big = Array.from({ length: 4 }, (_, i) => ({
      n: i,
      text: String.fromCharCode(97 + i).repeat(3_000_000 + i),
    }));
    const rows = await collect(from(collection(big, { schema: schema({ n: t.int(), text: t.string() }) })), {
      parallelism: 1,
    });
    expect(rows.map((row) => [row.n, row.text.length, row.text[0]])).toEqual(
      big.map((row) => [row.n, row.text.length, row.text[0]]),
    );
  });

  test('holds its source back when its receiver is slow, and loses nothing', async () => {
    const handle = run(from(generator({ rows: 200_000, columns: (g) => ({ n: g.sequence() }) })), { parallelism: 2 });
    let count = 0;
    let sum = 0;
    for await (const row of handle) {
      if (count++ % 20_000 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      sum += row.n;
    }
    expect([count, sum]).toEqual([200_000, (200_000 * 199_999) / 2]);
  });

  test('ends by its signal, and iteration ends with it', async () => {
    const abort = new AbortController();
    const handle = run(from(generator({ rate: 10_000, columns: (g) => ({ n: g.sequence() }) })), {
      parallelism: 2,
      signal: abort.signal,
    });
    let rows = 0;
    for await (const _ of handle) if (++rows === 500) abort.abort();
    expect(rows).toBeGreaterThanOrEqual(500);
    expect((await errorOf(handle.result())).code).toBe('job/cancelled');
  });

  test('that never ends by itself can be stopped, and its sinks finish', async () => {
    const handle = run(from(generator({ rate: 50_000, columns: (g) => ({ n: g.sequence() }) })).to(blackhole()), {
      parallelism: 2,
    });
    while (handle.metrics().rowsOut < 1000) await new Promise((resolve) => setTimeout(resolve, 5));
    await handle.stop({ drain: true });
    const { rowsIn, rowsOut } = await handle.result();
    expect(rowsOut).toBe(rowsIn);
  });
});

describe('what fails', () => {
  test('a function that throws is named with its row', async () => {
    const error = await errorOf(run(failing, { parallelism: 2, params: { how: 'throw' } }).result());
    expect(error.code).toBe('function/threw');
    expect(error.message).toContain('no such number');
    expect(error.message).toContain('4321');
    expect(error.where.operator).toContain('picky');
    expect(error.where.callSite).toContain('failing.ts');
  });

  test('a function that returns something else is told what was expected', async () => {
    const error = await errorOf(run(failing, { parallelism: 1, params: { how: 'wrong' } }).result());
    expect(error.code).toBe('function/bad-result');
    expect(error.message).toContain("'n'");
    expect(error.message).toContain('BIGINT');
  });

  test('a function that never returns is ended and named, and other jobs go on', async () => {
    const other = run(from(generator({ rate: 20_000, columns: (g) => ({ n: g.sequence() }) })).to(blackhole()), {
      parallelism: 1,
    });
    const error = await errorOf(
      run(failing, { parallelism: 2, params: { how: 'endless' }, callTimeout: '300 ms' }).result(),
    );
    expect(error.code).toBe('function/endless');
    expect(error.message).toContain('stuck');
    const before = other.metrics().rowsOut;
    while (other.metrics().rowsOut === before) await new Promise((resolve) => setTimeout(resolve, 10));
    await other.cancel();
  });

  test('a thread that dies costs its job only', async () => {
    const error = await errorOf(run(failing, { parallelism: 2, params: { how: 'exit' } }).result());
    expect(error.code).toBe('slot/died');
    expect(await collect(from(collection([{ a: 1 }])), { parallelism: 2 })).toEqual([{ a: 1 }]);
  });

  test('a pipeline with functions but no module is refused with the remedy', () => {
    const stream = from(collection([{ a: 1 }])).map(schema({ b: t.int() }), (row) => ({ b: row.a }));
    expect(() => run(stream)).toThrow(/job module/);
  });

  for (const [options, part] of [
    [{ parallelism: 0 }, 'parallelism'],
    [{ parallelism: -1 }, 'parallelism'],
    [{ parallelism: 1.5 }, 'parallelism'],
    [{ parallelism: 100_000 }, '256'],
    [{ memory: '1mb' }, 'memory'],
    [{ memory: '0mb' }, 'memory'],
    [{ memory: '-1gb' }, 'memory'],
    [{ memory: '900000gb' }, 'memory'],
  ] as const) {
    test(`the options ${JSON.stringify(options)} are refused`, () => {
      const refused = () => run(from(collection([{ a: 1 }])), options as object);
      expect(refused).toThrow(MillraceError);
      expect(refused).toThrow(part);
    });
  }
});
