/** Examples in two lives. Loaded with `millrace` meaning the sources, of which the engine here is made: see ../rescale.ts. */
import alerts from '../../../examples/alerts.ts';
import flights from '../../../examples/flights.ts';
import fraud from '../../../examples/fraud.ts';
import monitoring from '../../../examples/monitoring.ts';
import rules from '../../../examples/rules.ts';
import telemetry from '../../../examples/telemetry.ts';
import { type Change, linesOf, twoLives } from './two-lives.ts';

const examples = { alerts, flights, fraud, monitoring, rules, telemetry };
export type Example = keyof typeof examples;

export interface Lives extends Change {
  readonly example: Example;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Lines of JSON that the files hold in the end, by end. */
export async function lived({ example, params, ...change }: Lives): Promise<ReadonlyMap<string, readonly string[]>> {
  const options = { mode: 'bounded', params: { ...params, out: '/out' } } as const;
  const disk = await twoLives(examples[example], change, options);
  return new Map(disk.list('/out').map((end) => [end, linesOf(disk, `/out/${end}`)]));
}
