/** Nexmark's queries in two lives. Loaded with `millrace` meaning the sources: see ../nexmark.ts. */
import { job, jsonl, sum } from 'millrace';
import { nexmark } from 'millrace/connectors/nexmark';
import { LocalJob, virtualClock } from '../../../engine/local.ts';
import { submit } from '../../../engine/run.ts';
import { simulatedDisk } from '../../../testing/simulated-disk.ts';
import { drive } from '../../support/run-job.ts';
import { type Change, linesOf, twoLives } from './two-lives.ts';

/** A query of examples/nexmark. */
export interface Query {
  readonly name: string;
  readonly events: number;
  readonly seed: number;
  /** Columns that are compared, where it leaves the others open; null: all. */
  readonly columns: readonly string[] | null;
}

interface Rows {
  pick(...columns: string[]): Rows;
  groupBy(...columns: string[]): { aggregate(of: (rows: Readonly<Record<string, never>>) => object): Rows };
  to(sink: unknown): never;
}

async function jobOf({ name, events, seed, columns }: Query): Promise<unknown> {
  const { query } = (await import(`../../../examples/nexmark/${name}.ts`)) as { query(of: unknown): Rows };
  // Short of a day's end and fast, so that windows of all lengths close.
  const all = query(nexmark({ events, rate: 1000, seed, start: '2026-03-01T23:59:50Z' }));
  const rows = columns ? all.pick(...columns) : all;
  // Which bids meet in a window of the clock is open; how many each bidder made is not.
  const settled = name === 'q12' ? rows.groupBy('bidder').aggregate((w) => ({ bids: sum(w.bid_count!) })) : rows;
  return job(`nexmark-${name}`, () => settled.to(jsonl('/out', { changelog: true })));
}

/** What one life leaves, uninterrupted on ended input, and how many rows it reads. */
export async function answerOf(query: Query): Promise<{ readonly rows: readonly string[]; readonly rowsIn: number }> {
  const disk = simulatedDisk(query.seed);
  const options = { parallelism: 1, memory: '128mb', stateDir: '/state', checkpoint: { every: 'never' } };
  const submission = submit((await jobOf(query)) as never, options as never, null);
  const life = new LocalJob(submission, { seed: query.seed, disk, clock: virtualClock(0) });
  await life.start();
  await drive(life);
  if (life.outcome?.kind !== 'finished') throw new Error(`it ended with ${JSON.stringify(life.outcome)}`);
  return { rows: foldedLines(linesOf(disk, '/out')), rowsIn: life.numbers().rowsIn };
}

/** The table that the changes of both lives come to. */
export async function livedQuery(query: Query, mode: 'bounded' | 'stream', change: Change): Promise<readonly string[]> {
  return foldedLines(linesOf(await twoLives(await jobOf(query), change, { mode }), '/out'));
}

/** Rows that changes leave, sorted. Errors: one that is taken back more often than it came. */
function foldedLines(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const { row_kind, ...row } = JSON.parse(line) as { row_kind: string };
    const text = JSON.stringify(row);
    counts.set(text, (counts.get(text) ?? 0) + (row_kind === '+I' || row_kind === '+U' ? 1 : -1));
  }
  const rows: string[] = [];
  for (const [text, count] of counts) {
    if (count < 0) throw new Error(`taken back ${-count} times more than it came: ${text}`);
    for (let i = 0; i < count; i++) rows.push(text);
  }
  return rows.sort();
}
