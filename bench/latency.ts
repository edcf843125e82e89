/**
 * How long a result takes: windows of 100 ms over 1,000 keys at half the rate that saturates, every event carrying the
 * time at which it was due, from the window's end to the callback; and single rows through a hash edge.
 */
import { callback, count, from, generator, max, run, tumble } from '../index.ts';
import type { Bench, CaseOptions } from './harness.ts';

export const latency: Bench = {
  name: 'latency',
  describe: 'milliseconds from when a result was due to the callback that gets it',
  cases: [
    { name: 'windows', rows: 1, bar: 'p99 < 20 ms; aim 8', measure: windows, slots: [1, 2] },
    { name: 'sparse', rows: 1, bar: 'p99 < 10 ms; aim 6', measure: sparse, slots: [2] },
  ],
};

const now = (): number => performance.timeOrigin + performance.now();

/** Rows per second that are taken when more are due. */
async function saturated(parallelism: number, seconds: number): Promise<number> {
  const handle = run(
    windowed(200_000_000, () => {}),
    { parallelism },
  );
  await until(() => handle.metrics().rowsIn > 0);
  const [began, before] = [performance.now(), handle.metrics().rowsIn];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const rate = (handle.metrics().rowsIn - before) / ((performance.now() - began) / 1000);
  await handle.cancel();
  return rate;
}

interface Closed {
  readonly window: { readonly end: Date };
  readonly n: number;
}

const windowed = (rate: number, receive: (row: Closed) => void) =>
  from(generator({ rate, seed: 9, columns: (g) => ({ k: g.int(0, 999), at: g.due() }) }))
    .eventTime('at')
    .groupBy('k', tumble('100 ms'))
    .aggregate(() => ({ n: count() }))
    .to(callback(receive));

async function windows({ smoke, slots }: CaseOptions) {
  const rate = (await saturated(slots, smoke ? 0.5 : 5)) / 2;
  const times: number[] = [];
  let rows = 0;
  const handle = run(
    windowed(rate, (row) => {
      times.push(now() - row.window.end.getTime());
      rows += row.n;
    }),
    { parallelism: slots },
  );
  await wait(smoke ? 2 : 62);
  const seen = times.length;
  await handle.stop({ drain: true });
  const result = await handle.result();
  // The first two seconds start, warm up and compile; what the stop closed early is no result that was due.
  const from = Math.min(Math.floor(seen / 2), 20_000);
  const checked = rows === result.rowsIn && result.lateRows === 0;
  return [measured('rate', rate / 1e6, 'M events/s', checked), ...quantiles(times.slice(from, seen), checked)];
}

async function sparse({ smoke, slots }: CaseOptions) {
  const times: number[] = [];
  let newest = 0;
  const rows = from(generator({ rate: 10, seed: 9, columns: (g) => ({ k: g.int(0, 999), at: g.due() }) }));
  const grouped = rows.groupBy('k').aggregate((r) => ({ n: count(), last: max(r.at) }));
  const handle = run(
    grouped.to(
      callback(({ kind, row }) => {
        if (kind !== '+I' && kind !== '+U') return;
        const last = (row.last as Date).getTime();
        times.push(now() - last);
        if (last > newest) newest = last;
      }),
    ),
    { parallelism: slots },
  );
  await wait(smoke ? 2 : 62);
  await handle.stop({ drain: true });
  const { rowsIn } = await handle.result();
  return quantiles(times.slice(Math.min(10, times.length >> 1)), times.length === rowsIn);
}

function quantiles(times: readonly number[], checked: boolean) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return [
    measured('p50', at(0.5), 'ms', checked),
    measured('p99', at(0.99), 'ms', checked),
    measured('longest', at(1), 'ms', checked),
  ];
}

const measured = (name: string, value: number, unit: string, checked: boolean) => ({
  engine: 'millrace' as const,
  name,
  value: Number(value.toPrecision(3)),
  unit,
  checked,
});

const wait = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await wait(0.005);
}
