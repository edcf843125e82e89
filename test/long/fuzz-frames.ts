/**
 * Frames that were mutated on their way: a gate answers with rows that lie within its memory, or with a typed error; it
 * never crashes, hangs, or reads or writes outside. Runs in a child with a small heap.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../core/base/errors.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { Progress } from '../../core/operators/operator.ts';
import type { PhysicalPlan } from '../../core/plan/physical.ts';
import type { Batch, Column } from '../../core/record/batch.ts';
import {
  frameAttempt,
  frameCapacity,
  frameColumns,
  frameFirst,
  frameFlags,
  frameHeapBytes,
  frameKind,
  frameLength,
  frameRows,
  frameSecond,
  frameSequence,
  frameWatermark,
  kindDictionary,
  kindPad,
  kindRows,
} from '../../core/record/frame-layout.ts';
import type { Layout, StorageKind } from '../../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import { type ExchangeContext, exchangeContext } from '../../workers/exchange/context.ts';
import { createGate, GateEvent } from '../../workers/exchange/gate.ts';
import { ChannelLine, type ChannelPlace, channelHeaderBytes, channelPlace } from '../../workers/exchange/inbox.ts';
import { createRouter } from '../../workers/exchange/router.ts';
import { house, layoutFrom, planOf } from '../exchange/house.ts';
import { testBatch } from '../support/columns.ts';
import type { LongReport, LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'fuzz-frames',
  describe: 'mutated frames through a gate: rows within its memory or a typed error',
  cases: 100_000,
  casesInCi: 10_000,
  run: async ({ cases, seed }): Promise<LongReport> => {
    const program = `import(${JSON.stringify(import.meta.url)}).then((m) => console.log(JSON.stringify((m.fuzz ?? m.default.fuzz)(${cases}, ${seed}))))`;
    const args = ['--max-old-space-size=192', '--import', 'jiti/register', '--input-type=module', '-e', program];
    const child = spawnSync(process.execPath, args, {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
      timeout: 30_000 + cases * 5,
      maxBuffer: 1 << 24,
    });
    if (child.status === 0) return JSON.parse(child.stdout.trim().split('\n').at(-1)!) as LongReport;
    const how = child.signal ?? `exit ${child.status}`;
    return { cases, failures: [`seed ${seed}: the child died (${how}): ${child.stderr.slice(-2000)}`], coverage: {} };
  },
};

/** What a producer left in a ring: the memory of the inbox behind the channel's header, and where its frames begin. */
interface Recording {
  readonly plan: PhysicalPlan;
  readonly context: ExchangeContext;
  readonly place: ChannelPlace;
  readonly layout: Layout;
  readonly header: Uint8Array;
  readonly ring: Uint8Array;
  readonly frames: readonly number[];
}

const storages: readonly StorageKind[] = ['i64', 'view', 'bit', 'f64', 'i32', 'view'];
const guard = 0xa5;
const guardBytes = 4096;

export function fuzz(cases: number, seed: number): LongReport {
  const failures: string[] = [];
  const coverage: Record<string, number> = {};
  const count = (what: string): void => {
    coverage[what] = (coverage[what] ?? 0) + 1;
  };
  const recordings = Array.from({ length: 12 }, (_, i) => record(prng(seed * 100 + i), i));
  let passed = 0;
  for (let i = 0; i < cases && failures.length < 20; i++) {
    const random = prng(seed + i * 7919);
    const from = recordings[random.below(recordings.length)]!;
    const { memory } = from.context;
    const what = prepare(from, random);
    const context = fresh(from);
    try {
      const batches = readAll(context, from);
      if (batches > 0) passed++;
      count(batches > 0 ? 'rows came through' : 'nothing came through');
    } catch (error) {
      if (!(error instanceof MillraceError)) {
        failures.push(`seed ${seed}, case ${i} (${what}): ${error instanceof Error ? error.stack : String(error)}`);
      } else {
        count(error.code);
        count(reason(error.message));
        if (error.message.includes(', row ') || error.message.includes('dictionary entr')) passed++;
      }
    }
    for (let at = memory.u8.length - guardBytes; at < memory.u8.length; at++) {
      if (memory.u8[at] !== guard) {
        failures.push(`seed ${seed}, case ${i} (${what}): wrote outside, at ${at}`);
        memory.u8[at] = guard;
        break;
      }
    }
  }
  coverage['past the header'] = passed;
  if (passed * 3 < cases) failures.push(`only ${passed} of ${cases} got past the header`);
  return { cases, failures, coverage };
}

/** Messages without their numbers. */
const reason = (message: string): string =>
  `error: ${message.replace(/^a frame arrived broken: /, '').replace(/[\d.-]+(e\+\d+)?|NaN/g, 'n')}`;

/** Lets a router fill a ring with frames of every kind. */
function record(random: Prng, number: number): Recording {
  const layout = layoutFrom(storages.slice(0, 2 + (number % 5)));
  const plan = planOf([1, 1], [{ from: 0, to: 1, exchange: { kind: 'forward' }, layout }]);
  const { contexts } = house(plan, {
    slots: 1,
    ringBytes: 64 * 1024,
    inboxBytes: 256 * 1024,
    memoryBytes: 4 * 1024 * 1024,
    batchRows: 200,
  });
  const context = contexts[0]!;
  const { memory } = context;
  const router = createRouter(context, plan.edges[0]!, 0);
  let progress: Progress = Progress.done;
  for (let i = 0; i < 4 && progress === Progress.done; i++) {
    const rows = 1 + random.below(60);
    const long = number % 4 === 3 && i === 2 ? 20_000 : 30;
    const value = (storage: StorageKind) => {
      if (random.below(6) === 0) return null;
      if (storage === 'view') return 'z'.repeat(long > 100 ? long : random.below(long)) + random.below(9);
      if (storage === 'bit') return random.below(2) === 1;
      return storage === 'f64' ? random.next() : BigInt(random.below(1000));
    };
    const columns = layout.map((column) => Array.from({ length: long > 100 ? 1 : rows }, () => value(column.storage)));
    progress = router.emit(
      testBatch(memory, layout, columns, {
        dictionary: number % 2 === 0,
        ...(i === 1 ? { kinds: columns[0]!.map(() => random.below(4)) } : {}),
      }),
    );
    if (i === 0) router.watermark(1000);
    if (progress === Progress.done) progress = router.flush();
  }
  if (progress === Progress.done) router.end();
  const place = channelPlace(plan, context.inboxes, 0, 0, 0)!;
  const frames: number[] = [];
  const tail = memory.i32[(place.header + ChannelLine.tail) >>> 2]!;
  for (let at = 0; at < tail; at += memory.u32[(place.ring + at) >>> 2]!) frames.push(place.ring + at);
  return {
    plan,
    context,
    place,
    layout,
    frames,
    header: memory.u8.slice(place.header, place.header + channelHeaderBytes),
    ring: memory.u8.slice(place.ring, place.ring + place.ringBytes),
  };
}

/** Puts the recording back and mutates one to three things; answers what. */
function prepare(from: Recording, random: Prng): string {
  const { memory } = from.context;
  const { u8, u32, f64 } = memory;
  u8.set(from.header, from.place.header);
  u8.set(from.ring, from.place.ring);
  u8.fill(guard, u8.length - guardBytes);
  const told: string[] = [];
  const u32s = [frameLength, frameAttempt, frameRows, frameCapacity, frameHeapBytes, frameFirst, frameSecond];
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = from.frames[random.below(from.frames.length)]!;
    const kind = u8[at + frameKind]!;
    const length = Math.min(u32[at >>> 2]!, from.place.ringBytes);
    const near = (value: number): number =>
      [value + 1, value - 1, value * 2, 0, 0xffffffff, 0x80000000, random.u32(), value + 64, value - 64, value + 8][
        random.below(10)
      ]! >>> 0;
    switch (random.below(8)) {
      case 0: {
        const field = u32s[random.below(u32s.length)]!;
        u32[(at + field) >>> 2] = near(u32[(at + field) >>> 2]!);
        told.push(`u32 at ${field}`);
        break;
      }
      case 1: {
        const field = [frameKind, frameFlags, frameColumns][random.below(3)]!;
        u8[at + field] = random.below(3) === 0 ? random.below(256) : random.below(8);
        told.push(`byte at ${field}`);
        break;
      }
      case 2: {
        const field = [frameSequence, frameWatermark][random.below(2)]!;
        f64[(at + field) >>> 3] = [Number.NaN, -1, 1e300, Number.POSITIVE_INFINITY, 1][random.below(5)]!;
        told.push(`f64 at ${field}`);
        break;
      }
      case 3: {
        u8[at + 64 + random.below(from.layout.length)] = random.below(6);
        told.push('a column flag');
        break;
      }
      case 4:
      case 5: {
        // A word of the buffers: lengths and offsets of views, codes, entries.
        if (kind !== kindRows && kind !== kindDictionary) break;
        const word = (at + 64 + 4 * random.below((length - 64) >>> 2)) >>> 2;
        u32[word] = near(u32[word]!);
        told.push('a word of a buffer');
        break;
      }
      case 6: {
        u8[at + random.below(length)]! ^= 1 << random.below(8);
        told.push('a bit');
        break;
      }
      case 7: {
        if (kind === kindPad) break;
        u32[(from.place.header + ChannelLine.tail) >>> 2] = near(u32[(from.place.header + ChannelLine.tail) >>> 2]!);
        told.push('the tail');
        break;
      }
    }
  }
  return told.join(', ');
}

/** The same memory with an arena of its own, so that a case leaves nothing behind. */
function fresh(from: Recording): ExchangeContext {
  const { context } = from;
  const inbox = context.inboxes.inboxes[0]!;
  const { memory } = context.memory;
  const own: SlotMemory = slotMemory(memory, inbox.from + inbox.bytes, memory.buffer.byteLength - guardBytes);
  let id = 1;
  return exchangeContext({
    plan: from.plan,
    inboxes: context.inboxes,
    participant: 0,
    buffers: [memory.buffer, null],
    memory: own,
    kernels: context.kernels,
    attempt: 1,
    hashSeed: 0n,
    batchRows: 200,
    nextDictionaryId: () => id++,
  });
}

/** Reads everything, and every byte that the batches point to. */
function readAll(context: ExchangeContext, from: Recording): number {
  const gate = createGate(context, from.plan.chains[1]!, 0);
  let batches = 0;
  for (let polls = 0; ; polls++) {
    if (polls > 100_000) throw new Error('a gate without end');
    const event = gate.poll();
    if (event === GateEvent.empty || event === GateEvent.end) return batches;
    if (event !== GateEvent.batch) continue;
    readBatch(context, gate.batch);
    batches++;
    gate.release();
  }
}

function readBatch({ memory, inboxes }: ExchangeContext, from: Batch): void {
  const inbox = inboxes.inboxes[0]!;
  const end = memory.u8.length - guardBytes;
  const within = (at: number, bytes: number): void => {
    if (at < inbox.from || at + bytes > end) throw new Error(`bytes ${at} to ${at + bytes} of a batch lie outside`);
  };
  for (const [c, column] of from.layout.entries()) {
    const { validity, values, dictionary } = from.columns[c] as Column;
    if (validity !== 0) within(validity, (from.size + 7) >>> 3);
    for (let row = 0; row < from.size; row++) {
      if (column.storage !== 'view') {
        within(values + row * (column.storage === 'bit' ? 0 : column.storage === 'i32' ? 4 : 8), 1);
        continue;
      }
      const view = dictionary ? dictionary.views + 16 * memory.u32[(values >>> 2) + row]! : values + 16 * row;
      within(view, 16);
      const length = memory.u32[view >>> 2]!;
      if (length > 12) within(memory.u32[(view + 12) >>> 2]!, length);
    }
  }
  if (from.kinds !== 0)
    for (let row = 0; row < from.size; row++)
      if (memory.u8[from.kinds + row]! > 3) throw new Error('a row kind that is none');
}
