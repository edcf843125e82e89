import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { randomJob } from '../support/random-plan.ts';
import { brokenLaws } from './well-formed.ts';

const cases = 100;

describe('random plans', () => {
  for (const [name, options] of [
    ['unbounded', { unbounded: true }],
    ['with sources on the thread of the caller', { places: ['slot', 'caller'] as const }],
  ] as const) {
    for (const parallelism of [1, 2, 5]) {
      test(`${name} at parallelism ${parallelism} become well-formed chains`, () => {
        for (let seed = 1; seed <= cases; seed++) {
          const { builder, plan } = randomJob(prng(seed), options);
          const ends = plan.outputs.map(({ node }) => ({ node, port: 0 }));
          const { physical, explain } = builder.physical(ends, { parallelism });
          const broken = brokenLaws(physical, parallelism);
          if (broken.length > 0) expect.fail(`seed ${seed}\n${broken.join('\n')}\n${explain.text}`);
        }
      });
    }
  }
});
