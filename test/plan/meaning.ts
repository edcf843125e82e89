/** One random plan, from its seed: planned, checked against the laws, interpreted, and compared with what was asked for. */
import { prng } from '../../core/base/prng.ts';
import { leavesOf } from '../../core/plan/columns.ts';
import { type RandomPlanOptions, randomJob } from '../support/random-plan.ts';
import { reference, rowsDifference } from '../support/reference.ts';
import { interpretPhysical } from './interpret-physical.ts';
import { brokenLaws } from './well-formed.ts';

/** Answers how many rows were compared. Throws what is wrong, with the plan. */
export function comparePlan(seed: number, parallelism: number, options: RandomPlanOptions = {}): number {
  const { builder, plan, sources, rows } = randomJob(prng(seed), {
    rowsMax: 60,
    sinks: ['test', 'caller', 'file'],
    ...options,
  });
  const ends = plan.outputs.map(({ node }) => ({ node, port: 0 }));
  const { physical, explain } = builder.physical(ends, { parallelism });
  const broken = brokenLaws(physical, parallelism);
  if (broken.length > 0) throw new Error(`seed ${seed}: ${broken.join('\n')}\n${explain.text}`);
  const actual = interpretPhysical(
    physical,
    ({ connector, request }) => {
      const source = plan.nodes.find((node) => node.kind === 'source' && node.connector.label === connector.label)!;
      const own = leavesOf({ fields: sources.get(source.id)!.fields, time: false }).map((leaf) => leaf.name);
      const columns = request.layout.map((leaf) => own.indexOf(leaf.name));
      return rows.get(source.id)!.map((row) => columns.map((column) => row[column]!));
    },
    new Map(),
  );
  let compared = 0;
  for (const output of reference({ plan, sources, rows })) {
    if (output.ambiguous) continue;
    const difference = rowsDifference(actual.get(output.name) ?? [], output.rows, { ordered: output.ordered });
    if (difference) throw new Error(`seed ${seed}, output ${output.name}: ${difference}\n${explain.text}`);
    compared += output.rows.length;
  }
  return compared;
}
