/** How a run ends from outside: closed and full standard output, Ctrl-C once and twice, kill -9. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Project, stackFrame } from './support.ts';

const project = new Project();
afterAll(() => project.remove());

project.write(
  'rows.js',
  `import { from, generator, job, schema, t } from 'millrace';
   export default job('rows', ({ params }) =>
     from(generator({ rows: params.rows, columns: (g) => ({ n: g.sequence() }) })), { params: schema({ rows: t.bigint() }) });`,
);
project.write(
  'printed.js',
  `import { from, generator, job, print } from 'millrace';
   export default job('printed', () =>
     from(generator({ rate: 20_000, columns: (g) => ({ n: g.sequence() }) })).to(print({ format: 'jsonl' })));`,
);
project.write(
  'both.js',
  `import { from, generator, job, jsonl } from 'millrace';
   const numbers = from(generator({ rate: 50_000, columns: (g) => ({ n: g.sequence() }) }));
   export default job('both', () => ({ shown: numbers, kept: numbers.to(jsonl('kept/both.jsonl')) }));`,
);
project.write(
  'files.js',
  `import { from, generator, job, jsonl, parquet, schema, t } from 'millrace';
   export default job('files', ({ params }) => {
     const much = params.rows > 0 ? { rows: params.rows } : { rate: 50_000 };
     const numbers = from(generator({ ...much, columns: (g) => ({ n: g.sequence() }) }));
     return params.format === 'parquet'
       ? numbers.to(parquet(params.out + '/all.parquet'))
       : numbers.to(jsonl(params.out + '/parts'));
   }, { params: schema({ rows: t.bigint(), out: t.string(), format: t.string() }) });`,
);
project.write(
  'stuck.js',
  `import { blackhole, from, generator, job, schema, t } from 'millrace';
   import { writeSync } from 'node:fs';
   export default job('stuck', () =>
     from(generator({ rows: 10, columns: (g) => ({ n: g.sequence() }) }))
       .map(schema({ n: t.bigint() }), (row) => { writeSync(2, 'called'); for (;;); })
       .to(blackhole()));`,
);

let directory = '';
let runs = 0;
beforeEach(() => {
  directory = `out-${++runs}`;
});
const toFiles = (rows: number, format = 'jsonl'): string[] => [
  ...['run', 'files.js', '-p', '2', '--param', `rows=${rows}`],
  ...['--param', `out=${directory}`, '--param', `format=${format}`],
];
/** Bounded, but longer than any test. */
const endless = 1e12;
/** Rows are on their way into files. */
const writing = (): boolean => project.names(directory).length > 0;

describe('standard output', () => {
  for (const [name, args] of [
    ['rows of an end without a sink', 'rows.js --param rows=1000000000000'],
    ['a print sink', 'printed.js'],
  ]) {
    test(`closed by its reader ends ${name} quickly, without a word`, async () => {
      const { code, stdout, stderr } = await project.shell(`$MILLRACE run ${args} -p 1 -q | head -1`);
      expect(JSON.parse(stdout)).toHaveProperty('n');
      expect([code, stderr]).toEqual([0, '']);
    });
  }

  test('and standard error closed by one reader are no trace either', async () => {
    const { code, stdout } = await project.shell(
      '$MILLRACE run rows.js --param rows=1000000000000 -p 1 2>&1 | head -1',
    );
    expect([code, stdout]).toEqual([0, '{"n":0}\n']);
  });

  test('closed while the job was also to write files is said, and leaves no file', async () => {
    const { code, stderr } = await project.shell('$MILLRACE run both.js -p 1 -q | head -1');
    expect(code).toBe(1);
    expect(stderr).toContain('[sink/closed]');
    expect(stderr).toContain('no files');
    expect(project.names('kept')).toEqual([]);
  });

  for (const [name, args] of [
    ['rows', 'run rows.js --param rows=1000 -q'],
    ['a print sink', 'run printed.js -q'],
    ['a plan', 'explain rows.js --param rows=1'],
  ]) {
    test.skipIf(!existsSync('/dev/full'))(`on a full disk is an error for ${name}`, async () => {
      const { code, stderr } = await project.shell(`$MILLRACE ${args} -p 1 > /dev/full`);
      expect(code).toBe(1);
      expect(stderr).toContain('[sink/disk-full]');
      expect(stderr).not.toMatch(stackFrame);
    });
  }
});

describe('Ctrl-C', () => {
  for (const format of ['jsonl', 'parquet']) {
    test(`once ends a bounded job in order, and takes its unfinished ${format} files away`, async () => {
      const running = project.start(...toFiles(endless, format));
      await running.until(writing);
      running.child.kill('SIGINT');
      const { code, signal, stderr } = await running.ended;
      expect([code, signal]).toEqual([130, null]);
      expect(stderr).toContain('once more to leave at once');
      expect(stderr).not.toMatch(stackFrame);
      expect(
        project.names(directory).flatMap((name) => (name === 'parts' ? project.names(`${directory}/parts`) : name)),
      ).toEqual([]);
    });
  }

  for (const [name, rows, more] of [
    ['a job whose source does not end', 0, []],
    ['a bounded job run with --stream', 200_000, ['--stream']],
  ] as const) {
    test(`once ends ${name}, and its results so far are whole`, async () => {
      const running = project.start(...toFiles(rows), ...more);
      const parts = `${directory}/parts`;
      await running.until(() => project.names(parts).length === 2);
      // Without --stream the rows would end the job by themselves.
      await new Promise((resolve) => setTimeout(resolve, 300));
      running.child.kill('SIGINT');
      expect((await running.ended).code).toBe(130);
      expect(project.names(parts)).toEqual(['part-00000.jsonl', 'part-00001.jsonl']);
      const written = project.names(parts).map((part) => readFileSync(join(project.path, parts, part), 'utf8'));
      const numbers = written
        .flatMap((text) => text.split('\n').filter((line) => line !== ''))
        .map((line) => JSON.parse(line).n as number);
      expect(numbers.length).toBeGreaterThan(0);
      expect(new Set(numbers).size).toBe(numbers.length);
    });
  }

  test('twice ends at once, whatever a function is doing', async () => {
    const running = project.start('run', 'stuck.js', '-p', '1', '--stream');
    await running.until(() => running.stderr.includes('called'));
    running.child.kill('SIGINT');
    await running.until(() => running.stderr.includes('once more'));
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).not.toContain('function/endless');
  }, 15_000);

  test('once ends a bounded job whose function never returns', async () => {
    const running = project.start('run', 'stuck.js', '-p', '1');
    await running.until(() => running.stderr.includes('called'));
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
  }, 15_000);
});

test('SIGTERM ends a job in order, with its own exit code', async () => {
  const running = project.start(...toFiles(endless));
  await running.until(writing);
  running.child.kill('SIGTERM');
  expect((await running.ended).code).toBe(143);
  expect(project.names(`${directory}/parts`)).toEqual([]);
});

test('kill -9 leaves no file under a final name', async () => {
  for (const format of ['jsonl', 'parquet']) {
    directory = `killed-${format}`;
    const running = project.start(...toFiles(endless, format));
    await running.until(writing);
    running.child.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    const left = [...project.names(directory), ...project.names(`${directory}/parts`)].filter(
      (name) => name !== 'parts',
    );
    expect(left.length).toBeGreaterThan(0);
    expect(left.filter((name) => !name.startsWith('.'))).toEqual([]);
  }
});
