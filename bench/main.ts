/** `npm run bench -- [NAME…] [--case TEXT] [--rows N] [--slots 1,2] [--turns N] [--json] [--smoke] [--list]`. */
import { parseArgs } from 'node:util';
import { type Line, runCase } from './harness.ts';
import { benches } from './registry.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    case: { type: 'string' },
    rows: { type: 'string' },
    slots: { type: 'string' },
    turns: { type: 'string' },
    json: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(
    `there is no benchmark ${unknown.join(', ')}; there are ${benches.map((bench) => bench.name).join(', ')}`,
  );
  process.exit(2);
}
let wrong = 0;
for (const bench of benches) {
  if (positionals.length > 0 && !positionals.includes(bench.name)) continue;
  for (const one of bench.cases) {
    if (values.case !== undefined && !one.name.includes(values.case)) continue;
    if (values.list) {
      console.log(`${bench.name}\t${one.name}\t${one.bar}`);
      continue;
    }
    const slots =
      values.slots?.split(',').map(Number) ??
      (values.smoke ? [Math.max(...(one.slots ?? [2]))] : (one.slots ?? [1, 2]));
    for (const n of slots) {
      if (one.slots && !one.slots.includes(n)) continue;
      const rows = values.rows ? Number(values.rows) : values.smoke ? Math.min(one.rows, 100_000) : one.rows;
      const lines = await runCase(bench, one, {
        rows,
        slots: n,
        smoke: values.smoke,
        turns: Number(values.turns ?? (values.smoke ? 1 : 5)),
      });
      for (const line of lines) {
        if (!line.checked) wrong++;
        console.log(values.json ? JSON.stringify(line) : text(line, one.bar));
      }
    }
  }
}
if (wrong > 0) {
  console.error(`${wrong} results were wrong`);
  process.exit(1);
}
process.exit(0);

function text(line: Line, bar: string): string {
  const head = `${line.bench} ${line.case} ×${line.slots}`.padEnd(40);
  const check = line.checked ? '' : '   WRONG RESULT';
  if (line.value !== undefined)
    return `${head}${line.engine.padEnd(10)}${line.measure}: ${line.value} ${line.unit}   (${bar})${check}`;
  const speed = `${(line.rows / line.ms! / 1000).toFixed(1)} M rows/s`;
  const ratio = line.ratio === undefined ? `(${bar})` : `its time is ${line.ratio} × ours`;
  const times = `${line.ms!.toFixed(1).padStart(9)} ms   ${line.cpuMs!.toFixed(0).padStart(7)} ms CPU`;
  return `${head}${line.engine.padEnd(10)}${times}   ${speed.padStart(14)}   ${ratio}${check}`;
}
