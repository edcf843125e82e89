import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { printSink, printWriter } from '../../connectors/print/print.ts';
import type { Terminal } from '../../connectors/print/terminal.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, type WriterOptions, writerContext } from './sink-support.ts';
import { specOf } from './support.ts';

const fields: Fields = [
  { name: 'origin', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'mean', type: { kind: 'DOUBLE' }, nullable: true },
  { name: 'at', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
];
const row = (origin: string | null, mean: number | null) => ({ origin, mean, at: new Date(0) });

function terminal(isTty = false) {
  const state = { text: '', closed: false, tell: (): void => {} };
  const fake: Terminal = {
    isTty,
    rows: 40,
    get closed() {
      return state.closed;
    },
    write(text) {
      state.text += typeof text === 'string' ? text : Buffer.from(text).toString();
    },
    onClosed(tell) {
      state.tell = tell;
    },
    close() {},
  };
  return { state, fake };
}

function print(rows: object[], options: WriterOptions & { kinds?: number[]; spec?: object; isTty?: boolean } = {}) {
  const slot = testSlot();
  const { state, fake } = terminal(options.isTty);
  const writer = printWriter(specOf('print', { ...options.spec }), fields, writerContext(slot, fields, options), fake);
  for (const batch of batchesOf(slot, fields, rows, options.kinds ? { kinds: options.kinds } : {})) writer.write(batch);
  writer.finish();
  writer.close();
  return state.text;
}

test('rows that end are one table, numbers to the right, with the count of all', () => {
  const text = print([row('LAX', 1.5), row(null, -20), row('tab\tand \u001b[31mred', null)], { spec: { limit: 2 } });
  expect(text.split('\n')).toEqual([
    '┌────────┬──────┬─────────────────────┐',
    '│ origin │ mean │ at                  │',
    '├────────┼──────┼─────────────────────┤',
    '│ LAX    │  1.5 │ 1970-01-01 00:00:00 │',
    '│ NULL   │  -20 │ 1970-01-01 00:00:00 │',
    '└────────┴──────┴─────────────────────┘',
    '3 rows, the first 2 shown',
    '',
  ]);
});

test('columns stand below one another whatever script their texts are in', () => {
  const text = print([row('東京', 1), row('e\u0301', 2), row('🚀', 3), row('plain', 4)], { spec: {} });
  expect(text.split('\n').slice(3, 7)).toEqual([
    '│ 東京   │    1 │ 1970-01-01 00:00:00 │',
    '│ e\u0301      │    2 │ 1970-01-01 00:00:00 │',
    '│ 🚀     │    3 │ 1970-01-01 00:00:00 │',
    '│ plain  │    4 │ 1970-01-01 00:00:00 │',
  ]);
});

test('what a value holds cannot move the cursor', () => {
  expect(print([row('a\u001b[2Jb\nc', 0)])).toContain('a␛[2Jb␊c');
});

test('rows without end are lines as they come', () => {
  const text = print([row('LAX', 1), row('SFO', 22.25)], { bounded: false });
  expect(text.split('\n')).toEqual([
    'origin   mean  at',
    '──────  ─────  ───────────────────',
    'LAX         1  1970-01-01 00:00:00',
    'SFO     22.25  1970-01-01 00:00:00',
    '2 rows',
    '',
  ]);
});

const changes = { kinds: [0, 0, 1, 2, 3], updating: true };
const changed = [row('LAX', 1), row('SFO', 2), row('LAX', 1), row('LAX', 3), row('SFO', 2)];

test('an updating result is its changes where nobody can redraw', () => {
  expect(
    print(changed, changes)
      .split('\n')
      .map((line) => line.slice(0, 12).trimEnd()),
  ).toEqual(['    origin', '──  ──────', '+I  LAX', '+I  SFO', '-U  LAX', '+U  LAX', '-D  SFO', '']);
});

test('an updating result is redrawn in place on a terminal, in the order asked for', async () => {
  const slot = testSlot();
  const { state, fake } = terminal(true);
  const spec = specOf('print', { sort: [{ column: 'mean', descending: true }] });
  const writer = printWriter(spec, fields, writerContext(slot, fields, { updating: true, bounded: false }), fake);
  const batches = batchesOf(slot, fields, [row('LAX', 1), row('SFO', 2), row('JFK', 30)], { batchRows: 2 });
  writer.write(batches.next().value!);
  while (state.text === '') await new Promise((resolve) => setTimeout(resolve, 10));
  const first = state.text;
  expect(first.indexOf('SFO')).toBeLessThan(first.indexOf('LAX'));
  state.text = '';
  writer.write(batches.next().value!);
  writer.finish();
  writer.close();
  expect(state.text.startsWith(`\u001b[${first.split('\n').length - 1}A\u001b[0J`)).toBe(true);
  expect(state.text.indexOf('JFK')).toBeLessThan(state.text.indexOf('SFO'));
  expect(state.text).toContain('3 rows');
});

test('format jsonl prints what the jsonl sink writes', () => {
  expect(print([row('a "b"', 1.5)], { spec: { format: 'jsonl' } })).toBe(
    '{"origin":"a \\"b\\"","mean":1.5,"at":"1970-01-01T00:00:00.000Z"}\n',
  );
  expect(print([row(null, 1)], { spec: { format: 'jsonl' }, updating: true, kinds: [3] })).toMatch(
    /^\{"row_kind":"-D","origin":null/,
  );
});

test('an unknown format is refused', () => {
  expect(() => printSink.describe(specOf('print', { format: 'csv' }), fields, false)).toThrow(/'csv' is none of table/);
});

test('a closed standard output ends the writer with sink/closed, and wakes the task', () => {
  const slot = testSlot();
  const { state, fake } = terminal();
  let wakes = 0;
  const context = writerContext(slot, fields, { bounded: false, wake: () => wakes++ });
  const writer = printWriter(specOf('print', {}), fields, context, fake);
  const [batch] = batchesOf(slot, fields, [row('LAX', 1)]);
  writer.write(batch);
  state.closed = true;
  state.tell();
  expect(wakes).toBe(1);
  expect(() => writer.write(batch)).toThrow(expect.objectContaining({ code: 'sink/closed' }));
  expect(() => writer.finish()).toThrow(expect.objectContaining({ code: 'sink/closed' }));
});

test('a real pipe that is closed does not end the process by itself', async () => {
  const script = `
    import { createJiti } from 'jiti';
    const path = ${JSON.stringify(fileURLToPath(new URL('../../connectors/print/terminal.ts', import.meta.url)))};
    const { terminalOf } = await createJiti(process.cwd() + '/x.js').import(path);
    const terminal = terminalOf(process.stdout);
    terminal.onClosed(() => { process.stderr.write('told'); process.exitCode = 7; clearInterval(timer); });
    const timer = setInterval(() => terminal.write('x'.repeat(100000)), 1);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let told = '';
  child.stderr.on('data', (chunk) => {
    told += String(chunk);
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.on('exit', resolve));
  expect([code, told]).toEqual([7, 'told']);
});
