/**
 * Every disk call × {error, crash before, crash after, torn write}, then a restart: of the process alone, and of the
 * machine, which loses what nobody synced. `stories` are told anew for every point.
 */

import { type DiskFault, simulatedDisk } from '../../testing/simulated-disk.ts';
import { crashStories, isOutcome, nothingTold } from '../checkpoint/crash-stories.ts';
import type { LongSuite } from './suite.ts';

const kinds: readonly DiskFault[] = ['error', 'crashBefore', 'crashAfter', 'torn'];

export const suite: LongSuite = {
  name: 'crash-points',
  describe: 'every disk call of checkpoints, savepoints and restores failed, crashed before and after, and torn',
  // Seeds per point of a lossy restart; in CI every seventh point.
  cases: 10,
  casesInCi: 1,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      points: 0,
      restarts: 0,
      error: 0,
      crashBefore: 0,
      crashAfter: 0,
      torn: 0,
    };
    for (const story of crashStories) {
      const whole = simulatedDisk(seed);
      const told = nothingTold();
      const calls: string[] = [];
      whole.onCall = (call) => {
        calls.push(call);
        return null;
      };
      await story.tell(whole, told);
      whole.onCall = () => null;
      await story.check(whole, told);
      const step = cases === 1 ? 7 : 1;
      for (let n = 1; n <= calls.length; n += step) {
        for (const kind of kinds) {
          if (kind === 'torn' && calls[n - 1] !== 'write') continue;
          coverage.points!++;
          coverage[kind]!++;
          for (let i = 0; i <= cases; i++) {
            try {
              // The first restart is of the process alone.
              await point(story, n, kind, seed + i, i === 0);
              coverage.restarts!++;
            } catch (error) {
              const where = `${story.name}, call ${n} (${calls[n - 1]}), ${kind}, seed ${seed + i}${i === 0 ? ', process only' : ''}`;
              failures.push(`${where}: ${error instanceof Error ? error.stack?.slice(0, 700) : error}`);
              if (failures.length >= 20) return { cases: coverage.points!, failures, coverage };
            }
          }
        }
      }
      log(`crash-points: ${story.name}: ${calls.length} calls, ${failures.length} failures`);
    }
    return { cases: coverage.points!, failures, coverage };
  },
};

async function point(
  story: (typeof crashStories)[number],
  n: number,
  kind: DiskFault,
  seed: number,
  lossless: boolean,
): Promise<void> {
  const disk = simulatedDisk(seed);
  const told = nothingTold();
  disk.onCall = (_call, _path, at) => (at === n ? kind : null);
  try {
    await story.tell(disk, told);
  } catch (error) {
    if (!isOutcome(error)) throw error;
  }
  disk.onCall = () => null;
  if (disk.crashed || !lossless) {
    if (!disk.crashed) disk.crash();
    disk.restart({ lossless });
  }
  await story.check(disk, told);
}
