// Kill it yourself: an example runs with a state directory, its process is killed (kill -9) at random moments and started
// again, until it is through. Then its files are read: they hold every result once, as a plain loop over the same rows
// computes it.
//
//   npm run kill                                 fraud.ts, five kills
//   npm run kill -- monitoring --kills 20 --seed 7
//   npm run kill -- rules --by-hand              Enter kills it, as often as you like
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createJiti } from 'jiti';

const { values: asked, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: 'string', default: '5' },
    seed: { type: 'string' },
    rows: { type: 'string', default: '60000' },
    rate: { type: 'string', default: '5000' },
    'by-hand': { type: 'boolean', default: false },
  },
});
const [name = 'fraud'] = positionals;
const root = fileURLToPath(new URL('..', import.meta.url));
const { models } = await createJiti(import.meta.url, { nativeModules: ['millrace'] }).import('./models.ts');
if (!(name in models)) {
  console.error(`there is no example ${name} to kill; there are ${Object.keys(models).join(', ')}`);
  process.exit(2);
}
const rows = Number(asked.rows);
const rate = Number(asked.rate);
const kills = Number(asked.kills);
const seed = asked.seed === undefined ? Date.now() % 1_000_000 : Number(asked.seed);
const chance = mulberry32(seed);
const folder = mkdtempSync(join(tmpdir(), 'millrace-kill-'));
const out = join(folder, 'out');
const stateDir = join(folder, 'state');
console.log(
  `examples/${name}.ts: ${rows} rows at ${rate} a second, a checkpoint every 250 ms, seed ${seed}\nstate in ${stateDir}`,
);

let killed = 0;
for (let run = 1; ; run++) {
  const parallelism = 1 + Math.floor(chance() * 3);
  const before = committed();
  const ended = await once(parallelism, asked['by-hand'] ? null : killed < kills ? 500 + chance() * 2500 : Infinity);
  console.log(
    `run ${run}, ${parallelism} slot${parallelism === 1 ? '' : 's'}: ${ended.killed ? 'killed' : 'through'} after ${(ended.ms / 1000).toFixed(1)} s; ` +
      `files held ${before} rows before it, ${committed()} after`,
  );
  if (!ended.killed) break;
  killed++;
}
const wrong = [];
const expected = await models[name](rows);
for (const [end, lines] of Object.entries(expected)) {
  const { missing, extra } = difference(lines, read(end));
  console.log(`${end}: ${lines.length} results expected, ${missing} missing, ${extra} too many`);
  if (missing + extra > 0) wrong.push(end);
}
const left = Object.keys(expected).flatMap((end) => readdirSync(join(out, end)).filter((file) => file.startsWith('.')));
if (left.length > 0) wrong.push(`left over: ${left.join(', ')}`);
if (wrong.length > 0) {
  console.error(`not once each: ${wrong.join('; ')} (seed ${seed}; everything is kept in ${folder})`);
  process.exit(1);
}
console.log(`killed ${killed} times, and every result is there once`);
rmSync(folder, { recursive: true, force: true });

/** One life of the process. `afterMs` null: Enter ends it; Infinity: it may live. */
function once(parallelism, afterMs) {
  const params = { out, rows, rate };
  const child = spawn(
    process.execPath,
    [
      ...[join(root, 'dist', 'cli', 'main.js'), 'run', join(root, 'examples', `${name}.ts`)],
      ...['-p', `${parallelism}`, '--state-dir', stateDir, '--checkpoint', '250ms', '--quiet'],
      ...Object.entries(params).flatMap(([key, value]) => ['--param', `${key}=${value}`]),
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const startMs = performance.now();
  const kill = () => child.kill('SIGKILL');
  const timer = afterMs !== null && Number.isFinite(afterMs) ? setTimeout(kill, afterMs) : null;
  if (afterMs === null) {
    console.log('Enter kills it');
    process.stdin.on('data', kill);
    process.stdin.resume();
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (timer) clearTimeout(timer);
      process.stdin.off('data', kill);
      process.stdin.pause();
      if (signal === 'SIGKILL' || code === 0) {
        resolve({ killed: signal === 'SIGKILL', ms: performance.now() - startMs });
      } else reject(new Error(`examples/${name}.ts ended with ${code ?? signal}; everything is kept in ${folder}`));
    });
  });
}

/** Lines of the visible files of an end; names with a dot in front are in progress. */
function read(end) {
  try {
    return readdirSync(join(out, end))
      .filter((file) => !file.startsWith('.'))
      .flatMap((file) =>
        readFileSync(join(out, end, file), 'utf8')
          .split('\n')
          .slice(0, -1),
      );
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

function committed() {
  try {
    return readdirSync(out).reduce((sum, end) => sum + read(end).length, 0);
  } catch {
    return 0;
  }
}

/** As multisets. */
function difference(expectedLines, foundLines) {
  const left = new Map();
  for (const line of expectedLines) left.set(line, (left.get(line) ?? 0) + 1);
  let extra = 0;
  for (const line of foundLines) {
    const n = left.get(line) ?? 0;
    if (n === 0) extra++;
    else left.set(line, n - 1);
  }
  return { missing: [...left.values()].reduce((sum, n) => sum + n, 0), extra };
}

function mulberry32(from) {
  let a = from >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let x = a;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
