/**
 * The examples on one thread and a simulated disk, up to a crash or a savepoint at one parallelism, and from there to the end
 * at another. Loaded with `millrace` meaning the sources, of which the engine here is made: see ../rescale.ts.
 */

import type { Prng } from '../../../core/base/prng.ts';
import { LocalJob, virtualClock } from '../../../engine/local.ts';
import { submit } from '../../../engine/run.ts';
import alerts from '../../../examples/alerts.ts';
import flights from '../../../examples/flights.ts';
import fraud from '../../../examples/fraud.ts';
import monitoring from '../../../examples/monitoring.ts';
import rules from '../../../examples/rules.ts';
import telemetry from '../../../examples/telemetry.ts';
import { type SimulatedDisk, simulatedDisk } from '../../../testing/simulated-disk.ts';
import { drive } from '../../support/run-job.ts';

const examples = { alerts, flights, fraud, monitoring, rules, telemetry };
export type Example = keyof typeof examples;

export interface Lives {
  readonly example: Example;
  readonly params: Readonly<Record<string, unknown>>;
  readonly from: number;
  readonly to: number;
  readonly by: 'crash' | 'savepoint';
  /** Of all rows, those that the first life reads. */
  readonly rowsBefore: number;
  readonly random: Prng;
}

/** Lines of JSON that the files hold in the end, by end. */
export async function lived(of: Lives): Promise<ReadonlyMap<string, readonly string[]>> {
  const { random, by } = of;
  const disk = simulatedDisk(random.u32());
  const clock = virtualClock(Date.UTC(2026, 0, 1));
  const start = async (parallelism: number, stateDir: string, from?: string): Promise<LocalJob> => {
    const options = {
      ...{ parallelism, stateDir, mode: 'bounded', memory: `${64 * parallelism}mb`, batchRows: 16 + random.below(256) },
      ...{ checkpoint: { every: by === 'crash' ? '10 ms' : 'never' }, params: { ...of.params, out: '/out' } },
      ...(from === undefined ? {} : { from }),
    };
    const submission = submit(examples[of.example] as never, options as never, null);
    const job = new LocalJob(submission, { seed: random.u32(), disk, clock });
    await job.start();
    return job;
  };
  const first = await start(of.from, '/state');
  await drive(first, () => {
    if (first.steps % 2 === 0) clock.advance(1);
    const begun = by === 'savepoint' || (first.checkpoints?.completed ?? 0) > 0;
    return begun && first.numbers().rowsIn >= of.rowsBefore;
  });
  if (first.outcome !== null) throw new Error(`the first life was over at once: ${JSON.stringify(first.outcome)}`);
  let last: LocalJob;
  if (by === 'crash') {
    first.crash();
    disk.crash();
    disk.restart();
    last = await start(of.to, '/state');
    if (last.checkpoints?.restoredFrom == null)
      throw new Error(`nothing was restored: ${JSON.stringify(last.outcome)}`);
  } else {
    const stopped = first.stop({ savepoint: '/savepoints' });
    await drive(first);
    const { path, error } = await stopped;
    if (path === null) throw new Error(`there is no savepoint: ${JSON.stringify(error)}`);
    last = await start(of.to, '/other', path);
  }
  await drive(last);
  if (last.outcome?.kind !== 'finished') throw new Error(`it ended with ${JSON.stringify(last.outcome)}`);
  return new Map(disk.list('/out').map((end) => [end, linesOf(disk, `/out/${end}`)]));
}

/** Of visible files; the one end of a job writes right there. */
function linesOf(disk: SimulatedDisk, path: string): string[] {
  const text = (at: string): string[] => new TextDecoder().decode(disk.read(at)).split('\n').slice(0, -1);
  if (disk.stat(path)?.kind === 'file') return text(path);
  return disk
    .list(path)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => text(`${path}/${name}`));
}
