/** Memory has limits, and a job that reaches one ends alone. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  blackhole,
  collection,
  count,
  describeError,
  from,
  generator,
  job,
  type MillraceError,
  run,
  schema,
  t,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { expectHealth, failureOf, failureOfJob } from './support.ts';

const keys = (rows: number) =>
  from(generator({ rows, columns: (g) => ({ key: g.sequence(), value: g.double(0, 1) }) }));

describe('state', () => {
  test('that outgrows the memory names the operator and what to do; other jobs go on', async () => {
    const other = run(keys(1e12).to(blackhole()), { parallelism: 1 });
    const error = await failureOfJob(
      keys(5_000_000)
        .groupBy('key')
        .aggregate(() => ({ rows: count() }))
        .named('per key')
        .to(blackhole()),
      { memory: '32mb' },
    );
    expect(error.code).toBe('memory/exhausted');
    expect(error.message).toContain("'memory'");
    expect(error.where.operator).toContain('per key');
    expect(describeError(error)).toContain('per key');
    const before = other.metrics().rowsOut;
    while (other.metrics().rowsOut === before) await new Promise((resolve) => setTimeout(resolve, 5));
    await other.cancel();
    await expectHealth();
  });

  test('of a sort does the same', async () => {
    const error = await failureOfJob(keys(5_000_000).orderBy('value').named('by value').to(blackhole()), {
      memory: '32mb',
    });
    expect(error.code).toBe('memory/exhausted');
    expect(error.where.operator).toContain('by value');
    await expectHealth();
  });

  test('of one group with a text too long for an entry is a record too large', async () => {
    const long = [{ key: 'x'.repeat(5000) }];
    const error = await failureOfJob(
      from(collection(long, { schema: schema({ key: t.string() }) }))
        .groupBy('key')
        .aggregate(() => ({ rows: count() }))
        .to(blackhole()),
    );
    expect(error.code).toBe('record/too-large');
    expect(error.message).toMatch(/\d/);
  });
});

describe('the options', () => {
  const refused = async (options: object): Promise<MillraceError> =>
    failureOf(async () => run(keys(1).to(blackhole()), options).result());
  for (const [options, parts] of [
    [{ parallelism: 0 }, ['parallelism', '1 to 256', 'not 0']],
    [{ parallelism: -3 }, ['parallelism', '-3']],
    [{ parallelism: 257 }, ['parallelism', '257']],
    [{ parallelism: Number.NaN }, ['parallelism', 'NaN']],
    [{ parallelism: 2, memory: '16mb' }, ["'16mb'", '2 slots', "'32mb'"]],
    [{ memory: '0mb' }, ["'0mb'"]],
    [{ memory: 'plenty' }, ["'plenty'", "'512mb'"]],
    [{ memory: '1000000gb' }, ["'1000000gb'", 'four times']],
    [{ batchRows: 0 }, ['batchRows', '4096']],
    [{ callTimeout: '1 ms' }, ['callTimeout', '100 ms']],
    [{ mode: 'fast' }, ['mode', 'bounded', 'stream', "'fast'"]],
  ] as const) {
    test(`${JSON.stringify(options)} are refused with their limits`, async () => {
      const error = await refused(options);
      expect(error.code).toBe('option/invalid');
      for (const part of parts) expect(error.message).toContain(part);
    });
  }
});

describe('parameters', () => {
  const declared = schema({ n: t.int(), wide: t.bigint().asBigInt(), day: t.date().nullable() });
  const echo = job('echo', ({ params }) => from(collection([params], { schema: declared })), { params: declared });
  const given = async (params: object): Promise<unknown[]> => {
    const rows: unknown[] = [];
    for await (const row of run(echo, { parallelism: 1, params: params as Record<string, unknown> })) rows.push(row);
    return rows;
  };

  test('may be texts, as a command line gives them, and keep every digit', async () => {
    expect(await given({ n: '-7', wide: '9007199254740993', day: '2026-01-31' })).toEqual([
      { n: -7, wide: 9_007_199_254_740_993n, day: new Date('2026-01-31') },
    ]);
    expect(await given({ n: 1, wide: 2 })).toEqual([{ n: 1, wide: 2n, day: null }]);
  });

  for (const [params, part] of [
    [{ n: 2 ** 31, wide: 1 }, '"2147483648" is no INT'],
    [{ n: 1.5, wide: 1 }, '"1.5" is no INT'],
    [{ n: 1, wide: 'x' }, '"x" is no BIGINT'],
    [{ n: 1, wide: '9223372036854775808' }, '"9223372036854775808" is no BIGINT'],
    [{ n: 1, wide: 1, day: 'someday' }, '"someday" is no DATE'],
    [{ n: 1 }, "needs the parameter 'wide'"],
    [{ n: 1, wide: 1, dya: 1 }, "did you mean 'day'"],
  ] as const) {
    test(`${JSON.stringify(params)} are refused`, async () => {
      const error = await failureOf(async () => given(params));
      expect([error.code, error.message]).toEqual(['option/invalid', expect.stringContaining(part)]);
    });
  }
});

test('address space that the system refuses is an error with the remedy', (context) => {
  // Threads need address space too: enough for them, too little for four slots of 4 GiB.
  const script = `
    import { blackhole, from, generator, run } from 'millrace';
    const stream = from(generator({ rows: 10, columns: (g) => ({ n: g.sequence() }) })).to(blackhole());
    const error = await run(stream, { parallelism: 4, memory: '16gb' }).result().catch((e) => e);
    const after = await run(stream, { parallelism: 1, memory: '64mb' }).result();
    console.log(JSON.stringify({ code: error.code, message: error.message, rows: after.rowsOut }));`;
  const line = `ulimit -v 20000000 && exec ${process.execPath} --input-type=module --eval "$SCRIPT"`;
  const child = spawnSync('bash', ['-c', line], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, SCRIPT: script },
    encoding: 'utf8',
  });
  if (child.status !== 0) context.skip(`Node does not start under a limit here: ${child.stderr.slice(0, 200)}`);
  expect(JSON.parse(child.stdout)).toMatchObject({
    code: 'memory/unavailable',
    message: expect.stringMatching(/4095 MB.*'memory'.*ulimit -v/),
    rows: 10,
  });
});
