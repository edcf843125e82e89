/** A growing file: whole lines only, each once, over restarts, rotation and truncation. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { jsonlSource } from '../../connectors/jsonl/source.ts';
import { prng } from '../../core/base/prng.ts';
import { type Json, PollStatus, type SourceReader, type Split } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';
import { type FakeClock, readerContext, rowsOf, specOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-follow-'));
const open: SourceReader[] = [];
afterAll(() => {
  for (const reader of open) reader.close();
  rmSync(root, { recursive: true, force: true });
});

const fields: Fields = [{ name: 'id', type: { kind: 'INT' }, nullable: false }];
const request = { layout: layoutOf(fields), prune: [], timeColumn: null };
const line = (id: number): string => `{"id":${id}}\n`;
let folders = 0;
const fresh = (): string => {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  return join(folder, 'app.log');
};

/** One job's reader; time passes when told to. */
class Following {
  readonly clock: FakeClock = { nowMs: 0, wakeAt: null, wakes: 0 };
  readonly #slot: TestSlot = testSlot({ bytes: 4 * 2 ** 20 });
  readonly #reader: SourceReader;

  constructor(path: string, options: object = {}, position: Json = null) {
    const follow = { everyMs: 1000, from: 'start', onLost: 'fail', ...options };
    const spec = specOf('jsonl', { path, schema: fields, follow });
    const split: Split = {
      id: path,
      options: { path, from: 0, to: 0, size: 0, follow },
      position: JSON.parse(JSON.stringify(position)) as Json,
      estimatedRows: null,
      minimum: null,
    };
    this.#reader = jsonlSource.reader(spec, request, readerContext(this.#slot, 7, {}, this.clock));
    open.push(this.#reader);
    this.#reader.open(split);
  }

  /** Ids until it starves, after `ms`. */
  read(ms = 1000): number[] {
    this.clock.nowMs += ms;
    const ids: number[] = [];
    for (let polls = 0; ; polls++) {
      if (polls > 10_000) throw new Error('it does not starve');
      const status = this.#reader.poll();
      if (status === PollStatus.ended) throw new Error('a followed file has no end');
      if (status === PollStatus.starved) return ids;
      ids.push(...rowsOf(this.#reader.batch, this.#slot.memory).map(([id]) => id as number));
    }
  }

  /** At most one batch. */
  readOne(): number[] {
    this.clock.nowMs += 1000;
    if (this.#reader.poll() !== PollStatus.moved) return [];
    return rowsOf(this.#reader.batch, this.#slot.memory).map(([id]) => id as number);
  }

  position(): Json {
    return this.#reader.position();
  }
  close(): void {
    this.#reader.close();
  }
}

test('lines come as they are appended, a line without its end does not', () => {
  const path = fresh();
  const tail = new Following(path);
  expect(tail.read()).toEqual([]);
  writeFileSync(path, line(1) + line(2));
  expect(tail.read()).toEqual([1, 2]);
  appendFileSync(path, '{"id":');
  expect(tail.read()).toEqual([]);
  appendFileSync(path, '3');
  expect(tail.read()).toEqual([]);
  appendFileSync(path, `}\n${line(4)}`);
  expect(tail.read()).toEqual([3, 4]);
  expect(tail.read()).toEqual([]);
});

test('it begins at the first line, or behind the last whole one', () => {
  const path = fresh();
  writeFileSync(path, `${line(1)}${line(2)}{"id":3`);
  const end = new Following(path, { from: 'end' });
  expect(end.read()).toEqual([]);
  const position = end.position();
  appendFileSync(path, `}\n${line(4)}`);
  expect(end.read()).toEqual([3, 4]);
  expect(new Following(path, { from: 'end' }, position).read()).toEqual([3, 4]);
  expect(new Following(path).read()).toEqual([1, 2, 3, 4]);
  // A file that is still to come has no end to begin behind.
  const later = fresh();
  const waiting = new Following(later, { from: 'end' });
  expect(waiting.read()).toEqual([]);
  const before = waiting.position();
  writeFileSync(later, line(7));
  expect(waiting.read()).toEqual([7]);
  expect(new Following(later, { from: 'end' }, before).read()).toEqual([7]);
});

test('every position goes on with the next line', () => {
  const path = fresh();
  writeFileSync(path, Array.from({ length: 40 }, (_, id) => line(id)).join(''));
  const tail = new Following(path);
  let read: number[] = [];
  for (let batch: number[] = [0]; batch.length > 0; ) {
    batch = tail.readOne();
    read = [...read, ...batch];
    expect([...read, ...new Following(path, {}, tail.position()).read()]).toEqual(
      Array.from({ length: 40 }, (_, id) => id),
    );
  }
});

test('rotated by renaming, the old file is read to its end and then the new one', () => {
  const path = fresh();
  writeFileSync(path, line(1));
  const tail = new Following(path);
  expect(tail.read()).toEqual([1]);
  appendFileSync(path, line(2));
  renameSync(path, `${path}.1`);
  expect(tail.read()).toEqual([2]);
  // Who writes has not been told yet.
  appendFileSync(`${path}.1`, line(3));
  expect(tail.read()).toEqual([3]);
  writeFileSync(path, line(4));
  appendFileSync(`${path}.1`, '{"id":5}');
  // Not before the old one has been quiet for a second; then its last line is one, end or no end.
  expect(tail.read(1000)).toEqual([]);
  expect(tail.read(900)).toEqual([]);
  expect(tail.read(100)).toEqual([5, 4]);
  appendFileSync(path, line(6));
  expect(tail.read()).toEqual([6]);
});

test('rotated twice while the job was down, all of it is read in order', () => {
  const path = fresh();
  writeFileSync(path, line(1) + line(2));
  const tail = new Following(path);
  tail.read();
  const position = tail.position();
  tail.close();
  appendFileSync(path, line(3));
  const at = (name: string, seconds: number): void => utimesSync(name, seconds, seconds);
  renameSync(path, `${path}-20260131`);
  at(`${path}-20260131`, 1000);
  writeFileSync(path, line(4));
  renameSync(path, `${path}-20260201`);
  at(`${path}-20260201`, 2000);
  writeFileSync(path, line(5));
  // No rotated files, whatever they look like.
  writeFileSync(`${path}.bak`, line(98));
  writeFileSync(`${path.slice(0, -4)}2.log.1`, line(99));
  const again = new Following(path, {}, position);
  const ids = [again.read(), again.read(), again.read(2000), again.read(2000), again.read(2000)].flat();
  expect(ids).toEqual([3, 4, 5]);
  // A position in the middle of that stands, too.
  const there = again.position();
  appendFileSync(path, line(6));
  expect(new Following(path, {}, there).read()).toEqual([6]);
});

test('what is gone is an error that says what to do, or the job goes on with what is there', () => {
  const code = expect.objectContaining({ code: 'source/lost' });
  const begun = (): { path: string; tail: Following; position: Json } => {
    const path = fresh();
    writeFileSync(path, line(1) + line(2));
    const tail = new Following(path);
    expect(tail.read()).toEqual([1, 2]);
    return { path, tail, position: tail.position() };
  };
  const cut = begun();
  truncateSync(cut.path, 3);
  expect(() => cut.tail.read()).toThrow(code);
  expect(() => new Following(cut.path, {}, cut.position)).toThrow(/is not what it was when it was read to byte 18/);

  const anew = begun();
  truncateSync(anew.path, 0);
  writeFileSync(anew.path, line(7) + line(8) + line(9));
  expect(() => anew.tail.read()).toThrow(/was cut and written anew/);
  expect(() => new Following(anew.path, {}, anew.position)).toThrow(code);
  expect(new Following(anew.path, { onLost: 'restart' }, anew.position).read()).toEqual([7, 8, 9]);

  const gone = begun();
  gone.tail.close();
  rmSync(gone.path);
  writeFileSync(gone.path, line(3) + line(4) + line(5));
  expect(() => new Following(gone.path, {}, gone.position)).toThrow(code);

  const packed = begun();
  const other = { inode: `${(packed.position as { inode: string }).inode}0`, byte: 18, mark: 0 };
  expect(() => new Following(packed.path, {}, other)).toThrow(/is not there any more, under no name like/);

  const living = begun();
  const tail = new Following(living.path, { onLost: 'restart' });
  expect(tail.read()).toEqual([1, 2]);
  truncateSync(living.path, 0);
  expect(tail.read()).toEqual([]);
  appendFileSync(living.path, line(3));
  expect(tail.read()).toEqual([3]);
});

test('a file that was compressed before it was read is missed', () => {
  const path = fresh();
  writeFileSync(path, line(1));
  const tail = new Following(path);
  tail.read();
  renameSync(path, `${path}.2`);
  utimesSync(`${path}.2`, 1000, 1000);
  writeFileSync(`${path}.1.gz`, 'packed');
  utimesSync(`${path}.1.gz`, 2000, 2000);
  writeFileSync(path, line(3));
  tail.read();
  expect(() => tail.read(2000)).toThrow(/was rotated and compressed before it was read/);
});

test('random appends, cuts of lines, rotations, restarts: every line once, in order', () => {
  let rotations = 0;
  let restarts = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = prng(seed);
    const path = fresh();
    let tail = new Following(path);
    let kept = tail.position();
    let read: number[] = [];
    let committed = 0;
    let id = 0;
    let rest = '';
    let rotated = 0;
    let mtime = 1000;
    for (let step = 0; step < 60; step++) {
      switch (random.below(6)) {
        case 0:
        case 1: {
          const text = rest + Array.from({ length: random.below(20) }, () => line(id++)).join('');
          const length = random.below(text.length + 1);
          appendFileSync(path, text.slice(0, length));
          rest = text.slice(length);
          break;
        }
        case 2:
          read.push(...tail.read(random.below(3000)));
          break;
        case 3:
          kept = tail.position();
          committed = read.length;
          break;
        case 4:
          if (!existsSync(path)) break;
          // Who rotates ends the line first.
          appendFileSync(path, rest);
          rest = '';
          utimesSync(path, mtime, mtime);
          mtime += 10;
          renameSync(path, `${path}.${++rotated}`);
          rotations++;
          break;
        case 5:
          tail.close();
          tail = new Following(path, {}, kept);
          read = read.slice(0, committed);
          restarts++;
      }
    }
    appendFileSync(path, rest);
    for (let i = 0; i < 2 * rotated + 3; i++) read.push(...tail.read(2000));
    tail.close();
    expect(read, `seed ${seed}`).toEqual(Array.from({ length: id }, (_, i) => i));
  }
  expect(rotations).toBeGreaterThan(100);
  expect(restarts).toBeGreaterThan(100);
});

test('idle it asks for one look each time it waits, and the system wakes it before', async () => {
  const path = fresh();
  writeFileSync(path, line(1));
  const tail = new Following(path, { everyMs: 10_000 });
  expect(tail.read()).toEqual([1]);
  expect(tail.clock.wakeAt).toBe(11_000);
  tail.clock.wakeAt = null;
  for (let i = 0; i < 100; i++) tail.read(0);
  expect(tail.clock.wakeAt).toBeNull();
  const before = tail.clock.wakes;
  await vi.waitFor(() => {
    appendFileSync(path, line(2));
    expect(tail.clock.wakes).toBeGreaterThan(before);
  });
  expect(tail.read(0)[0]).toBe(2);
  tail.close();
});

test('only one file can be followed; its columns come from whole lines', async () => {
  const path = fresh();
  const follow = { everyMs: 1000, from: 'start', onLost: 'fail' };
  const describe = (of: object) => jsonlSource.describe(specOf('jsonl', { ...of, follow }), () => undefined);
  await expect(describe({ path: `${path}*` })).rejects.toMatchObject({ code: 'option/invalid' });
  await expect(describe({ path: root })).rejects.toThrow(/watch\(\) reads files that appear/);
  await expect(describe({ path })).rejects.toMatchObject({ code: 'source/unsupported' });
  writeFileSync(path, `${line(1)}{"x":`);
  expect(await describe({ path })).toMatchObject({ bounded: false, fields: [{ name: 'id' }] });
  expect(readdirSync(join(path, '..'))).toEqual(['app.log']);
});
