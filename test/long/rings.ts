/** The real ring and doorbell code, one atomic operation at a time, in every interleaving of small scenes. */
import { explore } from '../exchange/explore.ts';
import { planted, plantedBugs, sound } from '../exchange/planted.ts';
import { scenes } from '../exchange/ring-scenes.ts';
import type { LongReport, LongSuite } from './suite.ts';

/** States of a scene at most, so that the table of seen states fits into memory; every scene has fewer. */
const statesMax = 3_000_000;

export const suite: LongSuite = {
  name: 'rings',
  describe: 'rings and doorbells, exhaustively; a case is a state, per scene; planted bugs must be found',
  cases: statesMax,
  casesInCi: 32_000,
  run: async ({ cases, log }): Promise<LongReport> => {
    const failures: string[] = [];
    const coverage: Record<string, number> = {};
    let states = 0;
    for (const scene of scenes) {
      const found = explore(scene.memoryBytes, scene.build(sound), cases);
      states += found.states;
      coverage[scene.name] = found.states;
      log(
        `${scene.name}: ${found.states} states${found.complete ? ', all of them' : ''}, ${found.turns} turns, ${found.sleeps} into sleep, ${found.ends} ends`,
      );
      if (found.failure !== null) failures.push(`${scene.name}: ${found.failure}`);
      else if (!found.complete && cases >= statesMax)
        failures.push(`${scene.name}: too large to be explored to the end`);
      coverage['scenes explored to the end'] = (coverage['scenes explored to the end'] ?? 0) + (found.complete ? 1 : 0);
    }
    for (const bug of plantedBugs) {
      const code = planted(bug);
      let found: string | null = null;
      for (const scene of scenes) {
        const { failure } = explore(scene.memoryBytes, scene.build(code), 300_000);
        if (failure === null) continue;
        found = scene.name;
        break;
      }
      if (found === null) failures.push(`not found: ${bug.name}`);
      else log(`found: ${bug.name} (in '${found}')`);
      coverage[`found: ${bug.name}`] = found === null ? 0 : 1;
    }
    return { cases: states, failures, coverage };
  },
};
