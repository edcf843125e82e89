/** User functions that fail cost their job only, and the error says which, where and at which row. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  blackhole,
  callback,
  collect,
  collection,
  describeError,
  from,
  generator,
  iterable,
  run,
  schema,
  t,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import misbehaving from './jobs/misbehaving.ts';
import { expectHealth, failureOf, failureOfJob } from './support.ts';

const doing = (how: string, options: object = {}) =>
  failureOf(run(misbehaving, { parallelism: 1, params: { how }, ...options }).result());
const numbers = (rows: number) => from(generator({ rows, columns: (g) => ({ n: g.sequence() }) }));
const n = schema({ n: t.bigint() });

describe('a user function', () => {
  test('that throws is named, with the row, its place and its values in short', async () => {
    const error = await doing('throws');
    expect(error.code).toBe('function/threw');
    expect(error.message).toContain('TypeError: no such number');
    expect(error.message).toContain('n: 1234');
    expect(error.message).toContain('a long note');
    expect(error.message.length).toBeLessThan(500);
    expect(error.where).toMatchObject({
      operator: 'culprit',
      callSite: expect.stringMatching(/^misbehaving\.ts:\d+$/),
    });
    expect(error.where.position).toMatch(/row 1234$/);
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'no such number' });
    expect(describeError(error)).toMatch(/^\[function\/threw\] .*operator culprit.*misbehaving\.ts:/);
    await expectHealth();
  });

  test('may throw anything', async () => {
    const error = await doing('throws no error');
    expect([error.code, error.message]).toEqual(['function/threw', expect.stringContaining('reason: "because"')]);
  });

  test('that is async is told to be an ordinary one', async () => {
    const error = await doing('promises');
    expect(error.code).toBe('function/bad-result');
    expect(error.message).toContain('returned a promise');
    expect(error.message).toContain('without async');
    expect(error.where.operator).toBe('culprit');
  });

  for (const [how, part] of [
    ['forgets to return', 'undefined'],
    ['leaves a column out', "'n'"],
  ]) {
    test(`that ${how} is told what was expected`, async () => {
      const error = await doing(how!);
      expect(error.code).toBe('function/bad-result');
      expect(error.message).toContain(part);
      expect(error.where.operator).toBe('culprit');
    });
  }

  test('that never returns is ended after the limit and named', async () => {
    const error = await doing('loops', { callTimeout: '200 ms' });
    expect(error.code).toBe('function/endless');
    expect(error.message).toContain("'culprit'");
    expect(error.message).toContain("'callTimeout'");
    expect(error.where).toMatchObject({ operator: 'culprit', callSite: expect.stringContaining('misbehaving.ts') });
    await expectHealth();
  });

  test('that ends its thread is named, and the process goes on', async () => {
    const error = await doing('exits');
    expect(error.code).toBe('slot/died');
    expect(error.message).toContain("'culprit'");
    await expectHealth();
  });

  test('that fills the JavaScript heap ends its job, not the process', () => {
    const script = `
      import { collect, collection, from, run } from 'millrace';
      const { default: job } = await import('jiti').then(({ createJiti }) =>
        createJiti(process.cwd() + '/', { nativeModules: ['millrace'] }).import('./test/errors/jobs/misbehaving.ts'));
      const error = await run(job, { parallelism: 1, params: { how: 'hoards' } }).result().catch((e) => e);
      const after = await collect(from(collection([{ a: 1 }])), { parallelism: 1 });
      console.log(JSON.stringify({ code: error.code, message: error.message, where: error.where, after }));`;
    const child = spawnSync(process.execPath, ['--max-old-space-size=64', '--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
    });
    expect(child.stderr).toBe('');
    expect(JSON.parse(child.stdout)).toMatchObject({
      code: 'slot/died',
      message: expect.stringMatching(/JavaScript heap.*MB.*--max-old-space-size/),
      where: { operator: 'culprit' },
      after: [{ a: 1 }],
    });
  });

  for (const [how, part] of [
    ['has another source in a worker', 'has another source'],
    ['is missing in a worker', 'is missing'],
  ]) {
    test(`that ${how} is refused with the remedy`, async () => {
      const error = await doing(how!);
      expect(error.code).toBe('job/differs');
      expect(error.message).toContain(part);
      expect(error.message).toContain('pass params instead');
      expect(error.where.path).toContain('misbehaving.ts');
    });
  }

  test('needs a job module', async () => {
    const error = await failureOfJob(
      numbers(1)
        .map(n, (row) => ({ n: row.n }))
        .to(blackhole()),
    );
    expect(error.code).toBe('job/needs-module');
    expect(error.message).toContain('export default job(');
  });
});

describe('on the thread that runs the job', () => {
  test('a callback that throws is named with its row', async () => {
    const throwing = (row: { n: number }): void => {
      if (row.n === 17) throw new Error('enough');
    };
    const error = await failureOfJob(numbers(100).to(callback(throwing)));
    expect(error.code).toBe('function/threw');
    expect(error.message).toContain('the callback threw: enough');
    expect(error.message).toContain('n: 17');
    expect(error.where.position).toContain('row 17');
  });

  test('a callback whose promise rejects does the same', async () => {
    const error = await failureOfJob(numbers(5).to(callback(async () => Promise.reject(new Error('no answer')))));
    expect(error.code).toBe('function/threw');
    expect(error.message).toContain('no answer');
  });

  test('an iterable that throws is the source at fault', async () => {
    async function* broken(): AsyncGenerator<{ n: number }> {
      yield { n: 1 };
      throw new Error('connection lost');
    }
    const error = await failureOf(collect(from(iterable(broken(), { schema: n, bounded: true })), { parallelism: 1 }));
    expect(error.code).toBe('source/failed');
    expect(error.message).toContain('connection lost');
  });

  test('rows that do not fit the schema name column, type and row', async () => {
    const rows = [{ n: 1 }, { n: 'two' as unknown as number }];
    const error = await failureOf(collect(from(collection(rows, { schema: n })), { parallelism: 1 }));
    expect(error.code).toBe('schema/mismatch');
    for (const part of ["'n'", 'BIGINT', '"two"']) expect(error.message).toContain(part);
    expect(error.where.position).toContain('row 1');
  });
});

test('of two jobs at once one fails, and the other gives every row', async () => {
  const rows: number[] = [];
  const good = run(numbers(150_000).to(callback((row) => void rows.push(row.n))), { parallelism: 1 });
  const errors = await Promise.all([doing('throws'), doing('exits')]);
  expect(errors.map((error) => error.code)).toEqual(['function/threw', 'slot/died']);
  await good.result();
  expect(rows).toHaveLength(150_000);
  expect(rows.reduce((sum, value) => sum + value, 0)).toBe((150_000 * 149_999) / 2);
});
