/** The comparison as one table of Markdown. */
import { type Case, type Comparison, casesOf, comparisons, parallelisms } from './cases.ts';
import type { Results, Run } from './results.ts';

interface Ratio {
  readonly wall: number;
  readonly cpu: number;
}

export function tableOf(results: Results): string {
  const rows = comparisons
    .flatMap((of) => parallelisms.map((parallelism) => rowOf(of, parallelism, results)))
    .filter((row) => row !== null);
  const head = ['query', 'p', 'events', 'Flink events/s', 'Flink /CPU-s', 'Millrace events/s', 'Millrace /CPU-s'];
  const rest = ['wall ×', 'CPU ×', 'counts', 'must', '', 'windows', 'rows: Flink', 'rows: Millrace'];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line([...head, ...rest]), line([...head, ...rest].map(() => '---')), ...rows.map(line), ''].join('\n');
}

function rowOf(of: Comparison, parallelism: number, results: Results): readonly string[] | null {
  const cases = casesOf(of, parallelism);
  const measured = cases.map((one): [Case, Run | null] => [one, results.median(one)]);
  const ours = measured.find(([{ engine }]) => engine === 'millrace');
  const theirs = measured.filter(([{ engine }, run]) => engine === 'flink' && run !== null) as [Case, Run][];
  if (!ours?.[1] || theirs.length === 0) return null;
  const [our, run] = ours as [Case, Run];
  const perSecond = ([{ events }, { ms }]: readonly [Case, Run]): number => (events / ms) * 1000;
  const perCpu = ([{ events }, { cpuMs }]: readonly [Case, Run]): number => (events / cpuMs) * 1000;
  // Of heap and RocksDB the one that did more with a second of CPU.
  const best = theirs.reduce((a, b) => (perCpu(b) > perCpu(a) ? b : a));
  const ratio: Ratio = { wall: perSecond([our, run]) / perSecond(best), cpu: perCpu([our, run]) / perCpu(best) };
  const counts = Math.min(ratio.wall, ratio.cpu);
  return [
    of.query,
    String(parallelism),
    amount(of.events),
    amount(perSecond(best)),
    amount(perCpu(best)),
    amount(perSecond([our, run])),
    amount(perCpu([our, run])),
    times(ratio.wall),
    times(ratio.cpu),
    `**${times(counts)}**`,
    `${of.bar} (aim ${of.aim})`,
    counts >= of.aim ? 'aim reached' : counts >= of.bar ? 'reached' : 'missed',
    String(run.windowsClosed ?? ''),
    best[0].events === of.events ? String(best[1].rowsOut) : '',
    String(run.rowsOut),
  ];
}

const times = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : 1);

function amount(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))} K` : value.toFixed(0);
}
