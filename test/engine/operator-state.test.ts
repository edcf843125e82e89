/** Operator state with real threads and files, stopped and run again at another parallelism. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'millrace';
import { afterAll, expect, test } from 'vitest';
import lists from './jobs/lists.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-lists-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const [p, q] of [
  [2, 3],
  [3, 1],
] as const) {
  test(`${p} → ${q}: split is shared out, of union everybody gets everything`, async () => {
    const place = join(folder, `${p}-${q}`);
    const out = join(place, 'out');
    const lines = (kind: string): number[] =>
      readdirSync(out)
        .filter((name) => !name.startsWith('.'))
        .flatMap((name) => readFileSync(join(out, name), 'utf8').split('\n'))
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { kind: string; n: number })
        .flatMap((line) => (line.kind === kind ? [line.n] : []))
        .sort((a, b) => a - b);
    const options = { memory: '256mb', stateDir: join(place, 'state'), checkpoint: { every: 'never' } } as const;
    const until = async (handle: { metrics(): { rowsIn: number } }, rows: number): Promise<void> => {
      while (handle.metrics().rowsIn < rows) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    const first = run(lists, { ...options, parallelism: p, params: { adds: true, out } });
    await until(first, 500);
    await first.stop();
    const second = run(lists, { ...options, parallelism: q, params: { adds: false, out } });
    await until(second, 500);
    await second.stop();
    const rows = lines('row');
    expect(rows.length).toBeGreaterThanOrEqual(500);
    expect(lines('split')).toEqual(rows);
    expect(lines('union')).toEqual(rows.flatMap((n) => Array.from({ length: q }, () => n)));
  });
}
