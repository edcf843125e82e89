/**
 * A job on one thread and a simulated disk: up to a crash or a savepoint at one parallelism, and from there to its end at
 * another.
 */
import type { Prng } from '../../../core/base/prng.ts';
import { LocalJob, virtualClock } from '../../../engine/local.ts';
import { submit } from '../../../engine/run.ts';
import { type SimulatedDisk, simulatedDisk } from '../../../testing/simulated-disk.ts';
import { drive } from '../../support/run-job.ts';

export interface Change {
  readonly from: number;
  readonly to: number;
  readonly by: 'crash' | 'savepoint';
  /** Rows that the first life reads. */
  readonly rowsBefore: number;
  readonly random: Prng;
}

/** `options`: more of `run`'s. In mode `stream` both lives end by draining, when nothing moves any more. Gives the disk they leave. */
export async function twoLives(
  job: unknown,
  { from, to, by, rowsBefore, random }: Change,
  options: { readonly mode: 'bounded' | 'stream'; readonly params?: Readonly<Record<string, unknown>> },
): Promise<SimulatedDisk> {
  const disk = simulatedDisk(random.u32());
  const clock = virtualClock(Date.UTC(2026, 0, 1));
  const start = async (parallelism: number, stateDir: string, savepoint?: string): Promise<LocalJob> => {
    const all = {
      ...{ parallelism, stateDir, memory: `${64 * parallelism}mb`, batchRows: 16 + random.below(256), ...options },
      checkpoint: { every: by === 'crash' ? '10 ms' : 'never' },
      ...(savepoint === undefined ? {} : { from: savepoint }),
    };
    const life = new LocalJob(submit(job as never, all as never, null), { seed: random.u32(), disk, clock });
    await life.start();
    return life;
  };
  const first = await start(from, '/state');
  await drive(first, () => {
    if (first.steps % 2 === 0) clock.advance(1);
    const begun = by === 'savepoint' || (first.checkpoints?.completed ?? 0) > 0;
    return begun && first.numbers().rowsIn >= rowsBefore;
  });
  if (first.outcome !== null) throw new Error(`the first life was over at once: ${JSON.stringify(first.outcome)}`);
  let last: LocalJob;
  if (by === 'crash') {
    first.crash();
    disk.crash();
    disk.restart();
    last = await start(to, '/state');
    if (last.checkpoints?.restoredFrom == null)
      throw new Error(`nothing was restored: ${JSON.stringify(last.outcome)}`);
  } else {
    const stopped = first.stop({ savepoint: '/savepoints' });
    await drive(first);
    const { path, error } = await stopped;
    if (path === null) throw new Error(`there is no savepoint: ${JSON.stringify(error)}`);
    last = await start(to, '/other', path);
  }
  if (options.mode === 'stream') {
    let read = -1;
    for (let rowsIn = 0; rowsIn !== read && last.outcome === null; rowsIn = last.numbers().rowsIn) {
      read = rowsIn;
      const until = clock.nowMs() + quietMs;
      await drive(last, () => clock.nowMs() >= until);
    }
    void last.stop({ drain: true });
  }
  await drive(last);
  if (last.outcome?.kind !== 'finished') throw new Error(`it ended with ${JSON.stringify(last.outcome)}`);
  return disk;
}
/** Time passes only where nothing moves, so this long without a row means that there is none. */
const quietMs = 200;

/** Lines of what is visible under `path`: a file, or a directory's files. */
export function linesOf(disk: SimulatedDisk, path: string): string[] {
  const text = (at: string): string[] => new TextDecoder().decode(disk.read(at)).split('\n').slice(0, -1);
  if (disk.stat(path)?.kind === 'file') return text(path);
  return disk
    .list(path)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => text(`${path}/${name}`));
}
