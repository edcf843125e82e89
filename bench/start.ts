/** What starting costs: the whole process of a tiny job at `-p 2`, beside `node -e 0`. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bench, BenchCase, CaseOptions } from './harness.ts';
import { median } from './harness.ts';

const source = (annotation: string): string => `import { count, from, generator, job } from 'millrace';
const rows${annotation} = 1000;
export default job('tiny', () =>
  from(generator({ rows, columns: (g) => ({ k: g.int(1, 10) }) }))
    .groupBy('k')
    .aggregate(() => ({ n: count() })));
`;

export const start: Bench = {
  name: 'start',
  describe: "a tiny job's whole process over node -e 0",
  cases: [
    startCase('mjs', source(''), '+ 0.3 s; aim + 0.15 s'),
    startCase('ts', source(': number'), '+ 0.6 s; aim + 0.4 s'),
  ],
};

function startCase(extension: 'mjs' | 'ts', text: string, bar: string): BenchCase {
  return {
    name: extension === 'mjs' ? 'js' : 'ts',
    rows: 1000,
    slots: [2],
    bar,
    measure: (options) => measure(options, extension, text),
  };
}

async function measure({ smoke, slots }: CaseOptions, extension: string, text: string) {
  const cli = fileURLToPath(new URL('../bundle/caller/main.js', import.meta.url));
  // Within the package, so that the job finds it by its name.
  const out = fileURLToPath(new URL('../../out', import.meta.url));
  mkdirSync(out, { recursive: true });
  const folder = mkdtempSync(join(out, 'start-'));
  try {
    const path = join(folder, `tiny.${extension}`);
    writeFileSync(path, text);
    const times = { node: [] as number[], job: [] as number[] };
    let checked = true;
    for (let turn = 0; turn < (smoke ? 2 : 12); turn++) {
      const [node] = await timed(['-e', '0']);
      const [job, out] = await timed([cli, 'run', path, '-p', String(slots), '-q']);
      checked = checked && counts(out) === 1000;
      if (turn > 0) {
        times.node.push(node);
        times.job.push(job);
      }
    }
    const [node, job] = [median(times.node), median(times.job)];
    const of = (engine: 'millrace' | 'plain-js', name: string, value: number) => ({
      engine,
      name,
      value: Math.round(value),
      unit: 'ms',
      checked,
    });
    return [
      of('plain-js', 'node -e 0', node),
      of('millrace', 'whole process', job),
      of('millrace', 'more', job - node),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function timed(args: string[]): Promise<[ms: number, stdout: string]> {
  const began = performance.now();
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return [performance.now() - began, stdout];
}

/** The counts of all groups in the lines that were printed, added up. */
function counts(out: string): number {
  const groups = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { n: number });
  return groups.length === 10 ? groups.reduce((all, { n }) => all + n, 0) : -1;
}
