/**
 * A large checkpoint, a bit of it flipped or its end cut off, at random: the directory takes the one before and names the
 * file; a reader that was not told beforehand refuses it, too. (Every byte and every length of small ones: test/checkpoint.)
 */
import { prng } from '../../core/base/prng.ts';
import { refusesDamage, twoCheckpoints } from '../checkpoint/damage.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'damage',
  describe: 'a large checkpoint with a flipped bit or cut short is never loaded: the one before is, and it is said so',
  cases: 5000,
  casesInCi: 100,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage = {
      'bits of a part': 0,
      'bits of a manifest': 0,
      'lengths of a part': 0,
      'lengths of a manifest': 0,
    };
    const place = await twoCheckpoints(20_000);
    const random = prng(seed);
    for (let i = 0; i < cases; i++) {
      // Most of it is a part's file.
      const which = random.below(8) === 0 ? 'manifest' : 'part';
      const whole = place.bytesOf(which);
      const cut = random.below(5) === 0;
      coverage[`${cut ? 'lengths' : 'bits'} of a ${which}`]++;
      const at = random.below(whole.length);
      const bytes = cut ? whole.slice(0, at) : whole.slice();
      if (!cut) bytes[at]! ^= 1 << random.below(8);
      const wrong = refusesDamage(place, which, bytes);
      if (wrong !== null)
        failures.push(`seed ${seed}, case ${i}, ${which}, ${cut ? 'length' : 'byte'} ${at}: ${wrong}`);
      if (failures.length >= 20) break;
      if (i % 500 === 499) log(`damage: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    if (!place.loads()) failures.push(`seed ${seed}: what was put back whole is not loaded`);
    log(`damage: ${place.bytesOf('part').length} bytes of a part, ${place.bytesOf('manifest').length} of a manifest`);
    return { cases, failures, coverage };
  },
};
