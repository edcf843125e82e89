/**
 * The longest gap in a job's output while its state is saved: half a gigabyte in one open window, updated at random all
 * the while, and small windows beside it in the same slots whose results tell how the job goes on.
 */
import { startJob } from '../engine/run.ts';
import type { RunningJob } from '../engine/running-job.ts';
import { blackhole, callback, count, from, generator, sum, tumble } from '../index.ts';
import type { Bench, CaseOptions } from './harness.ts';

export const snapshot: Bench = {
  name: 'snapshot',
  describe: 'longest gap in output during an in-memory snapshot of 500 MB of window state',
  cases: [{ name: 'window-500mb', rows: 10_000_000, slots: [1, 2], bar: '< 50 ms; aim 10', measure }],
};

const rate = 2_000_000;

async function measure({ rows: keys, smoke, slots }: CaseOptions) {
  const events = from(
    generator({
      rate,
      seed: 4,
      columns: (g) => ({
        k: g.bigint(0, keys - 1),
        v: g.int(0, 99),
        at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: rate }),
      }),
    }),
  ).eventTime('at');
  const outputs: number[] = [];
  let few = 0;
  const running = startJob(
    {
      large: events
        .groupBy('k', tumble('1 day'))
        .aggregate((r) => ({ total: sum(r.v), n: count() }))
        .to(blackhole()),
      small: events
        .filter((r) => r.v.eq(7))
        .with((r) => ({ part: r.v.mod(2) }))
        .groupBy('part', tumble('5 ms'))
        .aggregate(() => ({ n: count() }))
        .to(
          callback((row) => {
            outputs.push(performance.now());
            few += row.n;
          }),
        ),
    },
    { parallelism: slots, memory: '4gb' },
  );
  const wanted = smoke ? 1e6 : 500e6;
  while (stateBytes(running) < wanted) await wait(0.05);
  const bytes = stateBytes(running);
  const calm = await during(outputs, () => wait(smoke ? 0.3 : 2));
  const gaps: number[] = [];
  const times: number[] = [];
  let taken = true;
  for (let turn = 0; turn < (smoke ? 1 : 5); turn++) {
    const began = performance.now();
    gaps.push(
      await during(outputs, async () => {
        taken = (await running.snapshot()) !== null && taken;
        times.push(performance.now() - began);
      }),
    );
    await wait(smoke ? 0.1 : 1);
  }
  running.cancel();
  await running.result().catch(() => {});
  const of = (name: string, value: number, unit: string) => ({
    engine: 'millrace' as const,
    name,
    value: Number(value.toPrecision(3)),
    unit,
    checked: taken && few > 0,
  });
  return [
    of('state', bytes / 1e6, 'MB'),
    of('longest gap without', calm, 'ms'),
    of('longest gap', Math.max(...gaps), 'ms'),
    of('snapshot takes', Math.max(...times), 'ms'),
  ];
}

/** The longest time between two outputs from before the work until the first output after it. */
async function during(outputs: number[], work: () => Promise<void>): Promise<number> {
  const first = outputs.length - 1;
  await work();
  const after = outputs.length;
  while (outputs.length === after) await wait(0.001);
  let longest = 0;
  for (let i = Math.max(1, first + 1); i < outputs.length; i++)
    longest = Math.max(longest, outputs[i]! - outputs[i - 1]!);
  return longest;
}

/** Of all slots; a task tells its slot's. */
function stateBytes(running: RunningJob): number {
  const bySlot = new Map<string, number>();
  for (const { slot, stateBytes } of running.numbers().tasks) {
    if (slot !== 'caller') bySlot.set(String(slot), Math.max(bySlot.get(String(slot)) ?? 0, stateBytes));
  }
  return [...bySlot.values()].reduce((all, bytes) => all + bytes, 0);
}

const wait = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
