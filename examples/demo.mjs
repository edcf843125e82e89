// The demo: examples/flights.ts over three million real flights, as an ended file or, with --stream, as a stream.
// `npm run demo` and `npm run demo -- --stream`.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createJiti } from 'jiti';
import { run } from 'millrace';

const { values } = parseArgs({
  options: { stream: { type: 'boolean', default: false }, slots: { type: 'string', short: 'p' } },
});
const { default: flights } = await createJiti(import.meta.url, { nativeModules: ['millrace'] }).import('./flights.ts');
const layout = values.slots === undefined ? {} : { parallelism: Number(values.slots) };
const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

if (values.stream) {
  console.log(
    'The job of examples/flights.ts as a stream: days close as event time passes, the ten worst are kept up to date.\n',
  );
  const streamed = await analyse('out/flights-stream', 'stream');
  console.log(`\n${number.format(streamed.lateRows)} rows came too late for their day.`);
  process.stdout.write('The same job over the ended file, to compare: ');
  // Another process, without its table.
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const file = fileURLToPath(new URL('./flights.ts', import.meta.url));
  rmSync('out/flights', { recursive: true, force: true });
  execFileSync(process.execPath, [cli, 'run', file, '-q', '--param', 'out=out/flights'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [a, b] = [linesOf('out/flights-stream'), linesOf('out/flights')];
  const same = a.length === b.length && a.every((line, i) => line === b[i]);
  console.log(
    same
      ? `all ${number.format(a.length)} airport-days are the same.`
      : `DIFFERENT: ${a.length} and ${b.length} airport-days.`,
  );
  if (!same && streamed.lateRows === 0) process.exitCode = 1;
} else {
  console.log('The job of examples/flights.ts: per origin airport and day, then the ten worst airport-days.\n');
  await analyse('out/flights');
}

async function analyse(out, mode) {
  rmSync(out, { recursive: true, force: true });
  const startMs = performance.now();
  let firstMs = null;
  const handle = run(flights, { ...layout, params: { out }, ...(mode ? { mode } : {}) });
  const terminal = process.stderr.isTTY;
  const timer = setInterval(() => {
    const { rowsIn, rowsOut, estimatedRows, watermark } = handle.metrics();
    if (firstMs === null && rowsOut > 0) firstMs = performance.now() - startMs;
    if (terminal && mode === undefined) {
      const share = estimatedRows ? ` (${Math.floor((100 * rowsIn) / estimatedRows)} %)` : '';
      process.stderr.write(
        `\r\x1b[K${number.format(rowsIn)} rows${share}${watermark ? `, ${watermark.toISOString().slice(0, 10)}` : ''}`,
      );
    }
    // A stream does not end by itself: when every row has been read it is stopped, which closes the open days.
    if (mode === 'stream' && estimatedRows !== null && rowsIn >= estimatedRows) {
      clearInterval(timer);
      void handle.stop({ drain: true });
    }
  }, 5);
  const result = await handle.result();
  clearInterval(timer);
  if (terminal) process.stderr.write('\r\x1b[K');
  const seconds = result.elapsedMs / 1000;
  console.log(
    `\n${number.format(result.rowsIn)} flights in ${seconds.toFixed(2)} s: ${number.format(result.rowsIn / seconds)} rows/s; first result after ${((firstMs ?? result.elapsedMs) / 1000).toFixed(2)} s.`,
  );
  for (const slot of result.slots) console.log(`  slot ${slot.slot}: ${(slot.cpuMs / 1000).toFixed(2)} s of CPU`);
  console.log(`  calling thread: ${(result.callerCpuMs / 1000).toFixed(2)} s of CPU`);
  console.log(`All airport-days are in ${out}.`);
  return result;
}

function linesOf(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .sort();
}
