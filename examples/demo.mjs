// The demo: examples/flights.ts, the same job file, over three million real flights.
//
//   npm run demo                 the file as a table that ends
//   npm run demo -- --stream     the file as a stream that does not end by itself; then the answers are compared
//   npm run demo -- -p 1         on one slot
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createJiti } from 'jiti';
import { run } from 'millrace';

const { values: asked } = parseArgs({
  options: { stream: { type: 'boolean', default: false }, slots: { type: 'string', short: 'p' } },
});
const layout = asked.slots === undefined ? {} : { parallelism: Number(asked.slots) };
const jobFile = fileURLToPath(new URL('./flights.ts', import.meta.url));
const { default: flights } = await createJiti(import.meta.url, { nativeModules: ['millrace'] }).import(jobFile);
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 }).format;
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

if (asked.stream) {
  console.log('examples/flights.ts as a stream: days close as event time passes, the ten worst are kept up to date.\n');
  const streamed = await analyse('out/flights-stream', 'stream');
  console.log(`${whole(streamed.lateRows)} rows came too late for their day.`);
  compare('out/flights-stream', 'out/flights', streamed.lateRows);
} else {
  console.log('examples/flights.ts: flights and delays per airport and day, and the ten worst airport-days.\n');
  await analyse('out/flights', 'bounded');
}

/** Runs the job and tells what it took. The table of the ten worst is printed by the job itself. */
async function analyse(out, mode) {
  rmSync(out, { recursive: true, force: true });
  const startMs = performance.now();
  let firstMs = null;
  let drained = false;
  const handle = run(flights, { ...layout, mode, params: { out } });
  const watch = setInterval(() => {
    const metrics = handle.metrics();
    if (firstMs === null && metrics.rowsOut > 0) firstMs = performance.now() - startMs;
    showProgress(metrics);
    // A stream goes on until it is told to stop. When the last row has been read, the days still open are closed.
    if (mode === 'stream' && !drained && metrics.estimatedRows !== null && metrics.rowsIn >= metrics.estimatedRows) {
      drained = true;
      handle.stop({ drain: true }).catch(() => {});
    }
  }, 20);
  const result = await handle.result().finally(() => {
    clearInterval(watch);
    clearProgress();
  });
  const { rowsIn, elapsedMs, slots, callerCpuMs } = result;
  const cpu = slots.map(({ slot, cpuMs }) => `slot ${slot} ${seconds(cpuMs)}`).sort();
  console.log(`
${whole(rowsIn)} flights in ${seconds(elapsedMs)}: ${whole((rowsIn / elapsedMs) * 1000)} rows/s
first result after ${seconds(firstMs ?? elapsedMs)}
CPU: ${cpu.join(', ')}, calling thread ${seconds(callerCpuMs)}
all airport-days: ${out}/*.jsonl`);
  return result;
}

/** One line on a terminal. It ends where it began, so that the table may be redrawn above it. */
function showProgress({ rowsIn, estimatedRows, watermark }) {
  if (!process.stderr.isTTY) return;
  const share = estimatedRows ? ` (${Math.floor((100 * rowsIn) / estimatedRows)} %)` : '';
  const day = watermark ? `, event time ${watermark.toISOString().slice(0, 10)}` : '';
  process.stderr.write(`\r${whole(rowsIn)} rows${share}${day}\x1b[K\r`);
}

function clearProgress() {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

/** Runs the same job over the ended file, by the command line, and compares every airport-day. */
function compare(streamed, ended, lateRows) {
  console.log('\nThe same job over the ended file, to compare:');
  rmSync(ended, { recursive: true, force: true });
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  execFileSync(process.execPath, [cli, 'run', jobFile, '--quiet', '--param', `out=${ended}`], {
    stdio: 'inherit',
  });
  const [a, b] = [linesOf(streamed), linesOf(ended)];
  const equal = a.filter((line, i) => line === b[i]).length;
  if (a.length === b.length && equal === a.length) {
    console.log(`Compared: all ${whole(a.length)} airport-days are the same.`);
    return;
  }
  console.log(`Compared: ${whole(a.length)} and ${whole(b.length)} airport-days, and they are NOT the same.`);
  // Late rows are missing from a stream's days by right; without any, a difference is a mistake of ours.
  if (lateRows === 0) process.exitCode = 1;
}

function linesOf(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .sort();
}
