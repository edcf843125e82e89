/** Places that cannot be written: forbidden, full, of another kind; nothing unfinished is left under a final name. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arrowBatches, blackhole, callback, count, from, generator, jsonl, parquet, run } from 'millrace';
import { describe, expect, test } from 'vitest';
import { expectHealth, failureOf, failureOfJob, testDirectory } from './support.ts';

const directory = testDirectory();
const numbers = (rows: number) => from(generator({ rows, columns: (g) => ({ n: g.sequence() }) }));
const sinks = { jsonl, parquet } as const;

for (const kind of ['jsonl', 'parquet'] as const) {
  describe(`${kind} out`, () => {
    test('into a directory that may not be written is refused with its path', async (context) => {
      await expectHealth();
      // The sink's own modules are loaded while they may be read.
      await run(numbers(1).to(sinks[kind](join(directory, `warm.${kind}`))), { parallelism: 1 }).result();
      const closed = join(directory, `closed-${kind}`);
      mkdirSync(closed);
      chmodSync(closed, 0o555);
      chmodSync(directory, 0o755);
      const isRoot = process.getuid?.() === 0;
      // Root may write everywhere: somebody else for the time being.
      try {
        if (isRoot) process.seteuid?.(65_534);
      } catch {
        context.skip('this user may write everything and cannot become another');
      }
      try {
        for (const path of [join(closed, `a.${kind}`), join(closed, 'parts')]) {
          const error = await failureOfJob(numbers(10).to(sinks[kind](path)));
          expect(error.code).toBe('sink/forbidden');
          expect(error.message).toContain(closed);
          expect(error.message).toContain('may not be written');
          expect(error.where.path).toContain(closed);
        }
      } finally {
        if (isRoot) process.seteuid?.(0);
      }
      expect(readdirSync(closed)).toEqual([]);
    });

    test('on a full disk says so, may be tried again, and leaves nothing', async (context) => {
      const disk = mkdtempSync(join(tmpdir(), 'millrace-full-'));
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
      try {
        if (!mounted) context.skip('a small disk cannot be mounted here (not root, or not permitted)');
        for (const path of [join(disk, `a.${kind}`), join(disk, 'parts')]) {
          const error = await failureOfJob(numbers(3_000_000).to(sinks[kind](path)));
          expect(error.code).toBe('sink/disk-full');
          expect(error.message).toContain(disk);
          expect(error.retryable).toBe(true);
          expect(error.where.path).toContain(disk);
          const left = readdirSync(disk, { recursive: true }).map(String);
          expect(left.filter((name) => name !== 'parts')).toEqual([]);
        }
        await run(numbers(10).to(sinks[kind](join(disk, `b.${kind}`))), { parallelism: 1 }).result();
        expect(readdirSync(disk)).toContain(`b.${kind}`);
      } finally {
        if (mounted) spawnSync('umount', ['-l', disk]);
        rmdirSync(disk);
      }
    });

    test('where something of another kind stands is refused', async () => {
      mkdirSync(join(directory, `is-directory.${kind}`));
      writeFileSync(join(directory, `is-file-${kind}`), 'no directory');
      const one = await failureOfJob(numbers(1).to(sinks[kind](join(directory, `is-directory.${kind}`))));
      expect([one.code, one.message]).toEqual(['sink/failed', expect.stringContaining('is a directory')]);
      const many = await failureOfJob(numbers(1).to(sinks[kind](join(directory, `is-file-${kind}`))));
      expect(many.code).toBe('sink/failed');
      expect(many.message).toContain(`is-file-${kind}`);
    });

    test('takes no corrections unless asked, and says why', async () => {
      const counts = from(generator({ rows: 10, columns: (g) => ({ n: g.sequence() }) }))
        .groupBy('n')
        .aggregate(() => ({ rows: count() }));
      const error = await failureOfJob(counts.to(sinks[kind](join(directory, `updates.${kind}`)) as never), {
        mode: 'stream',
      });
      expect(error.code).toBe('plan/changelog');
      expect(error.message).toContain('corrected later');
      expect(error.message).toContain('changelog: true');
    });
  });
}

test('functions that take rows name the remedy for corrections', async () => {
  const counts = () =>
    numbers(10)
      .groupBy('n')
      .aggregate(() => ({ rows: count() }));
  // Bounded, a count is final; run as a stream it is corrected row by row.
  for (const sink of [callback(() => {}), arrowBatches(() => {})]) {
    const error = await failureOfJob(counts().to(sink as never), { mode: 'stream' });
    expect(error.code).toBe('plan/changelog');
    expect(error.message).toContain('corrected later');
    expect(error.message).toContain('callback(fn, { changes: true })');
  }
  const kinds: string[] = [];
  const changes = callback((change: { kind: string }) => void kinds.push(change.kind), { changes: true });
  const handle = run(counts().to(changes as never), { parallelism: 1, mode: 'stream' });
  while (kinds.length < 10) await new Promise((resolve) => setTimeout(resolve, 5));
  await handle.stop({ drain: true });
  expect(kinds).toEqual(Array.from({ length: 10 }, () => '+I'));
});

describe('rows of an end without a sink', () => {
  test('that nobody reads fail the result, when it would wait for ever', async () => {
    const error = await failureOf(run(numbers(100_000), { parallelism: 1 }).result());
    expect(error.code).toBe('job/unread');
    for (const part of ['4096 rows', "'result'", 'for await', '.to(']) expect(error.message).toContain(part);
    await expectHealth();
  });

  test('of several ends name the one that is not read', async () => {
    const handle = run({ seen: numbers(10_000), unseen: numbers(10_000) }, { parallelism: 1 });
    const reading = (async () => {
      for await (const _ of handle.output('seen'));
    })().catch(() => {});
    const error = await failureOf(handle.result());
    await reading;
    expect([error.code, error.message]).toEqual(['job/unread', expect.stringContaining("'unseen'")]);
  });

  test('may be read later while they fit, and beside the result when they do not', async () => {
    const few = run(numbers(4000), { parallelism: 1 });
    await few.result();
    const late: number[] = [];
    for await (const row of few) late.push(row.n);
    expect(late).toHaveLength(4000);
    const many = run(numbers(50_000), { parallelism: 1 });
    const result = many.result();
    let rows = 0;
    for await (const _ of many) rows++;
    expect([rows, (await result).rowsOut]).toEqual([50_000, 50_000]);
  });
});

test('a cancelled job says so', async () => {
  const handle = run(numbers(1e12).to(blackhole()), { parallelism: 1 });
  await handle.cancel();
  expect((await failureOf(handle.result())).code).toBe('job/cancelled');
});
