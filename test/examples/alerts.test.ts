/** The alerts of examples/alerts.ts and the summary beside them, against a loop over the same rows. */
import { collect, from } from 'millrace';
import { beforeAll, expect, test } from 'vitest';
import alerts, { samples } from '../../examples/alerts.ts';
import { drained, millrace, rowsIn, sorted, temporary } from './support.ts';

const rows = 1_000_000;
const minuteMs = 60_000;

interface Answer {
  readonly alerts: readonly object[];
  readonly machines: readonly object[];
  readonly levels: readonly (readonly [string, number])[];
}
let expected: Answer;

beforeAll(async () => {
  expected = answerOf(await collect(from(samples(rows)), { parallelism: 1 }));
});

test('of ended input, by the command line', async () => {
  const out = temporary();
  const { stdout } = await millrace('alerts.ts', out);
  expectAnswer(out);
  const printed = [...stdout.matchAll(/│ (warning|critical) +│ +(\d+) │/g)].map(([, level, n]) => [level, Number(n)]);
  expect(sorted(printed)).toEqual(expected.levels);
});

for (const parallelism of [1, 2, 3]) {
  test(`as a stream at parallelism ${parallelism}: the same alerts; late rows are counted`, async () => {
    const out = temporary();
    const { lateRows, rowsIn: read } = await drained(alerts, { out }, parallelism);
    const machines = rowsIn<{ samples: number }>(`${out}/machines`);
    const onTime = machines.reduce((sum, { samples }) => sum + samples, 0);
    console.log(`alerts at parallelism ${parallelism}: ${onTime} rows on time, ${lateRows} late`);
    expect(read).toBe(rows);
    expect(onTime + lateRows).toBe(rows);
    // These samples come in order, so that none is late whatever slot reads them.
    expect(lateRows).toBe(0);
    expectAnswer(out);
  });
}

function expectAnswer(out: string): void {
  expect(sorted(rowsIn(`${out}/alerts`))).toEqual(expected.alerts);
  expect(sorted(rowsIn(`${out}/machines`))).toEqual(expected.machines);
}

function answerOf(
  all: readonly { readonly machine: number; readonly at: Date; readonly load: number; readonly watts: number }[],
): Answer {
  const found: object[] = [];
  const levels = new Map<string, number>();
  const groups = new Map<string, { samples: number; peak: number; watts: number }>();
  for (const { machine, at, load, watts } of all) {
    if (load > 0.999 && watts > 500) {
      const level = watts > 800 ? 'critical' : 'warning';
      const text = `machine ${machine}: ${(load * 100).toFixed(2)} % at ${watts} W`;
      found.push({ machine, level, text, at: at.toISOString() });
      levels.set(level, (levels.get(level) ?? 0) + 1);
    }
    const start = Math.floor(at.getTime() / minuteMs) * minuteMs;
    const key = `${machine} ${start}`;
    const group = groups.get(key) ?? { samples: 0, peak: 0, watts: 0 };
    groups.set(key, {
      samples: group.samples + 1,
      peak: Math.max(group.peak, load),
      watts: group.watts + watts,
    });
  }
  const machines = [...groups].map(([key, group]) => {
    const [machine, start] = key.split(' ').map(Number) as [number, number];
    const window = { start: new Date(start).toISOString(), end: new Date(start + minuteMs).toISOString() };
    return { machine, window, ...group };
  });
  return { alerts: sorted(found), machines: sorted(machines), levels: sorted([...levels]) };
}
