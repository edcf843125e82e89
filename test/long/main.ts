/** `npm run long -- [NAME…] [--cases N | --minutes N] [--seed S] [--json] [--ci] [--list]`: proofs in many seeded cases. */
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { LongSuite } from './suite.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string' },
    // Of suites whose cases are minutes.
    minutes: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    ci: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const suites: LongSuite[] = [];
for (const name of readdirSync(import.meta.dirname).sort()) {
  if (!name.endsWith('.ts') || name === 'main.ts' || name === 'suite.ts') continue;
  const module = (await import(`./${name}`)) as { suite?: LongSuite };
  if (module.suite) suites.push(module.suite);
}
const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(', ')}; there are ${suites.map((suite) => suite.name).join(', ')}`);
  process.exit(2);
}
let failed = 0;
let passed = 0;
for (const suite of suites) {
  if (positionals.length > 0 && !positionals.includes(suite.name)) continue;
  if (values.list) {
    console.log(`${suite.name}\t${suite.describe}`);
    continue;
  }
  const seed = values.seed ? Number(values.seed) : values.ci ? 1 : Math.floor(Date.now() / 1000);
  const asked = values.cases ?? values.minutes;
  const cases = asked ? Number(asked) : values.ci ? suite.casesInCi : suite.cases;
  const startMs = performance.now();
  const report = await suite.run({ cases, seed, log: (line) => console.error(line) });
  const seconds = Number(((performance.now() - startMs) / 1000).toFixed(1));
  const empty = Object.entries(report.coverage)
    .filter(([, count]) => count === 0)
    .map(([what]) => what);
  const ok = report.failures.length === 0 && empty.length === 0;
  if (ok) passed++;
  else failed++;
  if (values.json) console.log(JSON.stringify({ suite: suite.name, seed, seconds, ok, ...report }));
  else {
    console.log(
      `${ok ? 'ok  ' : 'FAIL'} ${suite.name}: ${report.cases} cases, ${report.failures.length} failures, seed ${seed}, ${seconds} s`,
    );
    console.log(
      `     ${Object.entries(report.coverage)
        .map(([what, count]) => `${what} ${count}`)
        .join(', ')}`,
    );
    for (const failure of report.failures.slice(0, 20)) console.log(`     ${failure}`);
    if (empty.length > 0) console.log(`     never happened: ${empty.join(', ')}`);
  }
}
if (!values.list && !values.json) console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
