/** Resident memory of processes that run one job and nothing else: peak, slope over time, and what is left afterwards. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench, CaseOptions } from './harness.ts';

export const memory: Bench = {
  name: 'memory',
  describe: 'resident memory: the demo, an endless stream, and after a job that used 1 GB',
  cases: [
    { name: 'flights-peak', rows: 3_000_000, slots: [2], bar: '< 500 MB; aim 250', measure: flightsPeak },
    { name: 'endless-slope', rows: 1, slots: [2], bar: 'flat', measure: endlessSlope },
    { name: 'after-1gb', rows: 1, slots: [2], bar: 'within 50 MB of before', measure: afterLarge },
  ],
};

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The demo's job file by the command line. */
async function flightsPeak({ slots }: CaseOptions) {
  const out = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    const job = [
      at('../cli/main.js'),
      'run',
      at('../../examples/flights.ts'),
      '-q',
      '-p',
      `${slots}`,
      '--param',
      `out=${out}`,
    ];
    const child = spawn(process.execPath, job, { stdio: ['ignore', 'ignore', 'inherit'] });
    let peak = 0;
    const timer = setInterval(() => {
      peak = Math.max(peak, statusBytes(child.pid!, 'VmHWM') ?? 0);
    }, 2);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    clearInterval(timer);
    return [measured('peak', peak / 1e6, 'MB', code === 0)];
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** By least squares, after 20 seconds in which pools and heaps find their size. */
async function endlessSlope({ slots, smoke }: CaseOptions) {
  const child = fork(at('./children/memory.js'), ['endless', `${slots}`]);
  try {
    const { rows } = await answerOf<{ rows: number }>(child);
    await wait(smoke ? 1 : 20);
    const samples: number[] = [];
    for (let i = 0; i < (smoke ? 4 : 60); i++) {
      const resident = statusBytes(child.pid!, 'VmRSS');
      if (resident === null || child.exitCode !== null) throw new Error('the endless job has ended');
      samples.push(resident / 1e6);
      await wait(smoke ? 0.25 : 2);
    }
    const perSample = slope(samples);
    const last = samples[samples.length - 1]!;
    return [
      measured('slope', (perSample * 60) / (smoke ? 0.25 : 2), 'MB/min', rows > 0),
      measured('resident', last, 'MB', rows > 0),
    ];
  } finally {
    child.removeAllListeners('exit');
    child.kill();
  }
}

async function afterLarge({ slots, smoke }: CaseOptions) {
  const child = fork(at('./children/memory.js'), ['ended', `${slots}`, smoke ? '20' : '1100'], {
    execArgv: ['--expose-gc'],
  });
  const { before, after, stateBytes } = await answerOf<{ before: number; after: number; stateBytes: number }>(child);
  child.removeAllListeners('exit');
  child.kill();
  return [
    measured('state', stateBytes / 1e6, 'MB', smoke || stateBytes > 1e9),
    measured('before', before / 1e6, 'MB', true),
    measured('more after 5 s', (after - before) / 1e6, 'MB', true),
  ];
}

const measured = (name: string, value: number, unit: string, checked: boolean) => ({
  engine: 'millrace' as const,
  name,
  value: Number(value.toPrecision(3)),
  unit,
  checked,
});

/** Linux. */
function statusBytes(pid: number, field: string): number | null {
  try {
    const line = new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return line ? Number(line[1]) * 1024 : null;
  } catch {
    return null;
  }
}

function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`the child ended with ${code}`)));
  });
}

function slope(values: readonly number[]): number {
  const mean = values.reduce((all, value) => all + value, 0) / values.length;
  const middle = (values.length - 1) / 2;
  let above = 0;
  let below = 0;
  for (const [i, value] of values.entries()) {
    above += (i - middle) * (value - mean);
    below += (i - middle) ** 2;
  }
  return above / below;
}

const wait = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
