/**
 * Nexmark's queries, as streams and over ended input, from one parallelism to another in the middle, by a crash or by a
 * savepoint: their changes come to the table of one uninterrupted run, which test/examples compares with DuckDB's.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { nexmarkSql } from '../../bench/rivals/nexmark.ts';
import { prng } from '../../core/base/prng.ts';
import type { Query } from './rescaled/queries.ts';
import type { LongSuite } from './suite.ts';

const parallelisms = [1, 2, 3, 5];
const events = 6000;
const names = readdirSync(fileURLToPath(new URL('../../examples/nexmark', import.meta.url)))
  .map((file) => file.replace(/\.ts$/, ''))
  .sort();

export const suite: LongSuite = {
  name: 'nexmark',
  describe:
    "Nexmark's queries from one parallelism to another, by crash or savepoint: the table of one uninterrupted run",
  cases: names.length * 40,
  casesInCi: names.length,
  async run({ cases, seed, log }) {
    const source = (name: string): string => fileURLToPath(new URL(`../../${name}.ts`, import.meta.url));
    const jiti = createJiti(import.meta.url, {
      alias: {
        'millrace/connectors/nexmark': source('nexmark'),
        'millrace/functions': source('functions'),
        millrace: source('index'),
      },
    });
    const { answerOf, livedQuery } = (await jiti.import(
      './rescaled/queries.ts',
    )) as typeof import('./rescaled/queries.ts');
    const failures: string[] = [];
    const coverage: Record<string, number> = { crash: 0, savepoint: 0, bounded: 0, stream: 0, rows: 0 };
    for (let i = 0; i < cases && failures.length < 10; i++) {
      const random = prng(seed + i);
      const name = names[(seed + i) % names.length]!;
      const query: Query = { name, events, seed: seed + i, columns: nexmarkSql[name]!.determined ?? null };
      const [from, to] = [0, 0].map(() => parallelisms[random.below(parallelisms.length)]!) as [number, number];
      const by = random.below(2) === 0 ? 'crash' : 'savepoint';
      const mode = random.below(2) === 0 ? 'bounded' : 'stream';
      const share = 0.1 + random.below(700) / 1000;
      const where = `seed ${seed + i}, ${name}, ${mode}, ${from} to ${to} by ${by} after ${share} of all rows`;
      try {
        const answer = await answerOf(query);
        const rowsBefore = Math.floor(share * answer.rowsIn);
        const wrong = difference(answer.rows, await livedQuery(query, mode, { from, to, by, rowsBefore, random }));
        if (wrong !== null) failures.push(`${where}: ${wrong}`);
        coverage.rows! += answer.rows.length;
      } catch (error) {
        failures.push(`${where}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
      }
      coverage[by]!++;
      coverage[mode]!++;
      coverage[name] = (coverage[name] ?? 0) + 1;
      if (i % 20 === 19) log(`nexmark: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};

/** How two sorted lists of rows differ; null: they do not. */
function difference(expected: readonly string[], got: readonly string[]): string | null {
  const rest = new Map<string, number>();
  for (const row of expected) rest.set(row, (rest.get(row) ?? 0) + 1);
  for (const row of got) rest.set(row, (rest.get(row) ?? 0) - 1);
  const missing = [...rest].filter(([, count]) => count > 0);
  const surplus = [...rest].filter(([, count]) => count < 0);
  if (missing.length === 0 && surplus.length === 0) return null;
  const some = (of: typeof missing): string =>
    of
      .slice(0, 3)
      .map(([row, count]) => `${Math.abs(count)} × ${row}`)
      .join('; ');
  return `${missing.length} rows are missing (${some(missing)}), ${surplus.length} too many (${some(surplus)})`;
}
