/** The two engines as processes: Flink in a JVM that stays, ours by the command line, a process a run. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Case, warmUpShare } from './cases.ts';
import type { Run } from './results.ts';

/** In the repository: beside this file, or, built, in the folder that dist/ lies in. */
const here = dirname(fileURLToPath(import.meta.url));
const root = [join(here, '../../..'), join(here, '../../../..')].find((path) =>
  existsSync(join(path, 'package.json')),
)!;
export const project = join(root, 'bench', 'rivals', 'flink');

export interface Engine {
  /** Warmed up. `checked`: the digest of the result is told. */
  run(of: Case, checked: boolean): Promise<Run>;
  close(): void;
}

/** Builds the Java project and its class path: Flink is a dependency like any other. Needs Java 17 and Maven. */
export function buildFlink(): void {
  execFileSync('mvn', ['--batch-mode', '--quiet', 'package'], {
    cwd: project,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** `heap`: of the JVM, touched before anything is measured. */
export function flink(heap: string): Engine {
  const classes = `${join(project, 'target', 'classes')}:${readFileSync(join(project, 'target', 'classpath'), 'utf8')}`;
  const opens = ['java.lang', 'java.nio', 'java.util'].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
  const memory = [`-Xms${heap}`, `-Xmx${heap}`, '-XX:+AlwaysPreTouch'];
  const child = spawn('java', [...memory, ...opens, '-cp', classes, 'millrace.nexmark.Bench', join(project, 'sql')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async ({ query, parallelism, backend }: Case, events: number, sink: string): Promise<Run> => {
    child.stdin.write(`${[query, parallelism, backend, events, sink].join(',')}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`Flink ended at ${query}; what it said stands above`);
    const answer = JSON.parse(value) as Run & { readonly error?: string };
    if (answer.error !== undefined) throw new Error(`Flink failed at ${answer.error}; what it said stands above`);
    return answer;
  };
  let warm = false;
  return {
    async run(of, checked) {
      // What all queries have in common is compiled before the first of them.
      if (!checked && !warm)
        for (const parallelism of [1, 2, 1]) await ask({ ...of, ...passThrough, parallelism }, 3_000_000, 'counted');
      warm = true;
      if (!checked) await ask(of, Math.ceil(of.events * warmUpShare), 'counted');
      return ask(of, of.events, checked ? 'digest' : 'counted');
    },
    close: () => end(child),
  };
}

const passThrough = { query: 'q0', backend: 'hashmap' } as const;

export function millrace(): Engine {
  const command = join(root, 'dist', 'cli', 'main.js');
  return {
    async run({ query, parallelism, events }, checked) {
      const options = ['--query', query, '--events', String(events), '-p', String(parallelism)];
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [command, 'bench', 'nexmark', ...options, '--stream', '--whole', '--json', ...(checked ? [] : ['--no-digest'])],
        { cwd: root },
      );
      return JSON.parse(stdout) as Run;
    },
    close() {},
  };
}

/** Whether examples/nexmark has the query. */
export const isThere = (query: string): boolean => existsSync(resolve(root, 'examples', 'nexmark', `${query}.ts`));

/**
 * A machine that is shared: `command` is put before a program, and waits with it until the machine is free, as `flock FILE`
 * does. `take` begins anew when it has been held for `holdMs`.
 */
export function sharedMachine(command: string, holdMs: number) {
  let holder: ChildProcess | null = null;
  let sinceMs = 0;
  const giveBack = (): void => {
    holder?.stdin?.end();
    holder = null;
  };
  return {
    giveBack,
    async take(): Promise<void> {
      if (command === '' || (holder !== null && performance.now() - sinceMs < holdMs)) return;
      giveBack();
      const child = spawn('sh', ['-c', `${command} cat`], { stdio: ['pipe', 'pipe', 'inherit'] });
      child.stdin.on('error', () => {});
      child.stdin.write('free\n');
      await new Promise((settle, fail) => {
        child.stdout.once('data', settle);
        child.once('exit', () => fail(new Error(`'${command} cat' ended at once`)));
      });
      holder = child;
      sinceMs = performance.now();
    },
  };
}

const end = (child: ChildProcess): void => {
  child.stdin?.end();
  child.kill();
};
