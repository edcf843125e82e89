/** Records that cannot be taken: left out and counted, or rows of a side output; the others are all there. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blackhole, callback, type DeadLetter, from, generator, job, jsonl, run, schema, t, watch } from 'millrace';
import { describe, expect, test } from 'vitest';
import picky from './jobs/picky.ts';
import { failureOfJob, testDirectory } from './support.ts';

const directory = testDirectory();
const row = schema({ id: t.int() });
const lines = (n: number, bad: (i: number) => boolean): string =>
  Array.from({ length: n }, (_, i) => (bad(i) ? `{"id":"no number ${i}"}\n` : `{"id":${i}}\n`)).join('');

describe('lines that cannot be read', () => {
  const path = join(directory, 'lines.jsonl');
  const isBad = (i: number): boolean => i % 3 === 1;
  writeFileSync(path, lines(3000, isBad));
  const good = Array.from({ length: 3000 }, (_, i) => i).filter((i) => !isBad(i));

  for (const batchRows of [3, 4096]) {
    test(`go to the side output, with the place and the line, batches of ${batchRows}`, async () => {
      const ids: number[] = [];
      const letters: DeadLetter[] = [];
      const source = from(jsonl(path, { schema: row, onError: 'side' })).named('lines');
      const result = await run(
        job('j', () => ({
          good: source.to(callback((one) => void ids.push(one.id))),
          bad: source.side.errors.to(callback((letter) => void letters.push({ ...letter }))),
        })),
        { parallelism: 2, batchRows },
      ).result();
      expect(ids.sort((a, b) => a - b)).toEqual(good);
      expect(letters).toHaveLength(1000);
      expect(new Set(letters.map((letter) => letter.record)).size).toBe(1000);
      const first = letters.find((letter) => letter.record === '{"id":"no number 1"}');
      expect(first).toEqual({
        operator: 'lines',
        position: `${path}, byte 9`,
        reason: expect.stringContaining('id'),
        record: '{"id":"no number 1"}',
      });
      expect(result.skippedRows).toBe(1000);
    });
  }

  test('are counted and left out, and fail the job unless something else is said', async () => {
    const skipped = await run(from(jsonl(path, { schema: row, onError: 'skip' })).to(blackhole())).result();
    expect(skipped).toMatchObject({ rowsOut: 2000, skippedRows: 1000 });
    const error = await failureOfJob(from(jsonl(path, { schema: row })).to(blackhole()));
    expect(error).toMatchObject({ code: 'source/bad-record', where: { position: 'line 2, byte 9' } });
  });

  test('may be all that there is, and nobody need read the others or them', async () => {
    const bad = join(directory, 'bad.jsonl');
    writeFileSync(bad, 'this\nis\nno\nJSON\n'.repeat(500));
    const source = from(jsonl(bad, { schema: row, onError: 'side' }));
    let letters = 0;
    await run(source.side.errors.to(callback(() => void letters++))).result();
    expect(letters).toBe(2000);
    expect(await run(source.to(blackhole())).result()).toMatchObject({ rowsOut: 0, skippedRows: 2000 });
  });

  test('long lines are shortened, broken characters too', async () => {
    const bad = join(directory, 'long.jsonl');
    writeFileSync(bad, Buffer.concat([Buffer.from(`{"id":"${'ä🚀'.repeat(2000)}`), Buffer.from([0xff, 0xfe, 0x0a])]));
    const letters: DeadLetter[] = [];
    const source = from(jsonl(bad, { schema: row, onError: 'side' }));
    await run(source.side.errors.to(callback((letter) => void letters.push({ ...letter })))).result();
    expect(letters).toHaveLength(1);
    expect(letters[0]!.record.length).toBeLessThan(1100);
    expect(letters[0]!.record).toMatch(/^\{"id":"ä🚀.*…$/u);
  });

  test('of a watched place keep their side output', () => {
    mkdirSync(join(directory, 'in'), { recursive: true });
    const stream = from(watch(jsonl(join(directory, 'in'), { schema: row, onError: 'side' })));
    expect(stream.side.errors).toBeDefined();
  });
});

describe('rows that a function cannot take', () => {
  const numbers = from(generator({ rows: 10_000, columns: (g) => ({ n: g.sequence() }) }));

  for (const [rows, parallelism, batchRows] of [
    [1000, 1, 7],
    [50_000, 2, 4096],
  ] as const) {
    test(`go to the side output of a map, ${parallelism} slots, batches of ${batchRows}`, async () => {
      const out = join(directory, `picky-${parallelism}`);
      const result = await run(picky, { parallelism, batchRows, params: { rows, out } }).result();
      const read = <T>(name: string): T[] =>
        readdirSync(join(out, name)).flatMap((file) =>
          readFileSync(join(out, name, file), 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line) as T),
        );
      const good = read<{ n: number }>('good').map(({ n }) => n);
      const bad = read<DeadLetter>('bad');
      const all = Array.from({ length: rows }, (_, n) => n);
      expect(good.sort((a, b) => a - b)).toEqual(all.filter((n) => n % 4 !== 1));
      expect(bad.map(({ reason }) => reason).sort()).toEqual(
        all
          .filter((n) => n % 4 === 1)
          .map((n) => `function/threw: RangeError: not ${n}`)
          .sort(),
      );
      expect(bad[0]).toMatchObject({ operator: 'picky', record: expect.stringMatching(/^\{ n: \d+ \}$/) });
      expect(result.skippedRows).toBe(rows / 4);
    });
  }

  test('a policy that is none is refused', () => {
    expect(() => numbers.map(row, () => ({ id: 1 }), { onError: 'ignore' as 'skip' })).toThrow(
      expect.objectContaining({ code: 'option/invalid' }),
    );
    expect(() => jsonl('x', { onError: 'ignore' as 'skip' })).toThrow(/'fail', 'skip' or 'side'/);
  });
});
