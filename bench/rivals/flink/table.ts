/** The comparison as one table of Markdown. */
import { type Case, type Comparison, casesOf, comparisons, parallelisms } from './cases.ts';
import type { Results, Run } from './results.ts';

export function tableOf(results: Results): string {
  const rows = comparisons
    .flatMap((of) => parallelisms.map((parallelism) => rowOf(of, parallelism, results)))
    .filter((row) => row !== null);
  const names = Object.keys(rows[0] ?? {});
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(names), line(names.map(() => '---')), ...rows.map((row) => line(Object.values(row))), ''].join('\n');
}

type Measured = readonly [Case, Run];
const perSecond = ([{ events }, { ms }]: Measured): number => (events / ms) * 1000;
const perCpu = ([{ events }, { cpuMs }]: Measured): number => (events / cpuMs) * 1000;

function rowOf(of: Comparison, parallelism: number, results: Results): Readonly<Record<string, string>> | null {
  const measured = casesOf(of, parallelism).flatMap((one): Measured[] => {
    const run = results.median(one);
    return run === null ? [] : [[one, run]];
  });
  const ours = measured.find(([{ engine }]) => engine === 'millrace');
  const theirs = measured.filter(([{ engine }]) => engine === 'flink');
  if (!ours || (theirs.length === 0 && !of.alone)) return null;
  // Of heap and RocksDB the one that did more with a second of CPU.
  const best = of.alone ? null : theirs.reduce((a, b) => (perCpu(b) > perCpu(a) ? b : a));
  const wall = best && perSecond(ours) / perSecond(best);
  const cpu = best && perCpu(ours) / perCpu(best);
  const counts = best ? Math.min(wall!, cpu!) : Math.min(perSecond(ours) / parallelism, perCpu(ours));
  const told = best ? times : amount;
  const one = results.median({ ...ours[0], parallelism: 1 });
  return {
    query: of.query,
    p: String(parallelism),
    events: amount(of.events),
    'Flink events/s': best ? amount(perSecond(best)) : '',
    'a CPU second': best ? amount(perCpu(best)) : '',
    'Millrace events/s': amount(perSecond(ours)),
    'a second of CPU': amount(perCpu(ours)),
    'wall ×': best ? times(wall!) : '',
    'CPU ×': best ? times(cpu!) : '',
    counts: `**${told(counts)}**`,
    must: `${told(of.bar)}, aim ${told(of.aim)}`,
    reached: counts >= of.aim ? 'aim' : counts >= of.bar ? 'yes' : 'no',
    'two slots ×': parallelism === 2 && one ? times(one.ms / ours[1].ms) : '',
    windows: String(ours[1].windowsClosed ?? ''),
    'rows: Flink': best && best[0].events === of.events ? String(best[1].rowsOut) : '',
    'rows: Millrace': String(ours[1].rowsOut),
  };
}

const times = (ratio: number): string => String(Number(ratio.toFixed(ratio < 10 ? 2 : 1)));

function amount(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))} K` : value.toFixed(0);
}
