/** The command line as people meet it: help, jobs that run, jobs that cannot. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Project, root, stackFrame } from './support.ts';

const project = new Project();
afterAll(() => project.remove());

project.write(
  'tiny.js',
  `import { collection, from, job } from 'millrace';
   export default job('tiny', () => from(collection([{ a: 1, b: 'x' }, { a: 2, b: null }])));`,
);
project.write(
  'typed.ts',
  `import { collection, from, job, schema, t } from 'millrace';
   import { twice } from './lib/twice.ts';
   interface Row { readonly a: number }
   const rows: readonly Row[] = [{ a: 1 }, { a: 2 }];
   export default job('typed', ({ params }) =>
     from(collection(rows)).map(schema({ b: t.bigint() }), (row) => ({ b: twice(row.a) + params.add })),
     { params: schema({ add: t.int() }) });`,
);
project.write('lib/twice.ts', 'export const twice = (n: number): number => n * 2;');
project.write(
  'two.js',
  `import { collection, from, job, schema, t } from 'millrace';
   const big = collection([{ n: 9007199254740993n }], { schema: schema({ n: t.bigint().asBigInt() }) });
   export default job('two', () => ({ left: from(collection([{ a: 1 }])), right: from(big) }));`,
);

const lines = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe.concurrent('millrace', () => {
  test('--help shows the commands, and each command its options', async () => {
    const [all, run, explain] = await Promise.all([
      project.run('--help'),
      project.run('run', '--help'),
      project.run('explain', '--help'),
    ]);
    expect([all.code, run.code, explain.code]).toEqual([0, 0, 0]);
    for (const word of ['run [options] <job>', 'explain [options] <job>', '--version']) {
      expect(all.stdout).toContain(word);
    }
    for (const word of ['--parallelism', '--memory', '--stream', '--param', '--quiet']) {
      expect(run.stdout).toContain(word);
    }
    for (const word of ['--parallelism', '--stream', '--param']) expect(explain.stdout).toContain(word);
  });

  test('--version is the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(await project.run('--version')).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test('run gives the rows of a JavaScript job as lines of JSON, and a summary beside them', async () => {
    const { code, stdout, stderr } = await project.run('run', 'tiny.js', '-p', '1');
    expect(code).toBe(0);
    expect(lines(stdout)).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: null },
    ]);
    expect(stderr).toContain('2 rows in, 2 rows out');
  });

  test('run imports a TypeScript job in every slot, with what it imports', async () => {
    const { code, stdout, stderr } = await project.run('run', 'typed.ts', '-p', '2', '--param', 'add=10', '--quiet');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(lines(stdout).sort()).toEqual([{ b: 12 }, { b: 14 }]);
  });

  test('run names the output of each row when there are several, and writes every digit of a bigint', async () => {
    const { stdout } = await project.run('run', 'two.js', '-p', '1', '-q');
    expect(stdout.trim().split('\n').sort()).toEqual([
      '{"output":"left","a":1}',
      '{"output":"right","n":9007199254740993}',
    ]);
  });

  test('explain shows the plan of a job and runs nothing', async () => {
    const { code, stdout } = await project.run('explain', 'typed.ts', '-p', '2', '--param', 'add=1');
    expect(code).toBe(0);
    for (const part of ['Logical plan', 'Rewritten plan', 'Chains', 'typed.ts:6']) expect(stdout).toContain(part);
  });
});

describe.concurrent('millrace says in one line what is wrong with', () => {
  const files: [name: string, text: string | null, parts: string[]][] = [
    ['missing.js', null, ['[job/not-found]', 'missing.js']],
    ['lib', null, ['[job/not-found]', 'is a directory']],
    ['syntax.js', 'export const a = 1;\nexport default {{;\n', ['[job/import-failed]', 'SyntaxError', 'line 2']],
    ['syntax.ts', 'export const a: number = 1;\nconst b: = 2;\n', ['[job/import-failed]', 'syntax.ts:2']],
    ['throws.js', '\n\nthrow new RangeError("kaboom");', ['[job/import-failed]', 'RangeError: kaboom', 'line 3']],
    ['imports.js', 'import "./nowhere.js";', ['[job/import-failed]', 'nowhere.js', 'imports.js']],
    ['named.js', 'export const job = 1;', ['[job/no-default-export]', 'export default job(', 'named.js']],
    ['object.js', 'export default { a: 1 };', ['[job/no-default-export]', 'not a job', 'object.js']],
    [
      'build.js',
      `import { job } from 'millrace';\nexport default job('broken', () => {\n  throw new TypeError('no plan'); });`,
      ['[job/build-failed]', "'broken'", 'TypeError: no plan', 'build.js:3'],
    ],
  ];
  for (const [name, text, parts] of files) {
    if (text !== null) project.write(name, text);
    test(`the job file ${name}`, async () => {
      const { code, stdout, stderr } = await project.run('run', name);
      expect(code).toBe(1);
      expect(stdout).toBe('');
      for (const part of parts) expect(stderr).toContain(part);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    });
  }

  test('a job file that explain cannot find', async () => {
    const { code, stderr } = await project.run('explain', 'missing.js');
    expect([code, stderr]).toEqual([1, expect.stringContaining('[job/not-found]')]);
  });

  const options: [args: string[], parts: string[]][] = [
    [['frobnicate'], ["unknown command 'frobnicate'"]],
    [['run'], ["missing required argument 'job'"]],
    [
      ['run', 'typed.ts'],
      ['[option/invalid]', "parameter 'add'"],
    ],
    [
      ['run', 'typed.ts', '--param', 'add=x'],
      ['[option/invalid]', "'add'", '"x" is no INT'],
    ],
    [
      ['run', 'typed.ts', '--param', 'ad=1'],
      ['[option/invalid]', "no parameter 'ad'", "did you mean 'add'?"],
    ],
    [
      ['run', 'typed.ts', '--param', 'add=99999999999'],
      ['[option/invalid]', "'add'", '"99999999999" is no INT'],
    ],
    [
      ['run', 'typed.ts', '--param', 'add'],
      ['--param', 'name=value'],
    ],
    [
      ['run', 'tiny.js', '-p', '0'],
      ['[option/invalid]', 'parallelism', 'from 1 to 256', 'not 0'],
    ],
    [
      ['run', 'tiny.js', '-p', '-1'],
      ['[option/invalid]', 'parallelism', 'not -1'],
    ],
    [
      ['run', 'tiny.js', '-p', '1e9'],
      ['[option/invalid]', 'parallelism', '1000000000'],
    ],
    [
      ['run', 'tiny.js', '-p', 'many'],
      ["'many'", 'whole number'],
    ],
    [
      ['run', 'tiny.js', '--memory', '1kb'],
      ['[option/invalid]', "memory '1kb'", '16 MB'],
    ],
    [
      ['run', 'tiny.js', '--memory', 'lots'],
      ['[option/invalid]', "'lots'", "'512mb'"],
    ],
    [
      ['explain', 'tiny.js', '-p', '0'],
      ['[option/invalid]', 'parallelism'],
    ],
  ];
  for (const [args, parts] of options) {
    test(args.join(' '), async () => {
      const { code, stdout, stderr } = await project.run(...args);
      expect(code).toBe(1);
      expect(stdout).toBe('');
      for (const part of parts) expect(stderr).toContain(part);
      expect(stderr).not.toMatch(stackFrame);
    });
  }
});
