/**
 * A barrier that passes while lazy timers of time to live are taken finds all of them in state: a key whose values live for
 * different times is looked at again, and its timer must not be in the hands of the operator alone.
 */
import { tableFromIPC } from 'apache-arrow';
import { expect, test } from 'vitest';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import { submit } from '../../engine/run.ts';
import { openSavepoint } from '../../engine/savepoint.ts';
import { from, generator, job, jsonl, schema, state, t } from '../../index.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';

const keys = 2000;

const short = job('short lives', () =>
  from(
    generator({
      rows: 5 * keys,
      columns: (g) => ({ n: g.sequence(), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: keys }) }),
    }),
  )
    .eventTime('at')
    .with((r) => ({
      k: r.n
        .mod(keys)
        .add(r.n.sub(r.n.mod(2 * keys)))
        .cast(t.bigint()),
    }))
    .pick('n', 'k', 'at')
    .keyBy('k')
    .process({
      output: schema({ n: t.bigint() }),
      state: { texts: state.list(t.string(), { ttl: '900 ms' }), last: state.value(t.bigint(), { ttl: '300 ms' }) },
      onRow({ n }, ctx) {
        ctx.state.texts.add(`row ${n}`);
        ctx.state.last.set(n);
      },
    })
    .to(jsonl('/out')),
);

test('every key with values has its timer in every savepoint, whenever it is taken', async () => {
  const disk = simulatedDisk(1);
  const options = { parallelism: 1, stateDir: '/state', mode: 'bounded', memory: '320mb', batchRows: 64 };
  const local = new LocalJob(submit(short, { ...options, checkpoint: { every: 'never' } } as never, null), {
    seed: 1,
    disk,
    clock: virtualClock(Date.UTC(2026, 0, 1)),
  });
  await local.start();
  let asked = 0;
  let looked = 0;
  let open = false;
  const wrong: string[] = [];
  for (let idle = 0; local.outcome === null && idle < 2000; ) {
    if (!open) {
      open = true;
      void local.ask({ kind: 'savepoint', directory: `/saved/${++asked}` }).then(({ path }) => {
        open = false;
        if (path === null) return;
        looked++;
        const { states } = openSavepoint(disk, path);
        const keysOf = (name: string): Set<number> => {
          const found = states.find((one) => one.name === name)!;
          const column = tableFromIPC(disk.read(`${path}/${found.file}`)).getChild('k')!;
          return new Set([...column].map(Number));
        };
        const armed = keysOf('ttl.event');
        const forgotten = [...keysOf('texts')].filter((k) => !armed.has(k));
        if (forgotten.length > 0) wrong.push(`savepoint ${asked}: ${forgotten.length} keys, as ${forgotten[0]}`);
      });
    }
    if (local.turn()) idle = 0;
    else {
      idle++;
      await local.settle();
      local.clock.advance(1);
    }
    if (local.steps % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(local.outcome).toEqual({ kind: 'finished' });
  expect(wrong).toEqual([]);
  expect(looked).toBeGreaterThan(2);
});
