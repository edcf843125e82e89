/**
 * `memory.js endless SLOTS`: a stream over bounded keys until its parent ends it. `memory.js ended SLOTS MEGABYTES`: a
 * job with that much state, and what the process holds before it and five seconds after it, as JSON to the parent.
 */
import { readFileSync } from 'node:fs';
import { blackhole, count, from, generator, run, sum, tumble } from '../../index.ts';

const [what, slots, megabytes] = process.argv.slice(2);
const parallelism = Number(slots);

if (what === 'endless') {
  const events = generator({
    seed: 2,
    columns: (g) => ({
      k: g.bigint(0, 99_999),
      v: g.int(0, 99),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1_000_000, disorder: '1 second' }),
    }),
  });
  const windows = from(events)
    .eventTime('at', { outOfOrderness: '1 second' })
    .groupBy('k', tumble('1 second'))
    .aggregate((r) => ({ total: sum(r.v), n: count() }));
  const handle = run(windows.to(blackhole()), { parallelism, memory: '1gb' });
  handle.result().catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
  while (handle.metrics().rowsOut === 0) await wait(0.2);
  process.send!({ rows: handle.metrics().rowsOut });
} else {
  await grouped(100_000);
  await wait(1);
  const before = residentBytes();
  const stateBytes = await grouped(Math.round((Number(megabytes) * 1e6) / bytesPerKey()));
  await wait(5);
  process.send!({ before, after: residentBytes(), stateBytes });
}

/** A page entry of a BIGINT key with a sum and a count, where pages are half to three quarters full. */
function bytesPerKey(): number {
  return 56;
}

/** Groups `rows` rows, each of a key of its own; answers the most state that was seen. */
async function grouped(rows: number): Promise<number> {
  const table = from(generator({ rows, columns: (g) => ({ k: g.sequence(), v: g.int(0, 99) }) }));
  const groups = table.groupBy('k').aggregate((r) => ({ total: sum(r.v), n: count() }));
  const handle = run(groups.to(blackhole()), { parallelism, memory: '6gb' });
  let most = 0;
  const timer = setInterval(() => {
    const bySlot = new Map<unknown, number>();
    for (const { slot, stateBytes } of handle.metrics().tasks)
      bySlot.set(slot, Math.max(bySlot.get(slot) ?? 0, slot === 'caller' ? 0 : stateBytes));
    most = Math.max(
      most,
      [...bySlot.values()].reduce((all, bytes) => all + bytes, 0),
    );
  }, 5);
  const { rowsOut } = await handle.result();
  clearInterval(timer);
  if (rowsOut !== rows) throw new Error(`${rowsOut} groups of ${rows} rows`);
  return most;
}

function residentBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
