/** What the test driver promises, one sentence a test. */
import { describe, expect, test } from 'vitest';
import { channel, collection, count, from, job, jsonl, schema, state, sum, t, tumble } from '../../index.ts';
import { testDriver } from '../../testing.ts';
import fraud, { payments } from './fraud.ts';

const pay = (id: string, amount: number, at: string) => ({ id, card: 'c1', amount, at: new Date(`2026-01-01T${at}Z`) });
const error = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (reason: unknown) => reason as Error,
  );

describe('a driver', () => {
  test('a small payment is remembered for one minute of event time, through a crash', async () => {
    await using driver = testDriver(fraud, { seed: 7, parallelism: 2, startAt: '2026-01-01T00:00:00Z' });
    driver.push(payments, pay('p1', 0.5, '00:00:00'));
    driver.checkpoint();
    driver.push(payments, pay('p2', 900, '00:00:30'));
    driver.crash();
    driver.restore({ parallelism: 3 });
    expect(await driver.read('alerts')).toEqual([{ card: 'c1', reason: 'large after small', small: 0.5, large: 900 }]);

    driver.push(payments, pay('p3', 0.5, '00:01:00'));
    driver.watermark(payments, '2026-01-01T00:02:00Z');
    driver.advance('1 hour');
    driver.push(payments, pay('p4', 900, '00:02:01'));
    expect(await driver.read('alerts')).toEqual([]);
    expect((await driver.read('scored')).map((row) => row.id)).toEqual(['p1', 'p2', 'p3', 'p4']);
  });

  test('gives each result once: what was read before a crash is not given again, what was not comes after it', async () => {
    await using driver = testDriver(fraud);
    driver.push(payments, [pay('p1', 5, '00:00:00'), pay('p2', 5, '00:00:01')]);
    driver.checkpoint();
    driver.push(payments, pay('p3', 5, '00:00:02'));
    expect((await driver.read('scored')).map((row) => row.id)).toEqual(['p1', 'p2', 'p3']);
    driver.push(payments, pay('p4', 5, '00:00:03'));
    driver.crash();
    expect(await driver.read('scored')).toEqual([]);
    driver.restore({ parallelism: 4 });
    driver.push(payments, pay('p5', 5, '00:00:04'));
    expect((await driver.read('scored')).map((row) => row.id)).toEqual(['p4', 'p5']);
  });

  test('begins anew after a crash without a checkpoint', async () => {
    await using driver = testDriver(fraud, { parallelism: 2 });
    driver.push(payments, pay('p1', 0.5, '00:00:00'));
    driver.crash();
    driver.restore();
    driver.push(payments, pay('p2', 900, '00:00:30'));
    expect(await driver.read('alerts')).toHaveLength(1);
  });

  const event = schema({ k: t.string(), v: t.int(), at: t.timestamp(3) });
  const clicks = channel(event);
  const orders = channel(event);
  const timed = job('timed', () => ({
    sums: from(clicks)
      .eventTime('at')
      .groupBy('k', tumble('10 seconds'))
      .aggregate((r) => ({ n: count(), total: sum(r.v) }))
      .pick('k', 'n', 'total'),
    ticks: from(orders)
      .keyBy('k')
      .process({
        output: schema({ k: t.string(), said: t.string(), at: t.timestamp(3) }),
        state: { n: state.value(t.int()) },
        onRow: (_row, ctx) => ctx.timers.processingTime('tick', '10 seconds'),
        onTimer(timer, ctx) {
          const n = (ctx.state.n.get() ?? 0) + 1;
          ctx.state.n.set(n);
          ctx.emit({ k: ctx.key.k, said: `${timer.name} ${n}`, at: timer.time });
          if (n < 3) ctx.timers.processingTime('tick', '10 seconds');
        },
      }),
  }));
  const row = (k: string, v: number, seconds: number) => ({ k, v, at: new Date(seconds * 1000) });

  test('closes windows when a watermark says so, and calls rows late after it', async () => {
    await using driver = testDriver(timed, { parallelism: 2 });
    driver.push(clicks, row('a', 1, 1), row('a', 2, 3), row('b', 3, 2));
    expect(await driver.read('sums')).toEqual([]);
    driver.watermark(clicks, new Date(10_000));
    expect((await driver.read('sums')).sort((x, y) => (x.k < y.k ? -1 : 1))).toEqual([
      { k: 'a', n: 2, total: 3 },
      { k: 'b', n: 1, total: 3 },
    ]);
    driver.push(clicks, row('a', 9, 4));
    driver.watermark(clicks, new Date(30_000));
    expect(await driver.read('sums')).toEqual([]);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 3 });
    driver.push(clicks, row('a', 9, 5), row('a', 7, 31));
    driver.watermark(clicks, new Date(50_000));
    expect(await driver.read('sums')).toEqual([{ k: 'a', n: 1, total: 7 }]);
  });

  test('fires timers of the clock one after the other while it advances, also those that timers set, and after a crash', async () => {
    await using driver = testDriver(timed, { startAt: new Date(0), parallelism: 2 });
    driver.push(orders, row('a', 1, 0));
    driver.advance('9 seconds');
    expect(await driver.read('ticks')).toEqual([]);
    driver.advance('12 seconds');
    const ticks = await driver.read('ticks');
    expect(ticks.map(({ said }) => said)).toEqual(['tick 1', 'tick 2']);
    expect(ticks.map(({ at }) => at.getTime())).toEqual([10_000, 20_000]);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 1 });
    driver.advance('1 minute');
    expect((await driver.read('ticks')).map(({ said, at }) => `${said} ${at.getTime()}`)).toEqual(['tick 3 30000']);
  });

  test('ends sources, and with the last the job', async () => {
    const rows = collection<{ k: string; v: number }>([], { schema: schema({ k: t.string(), v: t.int() }) });
    const totals = job('totals', () =>
      from(rows)
        .groupBy('k')
        .aggregate((r) => ({ total: sum(r.v) })),
    );
    await using driver = testDriver(totals, { parallelism: 3, batchRows: 2 });
    driver.push(rows, { k: 'a', v: 1 }, { k: 'b', v: 2 }, { k: 'a', v: 3 });
    expect(await driver.read('result')).toEqual([]);
    driver.end();
    expect((await driver.read('result')).sort((x, y) => (x.k < y.k ? -1 : 1))).toEqual([
      { k: 'a', total: 4 },
      { k: 'b', total: 2 },
    ]);
    expect((await error(driver.push(rows, { k: 'a', v: 1 }))).message).toContain('has ended');
  });

  test('is the same run for the same seed and calls', async () => {
    const once = async (seed: number): Promise<unknown[]> => {
      await using driver = testDriver(fraud, { seed, parallelism: 4, batchRows: 3 });
      for (let i = 0; i < 40; i++) {
        driver.push(payments, { ...pay(`p${i}`, i, '00:00:00'), card: `c${i % 7}` });
        if (i % 13 === 5) {
          driver.checkpoint();
          driver.push(payments, pay(`more ${i}`, i, '00:00:01'));
          driver.crash();
          driver.restore();
        }
      }
      return driver.read('scored');
    };
    expect(await once(3)).toEqual(await once(3));
    expect(await once(4)).toHaveLength(43);
  });

  test('ends rows with their call, so that a job that keeps one fails', async () => {
    const kept: { k: string }[] = [];
    const keeping = job('keeping', () =>
      from(clicks).map(schema({ k: t.string() }), (one) => {
        kept.push(one);
        return { k: one.k };
      }),
    );
    await using driver = testDriver(keeping);
    await driver.push(clicks, row('a', 1, 0));
    expect(await driver.read('result')).toEqual([{ k: 'a' }]);
    expect(() => kept[0]!.k).toThrow();
  });

  test('tells what the job fails with, where it does', async () => {
    const failing = job('failing', () =>
      from(clicks).map(schema({ k: t.string() }), (one) => {
        if (one.v > 1) throw new Error('too much');
        return { k: one.k };
      }),
    );
    await using driver = testDriver(failing);
    driver.push(clicks, row('a', 1, 0));
    expect((await error(driver.push(clicks, row('b', 2, 0)))).message).toContain('too much');
    expect(await driver.read('result').catch((reason: Error) => reason.message)).toContain('too much');
  });

  test('tells the error of a call that nobody awaits to the next that somebody does', async () => {
    const driver = testDriver(fraud);
    driver.restore();
    expect((await error(driver.read('scored'))).message).toContain('restore() starts it again after crash()');
    expect(await driver.read('scored')).toEqual([]);
    expect((await error(driver.checkpoint().then(() => driver.restore()))).message).toContain('the job runs');
    await driver[Symbol.asyncDispose]();
  });

  test('refuses what makes no sense, saying what would', async () => {
    await using driver = testDriver(fraud);
    expect(() => driver.push(clicks as never, row('a', 1, 0) as never)).toThrow('does not read');
    expect(() => driver.read('alarms' as never)).toThrow("there is no output 'alarms'; there are scored, alerts");
    expect(() => driver.watermark(payments, 'soon')).toThrow('must be a Date');
    expect(() => driver.advance('1 dya' as never)).toThrow();
    expect(() => testDriver(fraud, { parallelism: 0 })).toThrow('parallelism must be');
    expect(() => testDriver(fraud, { seed: 0.5 })).toThrow('seed');
    await using other = testDriver(timed);
    expect((await error(other.watermark(orders, new Date(0)))).message).toContain('has no event time');
    void jsonl;
  });
});
