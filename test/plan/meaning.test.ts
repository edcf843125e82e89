import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { leavesOf } from '../../core/plan/columns.ts';
import { randomJob } from '../support/random-plan.ts';
import { reference, rowsDifference } from '../support/reference.ts';
import { interpretPhysical } from './interpret-physical.ts';

const cases = 150;

describe('random plans keep their meaning', () => {
  for (const parallelism of [1, 2, 3]) {
    test(`at parallelism ${parallelism}`, () => {
      let compared = 0;
      for (let seed = 1; seed <= cases; seed++) {
        const { builder, plan, sources, rows } = randomJob(prng(seed), {
          rowsMax: 60,
          sinks: ['test', 'caller', 'file'],
        });
        const expected = reference({ plan, sources, rows });
        const ends = plan.outputs.map(({ node }) => ({ node, port: 0 }));
        const { physical, explain } = builder.physical(ends, { parallelism });
        const actual = interpretPhysical(
          physical,
          ({ connector, request }) => {
            const [id, info] = [...sources].find(([node]) => {
              const source = plan.nodes.find((n) => n.id === node)!;
              return source.kind === 'source' && source.connector.label === connector.label;
            })!;
            const own = leavesOf({ fields: info.fields, time: false }).map((leaf) => leaf.name);
            const columns = request.layout.map((leaf) => own.indexOf(leaf.name));
            return rows.get(id)!.map((row) => columns.map((column) => row[column]!));
          },
          new Map(),
        );
        for (const output of expected) {
          if (output.ambiguous) continue;
          const difference = rowsDifference(actual.get(output.name) ?? [], output.rows, { ordered: output.ordered });
          if (difference) expect.fail(`seed ${seed}, output ${output.name}\n${difference}\n${explain.text}`);
          compared += output.rows.length;
        }
      }
      expect(compared).toBeGreaterThan(1000);
    });
  }
});
