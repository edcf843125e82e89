/** What is compared: a query, how many events of it, and what must be reached. */

export type EngineName = 'millrace' | 'flink';
export type Backend = 'pages' | 'hashmap' | 'rocksdb';

export interface Comparison {
  readonly query: string;
  /** As many as keep Flink busy for 3 to 15 seconds. */
  readonly events: number;
  /** Times as fast as Flink, by wall time and by CPU time; without it, events a second of each slot. */
  readonly bar: number;
  readonly aim: number;
  /** Flink keeps state in RocksDB as well: the better run counts. */
  readonly rocksdb?: true;
  /** Flink cannot run it. */
  readonly alone?: true;
  /** Whether both engines must come to one digest; else its rows, or how many, are open. */
  readonly checked: boolean;
}

export const comparisons: readonly Comparison[] = [
  { query: 'q0', events: 6_000_000, bar: 3, aim: 8, checked: true },
  { query: 'q1', events: 6_000_000, bar: 3, aim: 8, checked: true },
  { query: 'q2', events: 6_000_000, bar: 3, aim: 8, checked: true },
  { query: 'q3', events: 6_000_000, bar: 4, aim: 10, checked: true },
  { query: 'q4', events: 2_000_000, bar: 8, aim: 20, rocksdb: true, checked: true },
  { query: 'q5', events: 4_000_000, bar: 6, aim: 15, rocksdb: true, checked: true },
  // Of bids in one millisecond either may be the last that counts.
  { query: 'q6', events: 3_000_000, bar: 1_000_000, aim: 3_000_000, alone: true, checked: false },
  { query: 'q7', events: 1_500_000, bar: 15, aim: 40, checked: true },
  { query: 'q8', events: 5_000_000, bar: 4, aim: 10, checked: true },
  // Of equal bids in one millisecond either may win.
  { query: 'q9', events: 1_500_000, bar: 15, aim: 40, rocksdb: true, checked: false },
  // Files.
  { query: 'q10', events: 2_000_000, bar: 4, aim: 10, checked: false },
  { query: 'q11', events: 3_000_000, bar: 6, aim: 15, checked: true },
  // What meets in a window of the clock is open.
  { query: 'q12', events: 5_000_000, bar: 6, aim: 15, checked: false },
  { query: 'q13', events: 4_000_000, bar: 4, aim: 10, checked: true },
  { query: 'q14', events: 6_000_000, bar: 3, aim: 8, checked: true },
  { query: 'q15', events: 2_000_000, bar: 6, aim: 15, checked: true },
  { query: 'q16', events: 500_000, bar: 15, aim: 40, checked: true },
  { query: 'q17', events: 3_000_000, bar: 6, aim: 15, checked: true },
  { query: 'q18', events: 2_000_000, bar: 6, aim: 15, rocksdb: true, checked: false },
  { query: 'q19', events: 1_500_000, bar: 6, aim: 15, checked: false },
  { query: 'q20', events: 2_000_000, bar: 8, aim: 20, checked: true },
  { query: 'q21', events: 3_000_000, bar: 6, aim: 15, checked: true },
  { query: 'q22', events: 4_000_000, bar: 4, aim: 10, checked: true },
  { query: 'q23', events: 1_000_000, bar: 8, aim: 20, checked: true },
]; // biome-ignore format: a table

export const parallelisms = [1, 2] as const;

/** The three kinds of events, whole: both engines must make the same. */
export const eventTables = ['persons', 'auctions', 'bids'] as const;

/** Events of a checked run. */
export const checkedEvents = 200_000;
/** A warm-up of Flink's is a third of the run: its compiler goes on for seconds. Ours warms up with 500,000 events at most. */
export const warmUpShare = 1 / 3;

/** One engine at one thing. */
export interface Case {
  readonly engine: EngineName;
  readonly query: string;
  readonly parallelism: number;
  readonly backend: Backend;
  readonly events: number;
}

/** RocksDB gets fewer events: it would take a minute. */
export function casesOf({ query, events, rocksdb, alone }: Comparison, parallelism: number): readonly Case[] {
  const of = { query, parallelism };
  if (alone) return [{ ...of, engine: 'millrace', backend: 'pages', events }];
  return [
    { ...of, engine: 'flink', backend: 'hashmap', events },
    { ...of, engine: 'millrace', backend: 'pages', events },
    ...(rocksdb ? [{ ...of, engine: 'flink', backend: 'rocksdb', events: Math.ceil(events / 3) } as const] : []),
  ];
}
