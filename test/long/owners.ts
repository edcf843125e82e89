/** One owner per state directory: many starts at one moment, and owners stopped at every disk call. Real processes. */
import { type Before, concurrentStarts, emptyPlace, stoppedOwner } from '../checkpoint/processes.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'owners',
  describe:
    'of 200 concurrent starts one wins; an owner stopped at any disk call and continued after a take-over changes nothing',
  cases: 200,
  casesInCi: 20,
  async run({ cases, log }) {
    const failures: string[] = [];
    const coverage: Record<string, number> = { starts: 0, refused: 0, 'stopped owners': 0, fenced: 0 };
    for (const before of ['nothing', 'given up', 'killed'] as Before[]) {
      const place = emptyPlace();
      const { won, lost } = await concurrentStarts(place.path, cases, before);
      place.remove();
      coverage.starts! += cases;
      coverage.refused! += lost['state/locked'] ?? 0;
      if (won !== 1 || (lost['state/locked'] ?? 0) !== cases - 1)
        failures.push(`before ${before}: ${won} won, ${JSON.stringify(lost)}`);
      log(`owners: ${cases} starts (before: ${before}), ${won} won`);
    }
    // In the long run every call, in CI every seventh.
    for (let n = 1; ; n += cases >= 200 ? 1 : 7) {
      const place = emptyPlace();
      const { stopped, said, changed, wrong } = await stoppedOwner(place.path, n);
      place.remove();
      if (!stopped) break;
      coverage['stopped owners']!++;
      if (/state\/fenced|ENOENT/.test(said)) coverage.fenced!++;
      // Behind its last commit there is nothing left that it could be kept from.
      else if (said === 'done') coverage['with nothing left to do'] = (coverage['with nothing left to do'] ?? 0) + 1;
      else failures.push(`stopped before call ${n}: it said ${said}`);
      if (wrong !== null) failures.push(`stopped before call ${n}: ${wrong}`);
      if (changed) failures.push(`stopped before call ${n}: it changed something`);
    }
    return { cases: coverage.starts! + coverage['stopped owners']!, failures, coverage };
  },
};
