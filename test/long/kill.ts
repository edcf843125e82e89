/**
 * Real processes with real threads and files, killed (kill -9) at random moments and started again at another parallelism
 * until they are through. What their files hold is compared, as a multiset of lines, with a plain loop over the same rows.
 * Where each kill fell is read off what it left: a staged file of a checkpoint; a checkpoint that counts and whose sinks
 * have not said that all is committed; a process that had taken the directory and not yet read a new row.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { RunOptions } from '../../index.ts';
import type { LongSuite } from './suite.ts';

/** Kills of one job before it is left to get through. */
const killsPerJob = 8;
const rate = 6000;
/** A process that hangs is a failure, not a wait without end. Of seconds in which this process ran as well. */
const hangSeconds = 90;
/** How long a kill waits for what it is aimed at; then it falls wherever the process is. */
const aimMs = 1500;
/** What a kill after the first life is aimed at, drawn; null: it falls anywhere. */
const aims = ['recovery', 'checkpoint', 'commit', 'recovery', 'checkpoint', null, null, null] as const;
type Aim = (typeof aims)[number];

export const suite: LongSuite = {
  name: 'kill',
  describe: 'kill -9 of a real process at random moments, restarted until done: its files hold every result once',
  cases: 1000,
  casesInCi: 50,
  async run({ cases, seed, log }) {
    const { models } = await import('../../examples/models.ts');
    const names = Object.keys(models).sort();
    const failures: string[] = [];
    const coverage = { 'inside a checkpoint': 0, 'inside a recovery': 0, 'inside a commit': 0, 'jobs through': 0 };
    const recoveriesMs: number[] = [];
    let kills = 0;
    for (let job = 0; kills < cases && failures.length < 10; job++) {
      const random = prng(seed + job);
      const example = names[job % names.length]!;
      const rows = 20_000 + random.below(20_000);
      const folder = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
      try {
        const wanted = Math.min(killsPerJob, cases - kills);
        const lives = await killUntilThrough({ example, rows, folder, random, wanted, coverage, recoveriesMs });
        kills += lives.kills;
        const wrong = lives.wrong ?? compare(await models[example]!(rows), join(folder, 'out'));
        if (wrong === null) coverage['jobs through']++;
        else failures.push(`seed ${seed + job}, ${example}, ${rows} rows: ${wrong}`);
        if (wrong === null) rmSync(folder, { recursive: true, force: true });
        else log(`kill: ${failures.at(-1)}; kept ${folder}`);
      } catch (error) {
        failures.push(`seed ${seed + job}, ${example}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
      }
      if (job % 10 === 9 || kills >= cases) {
        log(`kill: ${kills} kills, ${job + 1} jobs, ${failures.length} failures; ${inWords(coverage)}`);
      }
    }
    recoveriesMs.sort((a, b) => a - b);
    const percentile = (share: number): number =>
      Math.round(recoveriesMs[Math.floor(recoveriesMs.length * share)] ?? 0);
    log(`kill: from the beginning to the first new row p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms`);
    // Of few kills it is chance where they fall.
    if (cases >= 200) {
      for (const what of ['inside a checkpoint', 'inside a recovery'] as const) {
        if (coverage[what] < kills / 10) failures.push(`only ${coverage[what]} of ${kills} kills fell ${what}`);
      }
    }
    // Where a few kills fall is chance; a long run has to hit everything.
    return { cases: kills, failures, coverage: kills >= 200 ? coverage : { 'jobs through': coverage['jobs through'] } };
  },
};

const inWords = (coverage: Readonly<Record<string, number>>): string =>
  Object.entries(coverage)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ');

interface Lives {
  readonly example: string;
  readonly rows: number;
  readonly folder: string;
  readonly random: Prng;
  readonly wanted: number;
  readonly coverage: Record<'inside a checkpoint' | 'inside a recovery' | 'inside a commit', number>;
  readonly recoveriesMs: number[];
}

async function killUntilThrough(of: Lives): Promise<{ readonly kills: number; readonly wrong: string | null }> {
  const { random, folder, coverage } = of;
  let kills = 0;
  let recoverMs = 1000;
  for (let life = 0; ; life++) {
    const aim = life > 0 ? aims[random.below(aims.length)]! : null;
    // A recovery is over in about the time that the last one took. Nothing is killed before it has begun.
    const delayMs = aim === 'recovery' ? (recoverMs * random.below(900)) / 1000 : random.below(2500);
    const child = start(of);
    const ended = await child.ended(kills < of.wanted ? { delayMs, when: sight(join(folder, 'state'), aim) } : null);
    if (ended === 'hung') return { kills, wrong: `hung in life ${life}, having said ${child.said().join(', ')}` };
    if (ended === 'failed') return { kills, wrong: `life ${life} failed: ${child.errors()}` };
    const [begunMs, rowsMs] = [child.saidMs('begun'), child.saidMs('rows')];
    if (begunMs !== null && rowsMs !== null && life > 0) {
      recoverMs = rowsMs - begunMs;
      of.recoveriesMs.push(recoverMs);
    }
    if (ended === 'through') return { kills, wrong: null };
    kills++;
    const state = join(folder, 'state');
    if (stagedParts(state)) coverage['inside a checkpoint']++;
    if (await uncommitted(state, join(folder, 'out'))) coverage['inside a commit']++;
    const manifests = join(state, 'manifests');
    const goesOn = existsSync(manifests) && readdirSync(manifests).length > 0;
    if (life > 0 && goesOn && child.said().includes('begun') && !child.said().includes('rows')) {
      coverage['inside a recovery']++;
    }
  }
}

function start({ example, rows, folder, random }: Lives) {
  const options: RunOptions = {
    parallelism: 1 + random.below(3),
    memory: '256mb',
    stateDir: join(folder, 'state'),
    checkpoint: { every: random.below(2) === 0 ? '50 ms' : '200 ms' },
    params: { out: join(folder, 'out'), rows, rate },
  };
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '--import',
      'jiti/register',
      join(import.meta.dirname, 'killed', 'child.ts'),
      JSON.stringify({ example, options }),
    ],
    { cwd: join(import.meta.dirname, '..', '..'), stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let out = '';
  let errors = '';
  const saidMs = new Map<string, number>();
  let onBegun: () => void = () => {};
  child.stdout!.on('data', (chunk) => {
    out += chunk;
    for (const line of out.split('\n').slice(0, -1)) if (!saidMs.has(line)) saidMs.set(line, performance.now());
    if (saidMs.has('begun')) onBegun();
  });
  child.stderr!.on('data', (chunk) => {
    errors += chunk;
  });
  return {
    said: () => out.trim().split('\n'),
    errors: () => errors.trim().slice(0, 600),
    saidMs: (line: string) => saidMs.get(line) ?? null,
    /** It is killed when, after it has begun, `delayMs` is over and `when` says so; null: it may get through. */
    ended: (kill: { readonly delayMs: number; readonly when: () => boolean } | null) =>
      new Promise<'killed' | 'through' | 'failed' | 'hung'>((resolve, reject) => {
        let hung = false;
        let seconds = 0;
        let look: ReturnType<typeof setInterval> | undefined;
        const aimed = (untilMs: number): void => {
          if (kill?.when() || performance.now() > untilMs) child.kill('SIGKILL');
        };
        let timer: ReturnType<typeof setTimeout> | undefined;
        if (kill) {
          onBegun = () => {
            onBegun = () => {};
            timer = setTimeout(() => {
              look = setInterval(aimed, 1, performance.now() + aimMs);
            }, kill.delayMs);
          };
        }
        const watch = setInterval(() => {
          hung = ++seconds > hangSeconds;
          if (hung) child.kill('SIGKILL');
        }, 1000);
        child.on('error', reject);
        child.on('close', (code, signal) => {
          clearTimeout(timer);
          clearInterval(look);
          clearInterval(watch);
          resolve(hung ? 'hung' : signal === 'SIGKILL' ? 'killed' : code === 0 ? 'through' : 'failed');
        });
      }),
  };
}

/** Whether what a kill is aimed at has come into sight: a checkpoint being written, or one whose sinks begin to commit. */
function sight(state: string, aim: Aim): () => boolean {
  if (aim === 'checkpoint') return () => stagedParts(state);
  if (aim !== 'commit') return () => true;
  const newest = (): string => namesIn(join(state, 'manifests')).sort().at(-1) ?? '';
  let before: string | null = null;
  return () => {
    before ??= newest();
    return newest() > before;
  };
}

/** Files of a checkpoint that does not count yet. */
function stagedParts(state: string): boolean {
  const staging = join(state, 'staging');
  return namesIn(staging).some((epoch) => namesIn(join(staging, epoch)).some((file) => file.endsWith('.state')));
}

/** None where there is no such directory, or none any more. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** The newest checkpoint promised files, and its sinks had not said that they are all there. */
async function uncommitted(state: string, out: string): Promise<boolean> {
  const { manifestsIn } = await import('../../state/checkpoint/directory.ts');
  const { realDisk } = await import('../../engine/disk.ts');
  const newest = manifestsIn(realDisk, state).find(({ manifest }) => manifest !== null)?.manifest;
  if (!newest || newest.sinks.length === 0 || !existsSync(out)) return false;
  return readdirSync(out).some((end) =>
    readdirSync(join(out, end))
      .filter((name) => name.startsWith('.millrace-'))
      .some((staging) => {
        const staged = readdirSync(join(out, end, staging));
        const promised = newest.sinks.some(({ handles }) =>
          handles.some((handle) => staged.includes((handle as { readonly staged: string }).staged)),
        );
        return promised;
      }),
  );
}

/** Null: every end has each line once, and nothing in progress is left. */
function compare(expected: Readonly<Record<string, readonly string[]>>, out: string): string | null {
  for (const [end, lines] of Object.entries(expected)) {
    const names = readdirSync(join(out, end));
    const hidden = names.filter((name) => name.startsWith('.'));
    if (hidden.length > 0) return `${end}: left over ${hidden.join(', ')}`;
    const left = new Map<string, number>();
    for (const line of lines) left.set(line, (left.get(line) ?? 0) + 1);
    const extra: string[] = [];
    for (const name of names) {
      const text = readFileSync(join(out, end, name), 'utf8');
      if (text !== '' && !text.endsWith('\n')) return `${end}: ${name} is not whole`;
      for (const line of text.split('\n').slice(0, -1)) {
        const n = left.get(line) ?? 0;
        if (n === 0) extra.push(line);
        else left.set(line, n - 1);
      }
    }
    const missing = [...left].filter(([, n]) => n > 0).map(([line]) => line);
    if (missing.length + extra.length > 0) {
      return `${end}: ${missing.length} missing (${missing.slice(0, 2).join(' ')}), ${extra.length} too many (${extra.slice(0, 2).join(' ')})`;
    }
  }
  return null;
}
