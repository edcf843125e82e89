/**
 * Nexmark's queries beside Flink: `npm run flink -- [QUERY…] [--runs N] [--fresh] [--check] [--table] [--minutes N]
 * [--heap 5g] [--shared COMMAND [--hold SECONDS]]`. Goes on where it was stopped; README.md beside this file tells more.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { blackhole, from, run } from '../../../index.ts';
import { nexmark } from '../../../nexmark.ts';
import { type Case, casesOf, checkedEvents, comparisons, eventTables, parallelisms } from './cases.ts';
import { buildFlink, type Engine, flink, isThere, millrace, project, sharedMachine } from './engines.ts';
import { Results } from './results.ts';
import { tableOf } from './table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '110' },
    heap: { type: 'string', default: '5g' },
    shared: { type: 'string', default: '' },
    hold: { type: 'string', default: '60' },
    results: { type: 'string', default: join('out', 'flink') },
  },
});

const unknown = positionals.filter((name) => !comparisons.some(({ query }) => query === name));
if (unknown.length > 0) {
  console.error(
    `there is no ${unknown.join(', ')} to compare; there are ${comparisons.map((of) => of.query).join(', ')}`,
  );
  process.exit(2);
}
const wanted = comparisons.filter(({ query }) => positionals.length === 0 || positionals.includes(query));
const results = new Results(values.results);
const endsAt = performance.now() + Number(values.minutes) * 60_000;

let wrong = 0;
if (!values.table) {
  buildFlink();
  const engines = { flink: flink(values.heap), millrace: millrace() };
  try {
    if (values.check) await check(engines);
    else await compare(engines);
  } finally {
    engines.flink.close();
  }
}
writeFileSync(join(project, 'table.md'), tableOf(results));
console.log(tableOf(results));
process.exit(wrong > 0 ? 1 : 0);

/** Both engines make the same events and come to the same results, to the byte. */
async function check(engines: Readonly<Record<Case['engine'], Engine>>): Promise<void> {
  const tell = (name: string, theirs: string | null, ours: string | null): void => {
    if (theirs !== ours) wrong++;
    console.log(`${name.padEnd(10)}${theirs === ours ? `both ${ours}` : `DIFFER: Flink ${theirs}, Millrace ${ours}`}`);
  };
  const of = { engine: 'flink', parallelism: 2, backend: 'hashmap', events: checkedEvents } as const;
  const sources = nexmark({ events: checkedEvents, rate: 100_000 });
  if (positionals.length === 0) {
    for (const query of eventTables) {
      const checksum = new SharedArrayBuffer(24);
      await run(from(sources[query] as typeof sources.bids).to(blackhole({ checksum })), { parallelism: 2 }).result();
      const [sum, rows] = new BigInt64Array(checksum);
      const ours = `${BigInt.asUintN(64, sum!).toString(16).padStart(16, '0')}-${rows}`;
      tell(query, (await engines.flink.run({ ...of, query }, true)).digest, ours);
    }
  }
  for (const { query, checked } of wanted) {
    if (!checked || !isThere(query)) continue;
    const theirs = await engines.flink.run({ ...of, query }, true);
    const ours = await engines.millrace.run({ ...of, query, engine: 'millrace', backend: 'pages' }, true);
    tell(query, theirs.digest, ours.digest);
  }
}

/** One run at a time, the engines in turn. A case that has its runs is passed over. */
async function compare(engines: Readonly<Record<Case['engine'], Engine>>): Promise<void> {
  const all = parallelisms.flatMap((parallelism) =>
    wanted.filter(({ query }) => isThere(query)).map((of) => casesOf(of, parallelism)),
  );
  if (values.fresh) for (const one of all.flat()) results.forget(one);
  const machine = sharedMachine(values.shared, Number(values.hold) * 1000);
  try {
    for (let turn = 1; turn <= Number(values.runs); turn++) {
      for (const cases of all) {
        const left = cases.filter((one) => results.runs(one).length < turn);
        if (left.length === 0) continue;
        if (performance.now() > endsAt) {
          console.error('the time is over; the same command goes on from here');
          return;
        }
        await machine.take();
        for (const one of left) await measure(engines[one.engine], one);
      }
    }
  } finally {
    machine.giveBack();
  }
}

async function measure(engine: Engine, of: Case): Promise<void> {
  const name = `${of.query} p=${of.parallelism} ${of.engine} ${of.backend}`;
  try {
    const made = await engine.run(of, false);
    results.add(of, made);
    const perCpuSecond = Math.round((of.events / made.cpuMs) * 1000);
    console.log(
      `${name.padEnd(32)}${made.ms.toFixed(0)} ms, ${made.cpuMs.toFixed(0)} ms CPU, ${perCpuSecond} events to a second of it`,
    );
  } catch (error) {
    wrong++;
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}
