/**
 * Compiled expressions against the reference, value by value. A case is one row of one expression: first every function
 * over every type and null pattern, then random trees, both 1 to 6 deep. Where a row raises an error, both must raise the
 * same one, and go on behind it.
 */
import { prng } from '../../core/base/prng.ts';
import { type CaseInput, differs, type Kind, kinds, layout, makers, randomExpr, randomRows } from '../expr/random.ts';
import { type TestSlot, testSlot } from '../expr/slot.ts';
import type { LongSuite } from './suite.ts';

const megabytes = 192;
const rowsPerBatch = 83;
/** No NULL, some, only NULLs; each plain and dictionary-coded. */
const nullPatterns = [0, 0.3, 1];

export const suite: LongSuite = {
  name: 'expressions',
  describe:
    'compiled expressions agree with the reference: every function, type and null pattern, trees of depth 1 to 6',
  cases: 2_000_000,
  casesInCi: 150_000,
  async run({ cases, seed, log }) {
    const coverage: Record<string, number> = {};
    const failures: string[] = [];
    for (const kind of kinds) for (const [name] of makers[kind]) coverage[name] = 0;
    let done = 0;
    let slot: TestSlot | undefined;
    let inputs: readonly CaseInput[] = [];
    let expressions = 0;
    const startMs = performance.now();
    const check = (label: string, make: () => Parameters<typeof differs>[0], caseSeed: number): void => {
      if (slot === undefined || slot.memory.arena.freeBytes < 64 * 1024 * 1024) {
        slot = testSlot(megabytes, slot);
        inputs = inputsOf(slot, caseSeed);
      }
      let problem: string | null;
      try {
        problem = differs(make(), inputs, slot, caseSeed % 3 === 0 ? 512 : 65_536);
      } catch (error) {
        problem = `${error instanceof Error ? error.stack : error}`;
      }
      if (problem !== null) failures.push(`seed ${seed}, ${label}, case seed ${caseSeed}: ${problem}`);
      for (const input of inputs) done += input.chosen.length;
      if (++expressions % 2000 === 0)
        log(`${done} cases, ${Math.round(done / ((performance.now() - startMs) / 1000))} a second`);
    };

    // A thousand rows per function, type and null pattern in the long run; its trees are 1 to 6 deep.
    const perFunction = cases >= 1_000_000 ? Math.ceil(1000 / (rowsPerBatch * 2)) : 1;
    for (const kind of kinds) {
      for (const [name, make] of makers[kind]) {
        for (let i = 0; i < perFunction && failures.length < 50; i++) {
          const caseSeed = seed * 1000 + i;
          coverage[name] = (coverage[name] ?? 0) + 1;
          check(
            name,
            () => {
              const random = prng(caseSeed);
              return make(random, (k) => randomExpr(k, i % 6, random, {}));
            },
            caseSeed,
          );
        }
      }
    }
    log(`every function: ${done} cases of ${expressions} expressions`);
    for (let i = 0; done < cases && failures.length < 50; i++) {
      const caseSeed = seed * 1_000_000 + i;
      const depth = 1 + (i % 6);
      check(
        `depth ${depth}`,
        () => {
          const random = prng(caseSeed);
          return randomExpr(kinds[random.below(kinds.length)] as Kind, depth, random, coverage);
        },
        caseSeed,
      );
    }
    const perSecond = Math.round(done / ((performance.now() - startMs) / 1000));
    return { cases: done, failures, coverage: { ...coverage, expressions, 'cases per second': perSecond } };
  },
};

function inputsOf(slot: TestSlot, seed: number): readonly CaseInput[] {
  const random = prng(seed);
  return nullPatterns.flatMap((nulls) =>
    [false, true].map((dictionaries) => {
      const rows = randomRows(random, rowsPerBatch, nulls);
      const selected = random.below(2) === 1;
      const chosen = rows.map((_, i) => i).filter(() => !selected || random.below(3) > 0);
      return {
        rows,
        chosen,
        batch: slot.batch(layout, rows, selected ? { dictionaries, selection: chosen } : { dictionaries }),
      };
    }),
  );
}
