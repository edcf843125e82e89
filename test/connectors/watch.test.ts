/** Watched places: every file that appears becomes splits once, over restarts, replacements and noise. */
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { jsonlSource } from '../../connectors/jsonl/source.ts';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { prng } from '../../core/base/prng.ts';
import type {
  ConnectorSpec,
  DiscoveryContext,
  Json,
  SourceConnector,
  Split,
  SplitDiscovery,
} from '../../core/ports/connector.ts';
import { PollStatus } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { readerContext, rowsOf, specOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-watch-'));
const open: SplitDiscovery[] = [];
afterAll(() => {
  for (const discovery of open) discovery.close();
  rmSync(root, { recursive: true, force: true });
});

const fields: Fields = [{ name: 'id', type: { kind: 'INT' }, nullable: false }];
const request = { layout: layoutOf(fields), prune: [], timeColumn: null };
let folders = 0;
const folder = (): string => {
  const path = join(root, String(++folders));
  mkdirSync(path);
  return path;
};
const lines = (...ids: number[]): string => ids.map((id) => `{"id":${id}}\n`).join('');

/** A coordinator: runs what is scheduled when told to. */
class Bench {
  readonly splits: Split[] = [];
  error: unknown = null;
  nowMs = Date.now();
  #due: { atMs: number; work: () => void }[] = [];
  readonly #spec: ConnectorSpec;
  readonly #connector: SourceConnector;
  #discovery: SplitDiscovery | null = null;

  constructor(connector: SourceConnector, spec: ConnectorSpec) {
    this.#connector = connector;
    this.#spec = spec;
  }

  start(state: Json = null): this {
    const context: DiscoveryContext = {
      parallelism: 2,
      state,
      emit: (splits) => void this.splits.push(...splits),
      fail: (error) => {
        this.error = error;
      },
      schedule: (afterMs, work) => {
        const one = { atMs: this.nowMs + afterMs, work };
        this.#due.push(one);
        return () => {
          this.#due = this.#due.filter((other) => other !== one);
        };
      },
      nowMs: () => this.nowMs,
      resource: () => undefined,
    };
    this.#discovery = this.#connector.discover!(this.#spec, request, context)!;
    open.push(this.#discovery);
    return this;
  }

  /** Time passes, and what falls due in it is done. */
  pass(ms: number): this {
    const until = this.nowMs + ms;
    for (;;) {
      const next = this.#due.sort((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > until) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#due.shift();
      next.work();
    }
    this.nowMs = until;
    if (this.error) throw this.error;
    return this;
  }

  get scheduled(): number {
    return this.#due.length;
  }

  state(): Json {
    return JSON.parse(JSON.stringify(this.#discovery!.state())) as Json;
  }

  close(): void {
    this.#discovery!.close();
  }

  /** Ids in the splits that were found since the last call. */
  read(): number[] {
    const slot = testSlot({ bytes: 4 * 2 ** 20 });
    const reader = this.#connector.reader(this.#spec, request, readerContext(slot, 1024));
    const ids: number[] = [];
    for (const split of this.splits.splice(0)) {
      reader.open(split);
      while (reader.poll() === PollStatus.moved)
        ids.push(...rowsOf(reader.batch, slot.memory).map(([id]) => id as number));
    }
    reader.close();
    return ids;
  }
}

const watching = (path: string, settleMs = 0, everyMs = 60_000): Bench =>
  new Bench(jsonlSource, specOf('jsonl', { path, schema: fields, watch: { everyMs, settleMs } }));

test('files that are there and files that appear are read once each, oldest first', () => {
  const path = folder();
  writeFileSync(join(path, 'b.jsonl'), lines(1, 2));
  utimesSync(join(path, 'b.jsonl'), 1000, 1000);
  writeFileSync(join(path, 'a.jsonl'), lines(3));
  writeFileSync(join(path, 'other.txt'), 'no');
  mkdirSync(join(path, '.millrace-k.1'));
  writeFileSync(join(path, '.hidden.jsonl'), lines(9));
  const bench = watching(path).start();
  expect(bench.splits).toEqual([]);
  expect(bench.pass(1000).read()).toEqual([1, 2, 3]);
  expect(bench.pass(120_000).read()).toEqual([]);
  writeFileSync(join(path, 'c.jsonl'), lines(4));
  expect(bench.pass(60_000).read()).toEqual([4]);
  expect(bench.pass(120_000).read()).toEqual([]);
});

test('restored, it finds what is new and nothing that was found', () => {
  const path = folder();
  writeFileSync(join(path, 'a.jsonl'), lines(1));
  const first = watching(path).start();
  const nothing = first.state();
  first.pass(1);
  const state = first.state();
  first.close();
  writeFileSync(join(path, 'b.jsonl'), lines(2));
  expect(watching(path).start(state).pass(1).read()).toEqual([2]);
  expect(watching(path).start(nothing).pass(1).read()).toEqual([1, 2]);
  // Another pattern of the same files, later.
  expect(watching(join(path, '*.jsonl')).start(state).pass(1).read()).toEqual([2]);
});

test('a touched file and a copied place bring nothing again, a replaced file comes again, gone ones are forgotten', () => {
  const path = folder();
  const file = join(path, 'a.jsonl');
  writeFileSync(file, lines(1));
  utimesSync(file, 1000, 1000);
  const bench = watching(path).start();
  expect(bench.pass(60_000).read()).toEqual([1]);
  utimesSync(file, 2000, 2000);
  expect(bench.pass(60_000).read()).toEqual([]);
  copyFileSync(file, join(path, '.copy'));
  utimesSync(join(path, '.copy'), 2000, 2000);
  renameSync(join(path, '.copy'), file);
  expect(bench.pass(60_000).read()).toEqual([]);
  writeFileSync(join(path, '.next'), lines(2, 3));
  renameSync(join(path, '.next'), file);
  expect(bench.pass(60_000).read()).toEqual([2, 3]);
  rmSync(file);
  expect(bench.pass(60_000).state()).toEqual({ files: [] });
  rmSync(path, { recursive: true });
  expect(bench.pass(120_000).read()).toEqual([]);
  mkdirSync(path);
  writeFileSync(file, lines(4));
  expect(bench.pass(120_000).read()).toEqual([4]);
});

test('a file that changes in place after it was taken is an error, and one that is replaced before it was read', () => {
  const path = folder();
  const file = join(path, 'a.jsonl');
  writeFileSync(file, lines(1));
  const bench = watching(path).start().pass(1);
  writeFileSync(join(path, '.next'), lines(2, 3));
  renameSync(join(path, '.next'), file);
  expect(() => bench.read()).toThrow(/was replaced by another file/);
  bench.pass(60_000);
  appendFileSync(file, lines(5));
  expect(() => bench.pass(60_000)).toThrow(expect.objectContaining({ code: 'source/failed', where: { path: file } }));
  expect(() => bench.pass(1)).toThrow(/one growing file with follow/);
});

test('a file is taken when it has settled, by its own time or by ours', () => {
  const path = folder();
  const file = join(path, 'a.jsonl');
  const bench = watching(path, 1000).start();
  writeFileSync(file, lines(1));
  utimesSync(file, bench.nowMs / 1000, bench.nowMs / 1000);
  expect(bench.pass(500).splits).toEqual([]);
  appendFileSync(file, lines(2));
  utimesSync(file, bench.nowMs / 1000, bench.nowMs / 1000);
  expect(bench.pass(900).splits).toEqual([]);
  expect(bench.pass(1100).read()).toEqual([1, 2]);
  // The clock of a file server that is an hour ahead.
  writeFileSync(join(path, 'b.jsonl'), lines(3));
  utimesSync(join(path, 'b.jsonl'), bench.nowMs / 1000 + 3600, bench.nowMs / 1000 + 3600);
  bench.pass(60_000);
  expect(bench.pass(2000).read()).toEqual([3]);
});

test('patterns across directories; thousands of files in several turns', () => {
  const path = folder();
  const bench = watching(join(path, '**', 'x*.jsonl'))
    .start()
    .pass(1);
  mkdirSync(join(path, 'one', 'two'), { recursive: true });
  for (let i = 0; i < 2500; i++) writeFileSync(join(path, 'one', i % 2 ? 'two' : '', `x${i}.jsonl`), lines(i));
  writeFileSync(join(path, 'one', 'y.jsonl'), lines(-1));
  const ids = bench.pass(60_000).read();
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 2500 }, (_, i) => i));
});

test('random comings and goings, checkpoints and restarts: every row of every file once', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = prng(seed);
    const path = folder();
    let bench = watching(path).start();
    let kept: { state: Json; splits: Split[] } = { state: null, splits: [] };
    let committed: number[] = [];
    let expected: number[] = [];
    let id = 0;
    const files: string[] = [];
    for (let step = 0; step < 40; step++) {
      switch (random.below(5)) {
        case 0:
        case 1: {
          const replaced =
            files.length > 0 && random.below(4) === 0 && bench.splits.length === 0 && kept.splits.length === 0;
          const name = replaced ? files[random.below(files.length)]! : `f${step}.jsonl`;
          if (!replaced) files.push(name);
          // As everything was read that there is, a replaced file's rows were, too.
          if (replaced && committed.length < expected.length) break;
          const ids = Array.from({ length: 1 + random.below(5) }, () => id++);
          writeFileSync(join(path, '.new'), lines(...ids));
          utimesSync(join(path, '.new'), 10_000 + step, 10_000 + step);
          renameSync(join(path, '.new'), join(path, name));
          expected = [...expected, ...ids];
          break;
        }
        case 2:
          bench.pass(random.below(100_000));
          break;
        case 3: {
          // A checkpoint: what was read so far counts; unread splits stand beside the state.
          const unread = bench.splits.splice(random.below(bench.splits.length + 1));
          committed = [...committed, ...bench.read()];
          bench.splits.push(...unread);
          kept = { state: bench.state(), splits: [...unread] };
          break;
        }
        case 4:
          bench.close();
          bench = watching(path).start(kept.state);
          bench.splits.push(...kept.splits);
      }
    }
    bench.pass(200_000);
    committed = [...committed, ...bench.read()];
    bench.close();
    expect(
      committed.sort((a, b) => a - b),
      `seed ${seed}`,
    ).toEqual(expected);
  }
});

test('the system tells: a new file is found long before the next look, and idle there is nothing to do', async () => {
  const path = folder();
  const bench = watching(path, 0, 3_600_000).start().pass(100);
  expect(bench.scheduled).toBe(1);
  writeFileSync(join(path, 'a.jsonl'), lines(1));
  await vi.waitFor(() => expect(bench.scheduled > 0 && bench.pass(1000).splits.length).toBe(1));
  bench.pass(5000);
  expect(bench.scheduled).toBe(1);
  bench.close();
  expect(bench.scheduled).toBe(0);
});

test('columns: from a file that is there, or declared; neither says what to do', async () => {
  const path = folder();
  const watch = { everyMs: 1000, settleMs: 0 };
  for (const connector of [jsonlSource, parquetSource]) {
    const undeclared = specOf(connector.kind, { path, watch });
    await expect(connector.describe(undeclared, () => undefined)).rejects.toMatchObject({ code: 'source/unsupported' });
    const info = await connector.describe(specOf(connector.kind, { path, watch, schema: fields }), () => undefined);
    expect(info).toMatchObject({ fields, bounded: false });
    expect(info.notes.join()).toContain('every 1000 ms');
  }
  writeFileSync(join(path, 'a.jsonl'), lines(1));
  const info = await jsonlSource.describe(specOf('jsonl', { path, watch }), () => undefined);
  expect(info.fields.map((field) => field.name)).toEqual(['id']);
});

test('parquet files become a split a row group', () => {
  const path = folder();
  const spec = specOf('parquet', { path, watch: { everyMs: 1000, settleMs: 0 } });
  const bench = new Bench(parquetSource, spec).start().pass(1);
  expect(bench.splits).toEqual([]);
  copyFileSync(new URL('../fixtures/parquet/plain-v1.parquet', import.meta.url), join(path, 'a.parquet'));
  // The request asks for a column that this file does not have: that is found when it is cut up.
  expect(() => bench.pass(1000)).toThrow(expect.objectContaining({ code: 'schema/mismatch' }));
});
