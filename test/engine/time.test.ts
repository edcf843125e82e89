/** Event time through whole jobs: watermarks per split, idleness, windows that close, rows that are late. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { channel, count, from, jsonl, parquet, run, schema, t, tumble } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const reading = schema({ key: t.string(), at: t.timestamp(3) });
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
const closed = (row: { window: { start: Date }; rows: number }): [number, number] => [
  row.window.start.getUTCSeconds(),
  row.rows,
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'time-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('idleness', () => {
  for (const where of ['at its source', 'behind a union']) {
    test(`a silent input does not hold windows open where event time is assigned ${where}`, async () => {
      const [busy, silent] = [channel(reading), channel(reading)];
      const timed = { outOfOrderness: '0 ms', idleAfter: '100 ms' } as const;
      const united =
        where === 'at its source'
          ? from(busy).eventTime('at', timed).union(from(silent).eventTime('at', timed))
          : from(busy).union(from(silent)).eventTime('at', timed);
      const windows = united.groupBy('key', tumble('10 seconds')).aggregate(() => ({ rows: count() }));
      await using handle = run(windows, { parallelism: 1 });
      const rows = handle[Symbol.asyncIterator]();
      for (const second of [1, 2, 11]) await busy.push({ key: 'a', at: at(second) });
      const first = await rows.next();
      expect(first.done).toBe(false);
      expect(closed(first.value as never)).toEqual([0, 2]);
      busy.end();
      silent.end();
      const second = await rows.next();
      expect(closed(second.value as never)).toEqual([10, 1]);
      expect((await rows.next()).done).toBe(true);
    });
  }

  test('an input that is slow but not idle holds them', async () => {
    const [busy, slow] = [channel(reading), channel(reading)];
    const windows = from(busy)
      .eventTime('at')
      .union(from(slow).eventTime('at'))
      .groupBy('key', tumble('10 seconds'))
      .aggregate(() => ({ rows: count() }));
    await using handle = run(windows, { parallelism: 1 });
    const received: unknown[] = [];
    const receiving = (async () => {
      for await (const row of handle) received.push(closed(row as never));
    })();
    await slow.push({ key: 'a', at: at(3) });
    for (const second of [1, 2, 25]) await busy.push({ key: 'a', at: at(second) });
    while (handle.metrics().rowsIn < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(received).toEqual([]);
    await slow.push({ key: 'a', at: at(26) });
    while (received.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(received[0]).toEqual([0, 3]);
    busy.end();
    slow.end();
    await receiving;
    expect(received).toEqual([
      [0, 3],
      [20, 2],
    ]);
  });
});

describe('lateness', () => {
  test('a row behind its closed window goes to the side, and is counted', async () => {
    const live = channel(reading);
    const windows = from(live)
      .eventTime('at', { outOfOrderness: '2 seconds' })
      .groupBy('key', tumble('10 seconds'))
      .aggregate(() => ({ rows: count() }));
    const handle = run({ windows: windows as never, late: windows.side.late as never } as never, {
      parallelism: 1,
    }) as never as {
      output(name: string): AsyncIterable<{ key: string; at: Date; window: { start: Date }; rows: number }>;
      metrics(): { rowsIn: number; watermark: Date | null };
      result(): Promise<{ lateRows: number }>;
    };
    const [results, late]: [unknown[], unknown[]] = [[], []];
    const receiving = Promise.all([
      (async () => {
        for await (const row of handle.output('windows')) results.push(closed(row));
      })(),
      (async () => {
        for await (const row of handle.output('late')) late.push([row.key, row.at.getUTCSeconds()]);
      })(),
    ]);
    await live.push({ key: 'a', at: at(5) });
    await live.push({ key: 'a', at: at(15) });
    while ((handle.metrics().watermark?.getTime() ?? 0) < at(10).getTime())
      await new Promise((resolve) => setTimeout(resolve, 5));
    while (results.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await live.push({ key: 'b', at: at(9) });
    await live.push({ key: 'a', at: at(11) });
    live.end();
    await receiving;
    expect(results).toEqual([
      [0, 1],
      [10, 2],
    ]);
    expect(late).toEqual([['b', 9]]);
    expect((await handle.result()).lateRows).toBe(1);
  });

  test('row groups in order make no row late, also where a slot is idle while it still holds partial results', async () => {
    const flight = schema({ date: t.timestamp(6), origin: t.string() });
    const path = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
    const windows = from(parquet(path, { schema: flight }))
      .eventTime('date', { outOfOrderness: '1 hour' })
      .groupBy('origin', tumble('1 day'))
      .aggregate(() => ({ rows: count() }));
    for (const parallelism of [2, 2, 3]) {
      const handle = run(windows, { parallelism, mode: 'stream' });
      let rows = 0;
      const receiving = (async () => {
        for await (const row of handle) rows += row.rows;
      })();
      while (handle.metrics().rowsIn < 3_000_000) await new Promise((resolve) => setTimeout(resolve, 5));
      await handle.stop({ drain: true });
      await receiving;
      expect([rows, (await handle.result()).lateRows]).toEqual([3_000_000, 0]);
    }
  });

  test('files read side by side make no row late: an unread one holds event time', async () => {
    const files = 12;
    const perFile = 500;
    for (let file = 0; file < files; file++) {
      const lines = Array.from({ length: perFile }, (_, i) =>
        JSON.stringify({ key: 'a', at: at((file * 5) % 60).getTime() + i }),
      );
      writeFileSync(join(folder, `part-${file}.jsonl`), `${lines.join('\n')}\n`);
    }
    const windows = from(jsonl(`${folder}/part-*.jsonl`, { schema: reading }))
      .eventTime('at')
      .groupBy('key', tumble('5 seconds'))
      .aggregate(() => ({ rows: count() }));
    const handle = run(windows, { parallelism: 3, mode: 'stream' });
    let rows = 0;
    const receiving = (async () => {
      for await (const row of handle) rows += (row as { rows: number }).rows;
    })();
    while (handle.metrics().rowsIn < files * perFile) await new Promise((resolve) => setTimeout(resolve, 5));
    await handle.stop({ drain: true });
    await receiving;
    expect(rows).toBe(files * perFile);
    expect((await handle.result()).lateRows).toBe(0);
  });
});
