/** The built command line as a process of its own, and a directory outside the repository with job files in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist', 'cli', 'main.js');

/** A project of somebody's: its own directory, with this package among its node_modules. */
export class Project {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-cli-'));

  constructor() {
    mkdirSync(join(this.path, 'node_modules'));
    symlinkSync(root, join(this.path, 'node_modules', 'millrace'));
    this.write('package.json', '{ "type": "module" }');
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.path, name)), { recursive: true });
    writeFileSync(join(this.path, name), text);
  }

  /** Names in a directory of it, hidden ones too; none where there is no such directory. */
  names(directory: string): string[] {
    try {
      return readdirSync(join(this.path, directory)).sort();
    } catch {
      return [];
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  start(...args: string[]): Process {
    return new Process(spawn(process.execPath, [main, ...args], { cwd: this.path }));
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(...args).ended;
  }

  /** A line for the shell, in which `$MILLRACE` is the command. Ends as its last part does; `pipefail` is on. */
  shell(line: string): Promise<Ended> {
    const env = { ...process.env, MILLRACE: `${process.execPath} ${main}` };
    return new Process(spawn('bash', ['-o', 'pipefail', '-c', line], { cwd: this.path, env })).ended;
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Process {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** Resolves when `what` holds; an error when the process ends before. */
  async until(what: () => boolean): Promise<void> {
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    while (!what()) {
      if (over) throw new Error(`the process ended before: ${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** A stack trace has frames. */
export const stackFrame = /^\s+at .*[:(]\d+/m;
