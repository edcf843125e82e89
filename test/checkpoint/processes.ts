/** Real processes that want one state directory. Needs the built package. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileCommitter } from '../../connectors/files/committer.ts';
import { realDisk } from '../../engine/disk.ts';
import { openState } from '../../engine/state-directory.ts';
import { contentOf } from './support.ts';

const script = fileURLToPath(new URL('owner-child.mjs', import.meta.url));

export const emptyPlace = (): { path: string; remove(): void } => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-owner-'));
  return { path: join(root, 'state'), remove: () => rmSync(root, { recursive: true, force: true }) };
};

function child(
  path: string,
  ...given: readonly string[]
): { process: ChildProcess; line: Promise<string>; ended: Promise<void> } {
  const running = spawn(process.execPath, [script, path, ...given], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  const line = new Promise<string>((resolve, reject) => {
    running.stdout.on('data', (data) => {
      text += data;
      if (text.includes('\n')) resolve(text.split('\n')[0] as string);
    });
    // Not 'exit': what it said may still be on its way then.
    running.once('close', () => reject(new Error(`a child ended after '${text}'`)));
  });
  // Whoever waits for the end need not wait for a line.
  line.catch(() => {});
  return { process: running, line, ended: new Promise((resolve) => void running.once('exit', () => resolve())) };
}

export type Before = 'nothing' | 'given up' | 'killed';

/** `n` processes start at one moment on one directory. Answers how many won. All have ended when it resolves. */
export async function concurrentStarts(
  path: string,
  n: number,
  before: Before,
): Promise<{ won: number; lost: Record<string, number> }> {
  if (before !== 'nothing') {
    const first = child(path, 'start', '0');
    await first.line;
    if (before === 'killed') first.process.kill('SIGKILL');
    else first.process.stdin?.end();
    await first.ended;
    // One that was asked to end held the directory to the end: its owner is gone as well.
    if (before === 'given up') openState(path).close();
  }
  const at = Date.now() + 500 + 60 * n;
  const children = Array.from({ length: n }, () => child(path, 'start', `${at}`));
  const lines = await Promise.all(children.map((one) => one.line));
  for (const one of children) one.process.stdin?.end();
  await Promise.all(children.map((one) => one.ended));
  const lost: Record<string, number> = {};
  for (const line of lines) {
    const [what, code] = line.split(' ') as [string, string];
    if (what === 'lost') lost[code] = (lost[code] ?? 0) + 1;
  }
  return { won: lines.filter((line) => line.startsWith('won')).length, lost };
}

export interface ZombieOutcome {
  /** False: it came to its end before its n-th call. */
  readonly stopped: boolean;
  readonly said: string;
  /** In the state directory or in the sink's, after the successor had both. */
  readonly changed: boolean;
  /** Null: the sink's directory holds the rows of each checkpoint that counts, once, and no others. */
  readonly wrong: string | null;
}

/**
 * An owner stops itself (SIGSTOP) before its n-th disk call, of its checkpoints or of its sink; a successor takes over,
 * commits what was promised and a checkpoint of its own; the owner continues.
 */
export async function stoppedOwner(path: string, n: number): Promise<ZombieOutcome> {
  const zombie = child(path, 'zombie', `${n}`);
  const stopped = await new Promise<boolean>((resolve) => {
    const look = setInterval(() => {
      const state = stateOf(zombie.process.pid as number);
      if (state !== 'T' && state !== null && zombie.process.exitCode === null) return;
      clearInterval(look);
      resolve(state === 'T');
    }, 5);
  });
  if (!stopped) {
    const said = await zombie.line;
    await zombie.ended;
    return { stopped, said, changed: false, wrong: null };
  }
  const successor = openState(path, { takeOver: true });
  const out = `${path}-out`;
  const sink = fileCommitter(out, { disk: realDisk, jobKey: 'job' });
  const { manifest } = successor.latest();
  const handles = manifest?.sinks.flatMap((one) => one.handles) ?? [];
  sink.open(successor.epoch, handles, manifest?.checkpointId ?? 0);
  successor.commit(contentOf(successor.lastCheckpointId + 1, []));
  const before = contents(path) + contents(out);
  zombie.process.kill('SIGCONT');
  const said = await zombie.line;
  await zombie.ended;
  const changed = contents(path) + contents(out) !== before;
  const rows = readdirSync(out)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(out, name), 'utf8').split('\n').slice(0, -1))
    .sort();
  const expected = Array.from({ length: manifest?.checkpointId ?? 0 }, (_, i) => `row ${i + 1}`);
  const wrong = rows.join() === expected.join() ? null : `the sink holds ${rows.join()}, not ${expected.join()}`;
  sink.close();
  successor.close();
  return { stopped, said, changed, wrong };
}

function stateOf(pid: number): string | null {
  const path = `/proc/${pid}/stat`;
  if (!existsSync(path)) return null;
  try {
    const stat = readFileSync(path, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] as string;
  } catch {
    return null;
  }
}

function contents(path: string): string {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  return names
    .map((name) => {
      const at = join(path, name);
      return statSync(at).isFile() ? `${name}: ${readFileSync(at).toString('base64')}` : name;
    })
    .join('\n');
}
