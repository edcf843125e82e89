/**
 * Two processes run the same job of short-lived keys side by side, for as long as asked for. One is never touched, but fails
 * by itself now and then and restarts: its memory, descriptors, threads and files are watched. The other is killed again and
 * again and started at another parallelism: its files are watched. In the end both have told of each key once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { RunOptions } from '../../index.ts';
import type { LongSuite } from './suite.ts';

const sampleMs = 1000;
/** Of this many minutes on, growth is a failure; before, it is told. */
const minutesThatCount = 20;
/** What a process has to drain and end. */
const drainSeconds = 300;
const keysAtOnce = 1000;
const rowsPerKey = 20;

/** What must not grow, and by how much the last fifth of a run may exceed its second fifth. */
const watched = {
  'memory of the process, MB': { share: 0.15, more: 24 },
  descriptors: { share: 0, more: 4 },
  threads: { share: 0, more: 2 },
  'files of state': { share: 0.3, more: 6 },
  'bytes of state, MB': { share: 0.3, more: 4 },
} as const;
type Watched = keyof typeof watched;
type Sample = { readonly minute: number } & Partial<Record<Watched, number>>;

export const suite: LongSuite = {
  name: 'soak',
  describe: 'minutes of keys that come and go, with kills and restarts: nothing grows, each key is told of once',
  // Cases are minutes.
  cases: 60,
  casesInCi: 0.5,
  async run({ cases: minutes, seed, log }) {
    const failures: string[] = [];
    const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'));
    const untilMs = performance.now() + minutes * 60_000;
    const places = { untouched: join(folder, 'untouched'), killed: join(folder, 'killed') };
    const [steady, churned] = await Promise.all([
      untouched(places.untouched, untilMs, log),
      killedAgain(places.killed, prng(seed), untilMs),
    ]);
    for (const [which, samples] of [
      ['untouched', steady.samples],
      ['killed', churned.samples],
    ] as const) {
      for (const what of Object.keys(watched) as Watched[]) {
        const growth = growthOf(samples, what);
        if (growth === null) continue;
        const { before, after, perHour } = growth;
        const said = `${which}, ${what}: ${before.toFixed(1)} in the second fifth, ${after.toFixed(1)} in the last, slope ${perHour.toFixed(1)} an hour`;
        log(`soak: ${said}`);
        const allowed = before * (1 + watched[what].share) + watched[what].more;
        if (minutes >= minutesThatCount && after > allowed) failures.push(`seed ${seed}: ${said}`);
      }
    }
    let told = 0;
    for (const [which, place] of Object.entries(places)) {
      const { keys, wrong } = check(join(place, 'out'));
      told += keys;
      if (wrong !== null) failures.push(`seed ${seed}, ${which}: ${wrong}`);
    }
    for (const error of [...steady.errors, ...churned.errors]) failures.push(`seed ${seed}: ${error}`);
    if (failures.length === 0) rmSync(folder, { recursive: true, force: true });
    else log(`soak: kept ${folder}`);
    log(`soak: ${minutes} minutes, ${churned.kills} kills, ${steady.restarts} restarts, ${told} keys told of`);
    const coverage = { kills: churned.kills, restarts: steady.restarts, 'keys told of': told };
    // In a minute, what happens by chance may not.
    return { cases: minutes, failures, coverage: minutes >= minutesThatCount ? coverage : {} };
  },
};

/** One life that lasts, with restarts of its own. */
async function untouched(place: string, untilMs: number, log: (line: string) => void) {
  const samples: Sample[] = [];
  const child = start(place, 2, true);
  const beganMs = performance.now();
  const errors: string[] = [];
  let minute = 0;
  while (performance.now() < untilMs && child.running()) {
    await wait(sampleMs);
    const at = (performance.now() - beganMs) / 60_000;
    samples.push({ minute: at, ...processOf(child.pid), ...filesOf(join(place, 'state')) });
    if (Math.floor(at / 5) > minute) {
      minute = Math.floor(at / 5);
      log(`soak: minute ${at.toFixed(0)}: ${JSON.stringify(samples.at(-1))} ${child.numbers()}`);
    }
  }
  const ended = await child.stop();
  if (ended !== null) errors.push(`the process that was not touched ${ended}`);
  const restarts = (JSON.parse(child.numbers()) as { readonly restarts?: number }).restarts ?? 0;
  return { samples, restarts, errors };
}

/** One life after the other, at any parallelism. */
async function killedAgain(place: string, random: Prng, untilMs: number) {
  const samples: Sample[] = [];
  const errors: string[] = [];
  const beganMs = performance.now();
  let kills = 0;
  for (;;) {
    const child = start(place, 1 + random.below(3), false);
    const killMs = performance.now() + 2000 + random.below(40_000);
    while (performance.now() < Math.min(killMs, untilMs) && child.running()) {
      await wait(sampleMs);
      samples.push({ minute: (performance.now() - beganMs) / 60_000, ...filesOf(join(place, 'state')) });
    }
    if (performance.now() >= untilMs || !child.running()) {
      const ended = await child.stop();
      if (ended !== null) errors.push(`life ${kills + 1} of the process that is killed ${ended}`);
      return { samples, kills, errors };
    }
    await child.kill();
    kills++;
  }
}

function start(place: string, parallelism: number, fails: boolean) {
  const options: RunOptions = {
    parallelism,
    memory: '256mb',
    stateDir: join(place, 'state'),
    checkpoint: { every: '1 second' },
    restart: { strategy: 'fixedDelay', attempts: 1_000_000, delay: '100 ms' },
    params: { out: join(place, 'out'), fails },
  };
  const script = join(import.meta.dirname, 'soaked', 'child.ts');
  const process_: ChildProcess = spawn(
    process.execPath,
    ['--import', 'jiti/register', script, JSON.stringify(options)],
    { cwd: join(import.meta.dirname, '..', '..'), stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let last = '{}';
  let errors = '';
  process_.stdout!.on('data', (text) => {
    last = String(text).trim().split('\n').at(-1) as string;
  });
  process_.stderr!.on('data', (text) => {
    errors = (errors + text).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => void process_.once('close', () => resolve()));
  const listens = new Promise<void>((resolve) => void process_.stdout!.once('data', () => resolve()));
  return {
    pid: process_.pid as number,
    running: () => process_.exitCode === null && process_.signalCode === null,
    numbers: () => last,
    async kill() {
      process_.kill('SIGKILL');
      await ended;
    },
    /** Null: it ended in order. A machine that has stood still gives the child no time either: seconds in which we ran count. */
    async stop(): Promise<string | null> {
      // Before its first line nobody there takes the signal yet: it would just die.
      await Promise.race([listens, ended]);
      process_.kill('SIGTERM');
      let left = drainSeconds;
      const late = setInterval(() => {
        if (--left === 0) process_.kill('SIGKILL');
      }, 1000);
      await ended;
      clearInterval(late);
      return process_.exitCode === 0 ? null : `ended with ${process_.exitCode ?? process_.signalCode}: ${errors}`;
    },
  };
}

/** What the system says of a process; nothing where there is no /proc. */
function processOf(pid: number): Partial<Record<Watched, number>> {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return {
      'memory of the process, MB': Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      threads: readdirSync(`/proc/${pid}/task`).length,
    };
  } catch {
    return {};
  }
}

function filesOf(state: string): Partial<Record<Watched, number>> {
  let files = 0;
  let bytes = 0;
  const look = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) look(path);
      else {
        files++;
        bytes += statSync(path).size;
      }
    }
  };
  try {
    look(state);
  } catch {
    // Not there yet, or gone while it was looked at.
    return {};
  }
  return { 'files of state': files, 'bytes of state, MB': bytes / 2 ** 20 };
}

/** Medians of two fifths of the time, and the slope of a line through the last four. Null: too little was seen. */
function growthOf(samples: readonly Sample[], what: Watched) {
  const seen = samples.filter((sample) => sample[what] !== undefined);
  if (seen.length < 10) return null;
  const fifth = (i: number): Sample[] => seen.slice((i * seen.length) / 5, ((i + 1) * seen.length) / 5);
  const median = (of: readonly Sample[]): number => {
    const values = of.map((sample) => sample[what] as number).sort((a, b) => a - b);
    return values[values.length >>> 1] as number;
  };
  const rest = seen.slice(seen.length / 5);
  const mean = (of: readonly number[]): number => of.reduce((sum, one) => sum + one, 0) / of.length;
  const [meanX, meanY] = [mean(rest.map(({ minute }) => minute)), mean(rest.map((sample) => sample[what] as number))];
  let [xy, xx] = [0, 0];
  for (const sample of rest) {
    xy += (sample.minute - meanX) * ((sample[what] as number) - meanY);
    xx += (sample.minute - meanX) ** 2;
  }
  return { before: median(fifth(1)), after: median(fifth(4)), perHour: (60 * xy) / xx };
}

/** Each key once, with what it gathered; none left out but of the last two generations, which were still alive. */
function check(out: string): { readonly keys: number; readonly wrong: string | null } {
  const told = new Set<number>();
  let greatest = 0;
  for (const name of readdirSync(out)) {
    // The process was stopped, not ended: its sink may keep a place for what comes next.
    if (name.startsWith('.')) continue;
    for (const line of readFileSync(join(out, name), 'utf8').split('\n').slice(0, -1)) {
      const { k, ...gathered } = JSON.parse(line) as { readonly k: number };
      const generation = Math.floor(k / keysAtOnce);
      const first = generation * keysAtOnce * rowsPerKey + (k % keysAtOnce);
      const total = rowsPerKey * first + (keysAtOnce * rowsPerKey * (rowsPerKey - 1)) / 2;
      const wanted = JSON.stringify({ rows: rowsPerKey, total, texts: rowsPerKey });
      if (told.has(k)) return { keys: told.size, wrong: `key ${k} is told of twice` };
      if (JSON.stringify(gathered) !== wanted) return { keys: told.size, wrong: `${line}, not ${wanted}` };
      told.add(k);
      greatest = Math.max(greatest, generation);
    }
  }
  for (let k = 0; k < (greatest - 1) * keysAtOnce; k++) {
    if (!told.has(k))
      return { keys: told.size, wrong: `key ${k} is missing of ${told.size}, the last is of generation ${greatest}` };
  }
  return { keys: told.size, wrong: null };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
