/**
 * Every example under the test driver: a few rows by hand, on one thread, with event time moved by the test, crashed in the
 * middle and restored at another parallelism. What they answer for many rows, the other files of this folder show.
 */
import { parquet } from 'millrace';
import { testDriver } from 'millrace/testing';
import { expect, test } from 'vitest';
import alerts, { samples } from '../../examples/alerts.ts';
import flights, { flight } from '../../examples/flights.ts';
import fraud, { paymentSource } from '../../examples/fraud.ts';
import monitoring, { messageSource } from '../../examples/monitoring.ts';
import rules, { eventSource, ruleSource } from '../../examples/rules.ts';
import telemetry, { readings } from '../../examples/telemetry.ts';
import { sorted } from './support.ts';

const rows = 100;
const at = (time: string): Date => new Date(`2026-01-01T${time}Z`);

test('flights: a day closes when event time has passed it, with the flights from before and after a crash', async () => {
  const params = { data: 'flights.parquet' };
  await using driver = testDriver(flights, { seed: 3, parallelism: 2, mode: 'stream', params });
  const source = parquet('flights.parquet', { schema: flight });
  const fly = (origin: string, delay: number | null, time = '2001-01-01T08:00:00Z') => ({
    ...{ date: new Date(time), delay, distance: 100, origin, destination: 'SFO' },
  });
  driver.push(source, fly('LAX', 5), fly('LAX', 40), fly('JFK', null));
  driver.checkpoint();
  driver.push(source, fly('LAX', 21));
  driver.crash();
  driver.restore({ parallelism: 3 });
  expect(await driver.read('days')).toEqual([]);
  driver.watermark(source, '2001-01-02T00:00:00Z');
  const window = { start: new Date('2001-01-01T00:00:00Z'), end: new Date('2001-01-02T00:00:00Z') };
  expect(sorted(await driver.read('days'))).toEqual([
    { origin: 'JFK', window, flights: 1, mean: null, worst: null, late: 0 },
    { origin: 'LAX', window, flights: 3, mean: 22, worst: 40, late: 2 / 3 },
  ]);
  expect(await driver.read('worst')).toEqual([]);

  const busy = Array.from({ length: 20 }, (_, i) => fly('ORD', i, '2001-01-02T09:00:00Z'));
  driver.push(source, busy);
  driver.watermark(source, '2001-01-03T00:00:00Z');
  expect(await driver.read('worst')).toEqual([
    {
      kind: '+I',
      row: { origin: 'ORD', day: new Date('2001-01-02'), flights: 20, mean: 9.5, worst: 19, late: 0.2 },
    },
  ]);
});

test('telemetry: a reading that was late before a crash is late after it, and goes aside as it came', async () => {
  await using driver = testDriver(telemetry, { seed: 5, parallelism: 2, mode: 'stream', params: { rows } });
  const source = readings(rows);
  const late = { device: 'device-7', at: at('00:00:30'), celsius: 90 };
  driver.push(source, { device: 'device-7', at: at('00:00:10'), celsius: 20 });
  driver.push(source, { device: 'device-7', at: at('00:01:20'), celsius: 30 });
  expect(await driver.read('rollup')).toEqual([
    { device: 'device-7', minute: at('00:00:00'), readings: 1, mean: 20, peak: 20 },
  ]);
  driver.checkpoint();
  driver.push(source, late);
  driver.crash();
  driver.restore({ parallelism: 1 });
  expect(await driver.read('late')).toEqual([late]);
  driver.push(source, { device: 'device-7', at: at('00:01:40'), celsius: null });
  driver.end();
  expect(await driver.read('rollup')).toEqual([]);
  driver.watermark(source, at('00:03:00')).catch(() => {});
});

test('alerts: a sample above both limits, worded; levels count it once, crash or not', async () => {
  await using driver = testDriver(alerts, { seed: 2, params: { rows } });
  const source = samples(rows);
  driver.push(
    source,
    { machine: 1, at: at('00:00:00'), load: 0.9995, watts: 600 },
    { machine: 1, at: at('00:00:01'), load: 0.9995, watts: 400 },
  );
  driver.checkpoint();
  driver.push(source, { machine: 2, at: at('00:00:02'), load: 1, watts: 900 });
  driver.crash();
  driver.restore({ parallelism: 3 });
  expect((await driver.read('alerts')).map(({ text, level }) => `${level}: ${text}`)).toEqual([
    'warning: machine 1: 99.95 % at 600 W',
    'critical: machine 2: 100.00 % at 900 W',
  ]);
  driver.end();
  expect(sorted(await driver.read('levels'))).toEqual([
    { level: 'critical', alerts: 1 },
    { level: 'warning', alerts: 1 },
  ]);
  const window = { start: at('00:00:00'), end: at('00:01:00') };
  expect(sorted(await driver.read('machines'))).toEqual([
    { machine: 1, window, samples: 2, peak: 0.9995, watts: 1000 },
    { machine: 2, window, samples: 1, peak: 1, watts: 900 },
  ]);
});

test('fraud: a large payment within a minute after a small one; a minute later it is forgotten', async () => {
  await using driver = testDriver(fraud, { seed: 7, parallelism: 2, mode: 'stream', params: { rows } });
  const source = paymentSource(rows);
  /** Below 1 by kind 0, else `euros`. */
  const pay = (id: number, time: string, euros: number) => ({
    ...{ id, card: 'card-1', at: at(time), kind: euros < 1 ? 0 : 1, cents: 50, euros },
  });
  driver.push(source, pay(1, '00:00:00', 0));
  driver.watermark(source, at('00:00:10'));
  driver.checkpoint();
  driver.push(source, pay(2, '00:00:30', 900));
  driver.crash();
  driver.restore({ parallelism: 3 });
  driver.watermark(source, at('00:00:40'));
  expect(await driver.read('alerts')).toEqual([
    { card: 'card-1', id: 2, reason: 'large after small', payments: 2, spent: 901 },
  ]);
  expect((await driver.read('scored')).map(({ id, score }) => [id, score])).toEqual([
    [1, 0.5 / 500],
    [2, 1],
  ]);
  driver.push(source, pay(3, '00:01:00', 0));
  driver.watermark(source, at('00:02:30'));
  driver.advance('1 day');
  driver.push(source, pay(4, '00:02:31', 900));
  driver.watermark(source, at('00:03:00'));
  expect(await driver.read('alerts')).toEqual([]);
  expect((await driver.read('scored')).map(({ id }) => id)).toEqual([3, 4]);
});

test('monitoring: silence is told of 25 seconds after the last beat, which was before a crash', async () => {
  await using driver = testDriver(monitoring, { seed: 4, parallelism: 3, mode: 'stream', params: { rows } });
  const source = messageSource(rows);
  // Message n is of process n mod 100 of its 800; its step is n / 100.
  const message = (step: number, time: string) => ({ n: 100 * step + 7, at: at(time), luck: 1 });
  driver.push(source, message(0, '00:00:00'), message(1, '00:00:10'));
  driver.checkpoint();
  driver.crash();
  driver.restore({ parallelism: 1 });
  driver.watermark(source, at('00:00:34'));
  expect(await driver.read('reports')).toEqual([]);
  driver.watermark(source, at('00:00:35'));
  expect(await driver.read('reports')).toEqual([{ process: 7, what: 'silent for 25 seconds', at: at('00:00:35') }]);
  driver.push(source, message(7, '00:00:50'));
  expect(await driver.read('lives')).toEqual([{ process: 7, seconds: 50 }]);
  driver.watermark(source, at('00:02:00'));
  expect(await driver.read('reports')).toEqual([]);
});

test('rules: a rule counts from its own time on, also when it came before a crash and the event after it', async () => {
  await using driver = testDriver(rules, { seed: 9, parallelism: 2, mode: 'stream', params: { rows } });
  const source = eventSource(rows);
  const event = (id: number, time: string, amount: number) => ({
    ...{ id, user: 'user-1', which: 0, amount, at: at(time) },
  });
  driver.push(ruleSource, { id: 'buyer', kind: 'buy', above: 50, enabled: true, at: at('00:01:00') });
  driver.checkpoint();
  driver.push(source, event(1, '00:00:30', 90));
  driver.crash();
  driver.restore({ parallelism: 3 });
  driver.push(source, event(2, '00:01:30', 10));
  driver.watermark(source, at('00:02:00'));
  expect(await driver.read('result')).toEqual([]);
  driver.watermark(ruleSource, at('00:02:00'));
  expect(await driver.read('result')).toEqual([{ id: 2, user: 'user-1', rule: 'buyer', total: 100 }]);
});
