/**
 * Random process functions beside a plain model of them: per key in the order of its rows, with Maps and arrays. What they
 * give depends on rows alone, not on when watermarks come: timers are moved and cancelled only by rows before their time.
 */
import type { Duration } from '../../core/base/duration.ts';
import type { Prng } from '../../core/base/prng.ts';
import { collection, connect, from, type StreamOf, schema, state, t } from '../../index.ts';

export interface ModelRow {
  readonly id: number;
  readonly k: string | null;
  readonly n: number;
  readonly v: number;
  readonly at: Date;
}
export interface ProcessCase {
  readonly ends: Readonly<Record<string, StreamOf<{ said: string }, 'bounded'>>>;
  /** What must come out, by output, in any order. */
  readonly expected: ReadonlyMap<string, readonly string[]>;
}

const disorderMs = 50;
/** Later than every row. */
const farMs = 10_000_000;
const ttlMs = 120;
const long = 'a text that is longer than twelve bytes, and not always the same: ';

const input = schema({ id: t.int(), k: t.string().nullable(), n: t.bigint(), v: t.int(), at: t.timestamp(3) });
const other = schema({ w: t.int(), name: t.string().nullable(), number: t.bigint(), at: t.timestamp(3) });
const rule = schema({ name: t.string(), limit: t.int() });
const said = schema({ said: t.string() });

/** Shapes: one input; with broadcast rules; with a second keyed input as well. */
export function processCase(random: Prng, rowsMax: number): ProcessCase {
  const rows = randomRows(random, 1 + random.below(rowsMax));
  const others = Array.from({ length: 1 + random.below(50) }, (_, w) => {
    const { k, n, at } = rows[random.below(rows.length)]!;
    return { w, name: k, number: n, at };
  });
  const rules = Array.from({ length: 1 + random.below(6) }, (_, i) => ({ name: `rule ${random.below(4)}`, limit: i }));
  const shape = random.below(3);
  const timed = { outOfOrderness: `${disorderMs} ms` } as const;
  const events = from(collection(rows, { schema: input }))
    .eventTime('at', timed)
    .keyBy('k', 'n');
  const body = { output: said, side: { odd: said }, state: states };
  if (shape === 0) {
    const made = events.process({ ...body, onRow, onTimer: (timer, ctx) => onTimer(timer, ctx, null) });
    return { ends: { main: made, odd: made.side.odd }, expected: model(rows, [], '') };
  }
  const broadcast = from(collection(rules, { schema: rule })).broadcast();
  const expected = model(
    rows,
    shape === 2 ? others : [],
    rulesText(new Map(rules.map((of) => [of.name, of])).values()),
  );
  const broadcastState = { rules: state.map(t.string(), rule) };
  if (shape === 1) {
    const made = connect({ events, rules: broadcast }).process({
      ...body,
      broadcastState,
      onRow: { events: onRow, rules: (row, ctx) => ctx.broadcast.rules.set(row.name, row) },
      onTimer: (timer, ctx) => onTimer(timer, ctx, ctx.broadcast.rules.values()),
    });
    return { ends: { main: made, odd: made.side.odd }, expected };
  }
  const side = from(collection(others, { schema: other }))
    .eventTime('at', { outOfOrderness: '1 day' })
    .keyBy('name', 'number');
  const made = connect({ events, side, rules: broadcast }).process({
    ...body,
    broadcastState,
    onRow: {
      events: onRow,
      side: (row, ctx) => ctx.state.others.add(row.w),
      rules: (row, ctx) => ctx.broadcast.rules.set(row.name, row),
    },
    onTimer: (timer, ctx) => onTimer(timer, ctx as never, ctx.broadcast.rules.values()),
  });
  return { ends: { main: made, odd: made.side.odd }, expected };
}

const rulesText = (rules: Iterable<{ name: string; limit: number }>): string =>
  [...rules]
    .map(({ name, limit }) => `${name}=${limit}`)
    .sort()
    .join(' ');

function randomRows(random: Prng, count: number): ModelRow[] {
  const keys = [1, 3, 40, 1000][random.below(4)]!;
  let ms = 1000;
  return Array.from({ length: count }, (_, id) => {
    ms += random.below(30);
    const key = random.below(keys);
    return {
      id,
      k: key % 11 === 0 ? null : key % 5 === 0 ? `${'key '.repeat(key % 7)}\0${key}` : `k${key}`,
      n: key % 2,
      v: random.below(1000),
      at: new Date(ms - random.below(disorderMs)),
    };
  });
}

const states = {
  count: state.value(t.int()),
  text: state.value(t.string()),
  sum: state.reducing(t.bigint(), (a, b) => a + b),
  others: state.reducing(t.bigint(), (a, b) => a + b),
  mean: state.aggregating({
    input: t.int(),
    accumulator: { sum: t.double(), n: t.int() },
    init: () => ({ sum: 0, n: 0 }),
    add: (acc, value) => ({ sum: acc.sum + value, n: acc.n + 1 }),
    finish: (acc) => acc.sum / acc.n,
  }),
  list: state.list(t.string()),
  map: state.map(t.int(), schema({ id: t.int(), note: t.string().nullable() })),
  wide: state.value(t.array(t.int())),
  /** Names of timers and when they are due, as rows know it. */
  due: state.map(t.string(), t.timestamp(3)),
  recent: state.list(t.int(), { ttl: `${ttlMs} ms` }),
  last: state.value(t.string(), { ttl: `${ttlMs} ms` }),
  seen: state.map(t.int(), t.int(), { ttl: `${ttlMs} ms` }),
};

interface Value<T> {
  get(): T | null;
  set(value: T): void;
  clear(): void;
}
interface Cell<T> extends Value<T> {
  add(value: T): void;
}
type Folded = Pick<Cell<number>, 'get' | 'add' | 'clear'>;
interface List<T> extends Iterable<T> {
  readonly length: number;
  add(value: T): void;
  clear(): void;
}
interface MapOf<K, V> extends Iterable<[K, V]> {
  get(key: K): V | null;
  set(key: K, value: V): void;
  delete(key: K): void;
  has(key: K): boolean;
}
/** What the handler uses, of the real context and of the model's. */
interface Ctx {
  readonly key: { readonly k: string | null; readonly n: number };
  readonly state: {
    readonly count: Value<number>;
    readonly text: Value<string>;
    readonly sum: Folded;
    readonly others: Folded;
    readonly mean: Folded;
    readonly list: List<string>;
    readonly map: MapOf<number, { id: number; note: string | null }>;
    readonly wide: Value<readonly number[]>;
    readonly due: MapOf<string, Date>;
    readonly recent: List<number>;
    readonly last: Value<string>;
    readonly seen: MapOf<number, number>;
  };
  readonly timers: {
    eventTime(name: string, when: Date | Duration): void;
    processingTime(name: string, when: Duration): void;
    cancel(name: string): void;
  };
  readonly side: { odd(row: { said: string }): void };
  emit(row: { said: string }): void;
}

function onRow(row: ModelRow, ctx: Ctx): void {
  const { state: s, timers } = ctx;
  const n = (s.count.get() ?? 0) + 1;
  s.count.set(n);
  s.sum.add(row.v);
  s.mean.add(row.v);
  if (row.v % 3 === 0) s.text.set(row.v % 2 === 0 ? `${long}${row.v}` : `${row.v}`);
  else if (row.v % 17 === 0) s.text.clear();
  s.list.add(`${row.id}`);
  if (row.v % 29 === 0) s.list.clear();
  s.map.set(row.v % 5, { id: row.id, note: row.v % 2 === 0 ? null : `${long}${row.id}` });
  if (row.v % 7 === 0) s.map.delete(row.v % 3);
  s.wide.set([...(s.wide.get() ?? []).slice(-3), row.v]);
  ctx.emit({
    said: `row ${ctx.key.k} ${row.id} ${n} [${[...s.recent]}] ${s.recent.length} ${s.last.get()} ${[...s.seen].join(';')} ${s.seen.get(1)} ${s.text.get()}`,
  });
  if (row.v % 2 === 0) {
    s.recent.add(row.v);
    s.last.set(`${row.v % 4 === 0 ? long : ''}${row.v}`);
  }
  s.seen.set(row.v % 3, row.v);
  if (row.v % 10 === 1) ctx.side.odd({ said: `odd ${row.id}` });
  timers.eventTime('far', new Date(farMs));
  const ms = row.at.getTime();
  // Timers whose time lies before this row's have fired or are about to: they are let alone.
  for (const [name, due] of [...s.due]) {
    if (due.getTime() <= ms) continue;
    if (row.v % 4 === 0) {
      timers.cancel(name);
      s.due.delete(name);
    } else if (row.v % 4 === 1) {
      const moved = new Date(Math.max(ms + 1, due.getTime() + (row.v % 200) - 100));
      timers.eventTime(name, moved);
      s.due.set(name, moved);
    }
  }
  if (row.v % 4 === 2) {
    const name = row.v % 8 === 2 ? `t${row.id}` : `${long}${row.id}`;
    timers.eventTime(name, `${1 + (row.v % 300)} ms`);
    s.due.set(name, new Date(ms + 1 + (row.v % 300)));
  }
}

function onTimer(
  timer: { name: string; time: Date },
  ctx: Ctx,
  rules: Iterable<{ name: string; limit: number }> | string | null,
): void {
  const { state: s } = ctx;
  if (timer.name !== 'far') {
    ctx.emit({ said: `timer ${ctx.key.k} ${ctx.key.n} ${timer.name} ${timer.time.getTime()}` });
    return;
  }
  const map = [...s.map].map(([key, { id, note }]) => `${key}:${id}:${note}`);
  ctx.emit({
    said: `far ${ctx.key.k} ${s.count.get()} ${s.sum.get()} ${s.mean.get()?.toFixed(6)} ${s.text.get()} [${[...s.list]}] ${map} [${s.wide.get()}] ${[...s.recent]} ${s.last.get()} ${[...s.seen]} ${s.others.get()} ${typeof rules === 'string' ? rules : rulesText(rules ?? [])}`,
  });
}

// ── the model ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One key: the same handlers over plain values. */
class KeyModel {
  nowMs = 0;
  readonly timers = new Map<string, number>();
  readonly out: { main: string[]; odd: string[] };
  readonly ctx: Ctx;

  constructor(key: Ctx['key'], out: KeyModel['out']) {
    this.out = out;
    const gone = (writtenMs: number): boolean => writtenMs + ttlMs <= this.nowMs;
    const cell = <T>(lived: boolean): Cell<T> => {
      let held: { value: T; ms: number } | null = null;
      return {
        get: () => (held === null || (lived && gone(held.ms)) ? null : held.value),
        set: (value) => {
          held = { value, ms: this.nowMs };
        },
        add: (value) => {
          const before = held?.value as number | undefined;
          held = { value: ((before ?? 0) + (value as number)) as T, ms: this.nowMs };
        },
        clear: () => {
          held = null;
        },
      };
    };
    const list = <T>(lived: boolean): List<T> => {
      let held: { value: T; ms: number }[] = [];
      const live = (): T[] => held.filter(({ ms }) => !lived || !gone(ms)).map(({ value }) => value);
      return {
        get length() {
          return live().length;
        },
        add: (value) => void held.push({ value, ms: this.nowMs }),
        clear: () => {
          held = [];
        },
        [Symbol.iterator]: () => live()[Symbol.iterator](),
      };
    };
    const map = <K extends number | string, V>(lived: boolean): MapOf<K, V> => {
      const held = new Map<K, { value: V; ms: number }>();
      const live = (): [K, V][] =>
        [...held]
          .filter(([, { ms }]) => !lived || !gone(ms))
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([of, { value }]) => [of, value]);
      return {
        get: (of) => live().find(([k]) => k === of)?.[1] ?? null,
        set: (of, value) => void held.set(of, { value, ms: this.nowMs }),
        delete: (of) => void held.delete(of),
        has: (of) => live().some(([k]) => k === of),
        [Symbol.iterator]: () => live()[Symbol.iterator](),
      };
    };
    const mean = { sum: 0, n: 0 };
    this.ctx = {
      key,
      state: {
        count: cell(false),
        text: cell(false),
        sum: cell(false),
        others: cell(false),
        mean: {
          get: () => (mean.n === 0 ? null : mean.sum / mean.n),
          add: (value) => {
            mean.sum += value;
            mean.n++;
          },
          clear: () => {},
        },
        list: list(false),
        map: map(false),
        wide: cell(false),
        due: map(false),
        recent: list(true),
        last: cell(true),
        seen: map(true),
      },
      timers: {
        eventTime: (name, when) =>
          void this.timers.set(
            name,
            typeof when === 'string' ? this.nowMs + Number(when.split(' ')[0]) : when.getTime(),
          ),
        processingTime: () => {},
        cancel: (name) => void this.timers.delete(name),
      },
      side: { odd: (row) => void out.odd.push(row.said) },
      emit: (row) => void out.main.push(row.said),
    };
  }
}

function model(
  rows: readonly ModelRow[],
  others: readonly { w: number; name: string | null; number: number }[],
  rules: string,
): ReadonlyMap<string, readonly string[]> {
  const out = { main: [] as string[], odd: [] as string[] };
  const keys = new Map<string, KeyModel>();
  for (const row of rows) {
    const text = JSON.stringify([row.k, row.n]);
    const key = keys.get(text) ?? new KeyModel({ k: row.k, n: row.n }, out);
    keys.set(text, key);
    key.nowMs = row.at.getTime();
    onRow(row, key.ctx);
  }
  for (const { w, name, number } of others) keys.get(JSON.stringify([name, number]))!.ctx.state.others.add(w);
  for (const key of keys.values()) {
    for (const [name, ms] of [...key.timers].sort((a, b) => a[1] - b[1])) {
      key.nowMs = ms;
      onTimer({ name, time: new Date(ms) }, key.ctx, rules);
    }
  }
  return new Map([
    ['main', out.main],
    ['odd', out.odd],
  ]);
}
