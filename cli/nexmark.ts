/**
 * `millrace bench nexmark`: one query of examples/nexmark over events that are made while the clock runs, into a sink that
 * keeps nothing. `millrace nexmark`: the same events as files, for other engines.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { from } from '../core/api/flow.ts';
import { type End, type Ends, job } from '../core/api/job.ts';
import { type Nexmark, nexmark } from '../core/api/nexmark.ts';
import type { JobHandle } from '../core/api/run.ts';
import { blackhole } from '../core/api/sinks.ts';
import { csv, jsonl, parquet } from '../core/api/sources.ts';
import type { Duration } from '../core/base/duration.ts';
import { MillraceError } from '../core/base/errors.ts';
import { importModule } from '../engine/job-module.ts';
import { run } from '../engine/run.ts';
import { write } from './output.ts';
import { rate, seconds } from './report.ts';

export interface EventOptions {
  readonly events: number;
  readonly rate: number;
  readonly seed: number;
}

export interface BenchOptions extends EventOptions {
  readonly query: string;
  readonly parallelism?: number;
  readonly stream?: boolean;
  readonly bounded?: boolean;
  readonly checkpoint?: string;
  readonly whole?: boolean;
  /** False: rows are counted and dropped. */
  readonly digest?: boolean;
  readonly json?: boolean;
}

type Query = (sources: Nexmark<number>) => { to(sink: ReturnType<typeof blackhole>): End };

/** A page of examples/nexmark. */
interface Page {
  readonly query?: Query;
  /** Where the rows go, if the query is about writing files. */
  readonly files?: (directory: string) => ReturnType<typeof blackhole>;
}

/** Events read to warm up, at most. */
const warmUpEvents = 500_000;

export async function benchCommand(suite: string, options: BenchOptions): Promise<void> {
  if (suite !== 'nexmark') {
    throw new MillraceError(
      'option/invalid',
      `there is no benchmark '${suite}' here, only nexmark; others: npm run bench -- --list`,
    );
  }
  if (options.stream && options.bounded)
    throw new MillraceError('option/invalid', 'say --stream or --bounded, not both');
  const { query: name, events } = options;
  const file = queryFile(name);
  const page = (await importModule(pathToFileURL(file).href)) as Page;
  if (typeof page.query !== 'function') throw new MillraceError('option/invalid', `${file} exports no query`);
  await measure(page, file, { ...options, events: Math.min(events, warmUpEvents) });
  const measured = await measure(page, file, options);
  const mode = options.stream ? 'stream' : 'bounded';
  if (options.json) {
    await write(
      `${JSON.stringify({ query: name, mode, parallelism: options.parallelism ?? null, events, ...measured })}\n`,
    );
    return;
  }
  const { ms, cpuMs, rowsOut, windowsClosed, digest, lateRows } = measured;
  await write(
    `${name} ${mode}: ${events} events in ${seconds(ms)}, ${rate(events, ms)} events/s, ${rate(events, cpuMs)} to a second of CPU; ` +
      `${rowsOut} rows out, ${windowsClosed} windows closed${digest === null ? '' : `, digest ${digest}`}${lateRows > 0 ? `, ${lateRows} late` : ''}\n`,
  );
}

interface Measured {
  readonly ms: number;
  readonly cpuMs: number;
  readonly eventsPerSecond: number;
  readonly rowsOut: number;
  /** Windows and sessions; one of time counts in every slot that has rows of it. */
  readonly windowsClosed: number;
  readonly lateRows: number;
  /** Of all bytes of the result rows, corrections taken into account: equal whatever the parallelism and the mode. Null: not asked for, or files. */
  readonly digest: string | null;
}

/** `file`: where slots find the functions of the query's page. */
async function measure(page: Page, file: string, options: BenchOptions): Promise<Measured> {
  const { events, rate: perSecond, seed, parallelism, stream, checkpoint, whole } = options;
  const sources = nexmark({ events, rate: perSecond, seed });
  const checksum = options.digest === false || page.files ? null : new SharedArrayBuffer(24);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const sink = page.files?.(join(folder, 'files')) ?? blackhole(checksum === null ? {} : { checksum });
  const { persons, auctions, bids } = sources;
  // Every kind and every column is made, whatever the query asks for.
  const rest = {
    persons: from(persons).to(blackhole()),
    auctions: from(auctions).to(blackhole()),
    bids: from(bids).to(blackhole()),
  };
  const ends: Ends = { result: page.query!(sources).to(sink), ...(whole ? rest : {}) };
  const cpu = process.cpuUsage();
  const start = performance.now();
  try {
    const handle = run(
      job(`nexmark-${options.query}`, () => ends, { module: file }),
      {
        ...(parallelism === undefined ? {} : { parallelism }),
        ...(stream ? { mode: 'stream' as const } : {}),
        ...(checkpoint === undefined && !page.files ? {} : { stateDir: join(folder, 'state') }),
        ...(checkpoint === undefined ? {} : { checkpoint: { every: durationOf(checkpoint) } }),
      },
    );
    if (stream) await drain(handle, events);
    const { rowsOut, lateRows } = await handle.result();
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    return {
      ms,
      cpuMs: (user + system) / 1000,
      eventsPerSecond: (events / ms) * 1000,
      rowsOut: rowsOut - (whole ? events : 0),
      windowsClosed: handle.metrics().tasks.reduce((sum, task) => sum + task.windowsClosed, 0),
      lateRows,
      digest: checksum && digestOf(checksum),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function digestOf(checksum: SharedArrayBuffer): string {
  const [sum, rows] = new BigInt64Array(checksum);
  return `${BigInt.asUintN(64, sum!).toString(16).padStart(16, '0')}-${rows}`;
}

/** All events read as a stream; then it is stopped, so that the last windows close. What stands beside them ends by itself. */
async function drain(handle: JobHandle<Ends>, events: number): Promise<void> {
  const timer = setInterval(() => {
    const { tasks } = handle.metrics();
    const allRead = Object.entries(placeOf).every(([kind, { per, skip }]) => {
      const reading = tasks.filter(({ name }) => name.startsWith(`from nexmark ${kind}`));
      const rows = Math.floor(events / 50) * per + Math.min(per, Math.max(0, (events % 50) - skip));
      return reading.length === 0 || reading.reduce((sum, task) => sum + task.rowsRead, 0) >= rows;
    });
    if (tasks.length === 0 || !allRead) return;
    clearInterval(timer);
    handle.stop({ drain: true }).catch(() => {});
  }, 1);
  try {
    await handle.result();
  } finally {
    clearInterval(timer);
  }
}

/** Of 50 events in a row: `per` of a kind, behind the first `skip`. */
const placeOf = { persons: { per: 1, skip: 0 }, auctions: { per: 3, skip: 1 }, bids: { per: 46, skip: 4 } };

const durationOf = (text: string): Duration =>
  text.replace(/^(\d+)(ms|s)$/, (_, n, unit) => `${n} ${unit === 's' ? 'seconds' : 'ms'}`) as Duration;

/** In the repository: two folders above this file, three above the bundle; the package has no examples. */
function queryFile(name: string): string {
  const folders = ['../../examples/nexmark', '../../../examples/nexmark'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const folder = [...folders, resolve('examples/nexmark')].find((path) => existsSync(path));
  if (folder === undefined) {
    throw new MillraceError(
      'option/invalid',
      'the queries stand in examples/nexmark of the repository, which is not here',
    );
  }
  const file = join(folder, `${name}.ts`);
  if (/^q\d+$/.test(name) && existsSync(file)) return file;
  throw new MillraceError('option/invalid', `there is no query '${name}' in ${folder}`);
}

export interface FileOptions extends EventOptions {
  readonly format: 'parquet' | 'jsonl' | 'csv';
  readonly parallelism?: number;
}

/** Persons, auctions and bids, a directory each. */
export async function eventsCommand(directory: string, options: FileOptions): Promise<void> {
  const { events, rate: perSecond, seed, format, parallelism } = options;
  const { persons, auctions, bids } = nexmark({ events, rate: perSecond, seed });
  const place = { parquet, jsonl, csv }[format];
  const { rowsOut } = await run(
    {
      person: from(persons).to(place(join(directory, 'person'))),
      auction: from(auctions).to(place(join(directory, 'auction'))),
      bid: from(bids).to(place(join(directory, 'bid'))),
    },
    parallelism === undefined ? {} : { parallelism },
  ).result();
  await write(`${rowsOut} events in ${directory}\n`);
}
